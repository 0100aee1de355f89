#include "acme/ca/pace.h"

#include "common/base/clock.h"

void pace_init(struct pace *pace, double per_s, double burst)
{
	pthread_mutex_init(&pace->lock, NULL);
	pace->per_s = per_s;
	pace->burst = pace->tokens = burst;
	pace->counted_us = clock_monotonic_us();
}

void pace_fini(struct pace *pace)
{
	pthread_mutex_destroy(&pace->lock);
}

static int64_t take_locked(struct pace *pace)
{
	int64_t now_us = clock_monotonic_us();
	pace->tokens += (double)(now_us - pace->counted_us) / 1e6 * pace->per_s;
	pace->tokens = pace->tokens < pace->burst ? pace->tokens : pace->burst;
	pace->counted_us = now_us;
	if (pace->tokens < 1)
		return 1 + (int64_t)((1 - pace->tokens) / pace->per_s * 1000);
	pace->tokens -= 1;
	return 0;
}

int64_t pace_take(struct pace *pace)
{
	if (pace->per_s == 0)
		return 0;
	pthread_mutex_lock(&pace->lock);
	int64_t wait_ms = take_locked(pace);
	pthread_mutex_unlock(&pace->lock);
	return wait_ms;
}
