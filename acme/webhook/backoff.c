#include "acme/webhook/backoff.h"

#include <stddef.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };

static const int64_t message_ms[] = {5 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR,
    10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR};
static const int64_t endpoint_ms[] = {2 * SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE};

enum {
	MESSAGE_STEPS = sizeof message_ms / sizeof *message_ms,
	ENDPOINT_STEPS = sizeof endpoint_ms / sizeof *endpoint_ms,
};

static int64_t spread(int64_t ms, int64_t retry_after_s, uint32_t random)
{
	int64_t asked_s = retry_after_s < BACKOFF_RETRY_AFTER_MAX ? retry_after_s : BACKOFF_RETRY_AFTER_MAX;
	int64_t least_ms = asked_s > 0 ? asked_s * SECOND : 0;
	int64_t spread_ms = ms * 9 / 10 + random % (ms / 5 + 1);
	return spread_ms > least_ms ? spread_ms : least_ms;
}

int64_t backoff_message_ms(int attempts, int64_t retry_after_s, uint32_t random)
{
	if (attempts > MESSAGE_STEPS)
		return -1;
	return spread(message_ms[attempts < 1 ? 0 : attempts - 1], retry_after_s, random);
}

int64_t backoff_endpoint_ms(int failures, int64_t retry_after_s, uint32_t random)
{
	int step = failures < 1 ? 1 : failures > ENDPOINT_STEPS ? ENDPOINT_STEPS : failures;
	return spread(endpoint_ms[step - 1], retry_after_s, random);
}
