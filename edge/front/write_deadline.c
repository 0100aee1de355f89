#include "edge/front/write_deadline.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

/* What left the socket's queue: a slow reader takes all the time, yet makes room for a write only now and
 * then. TLS's own bytes do not matter to a difference. */
static int64_t taken_by_client(const struct stream *stream)
{
	int unsent = 0;

	ioctl(stream->io.fd, SIOCOUTQ, &unsent);
	return (int64_t)stream->bytes_out - unsent;
}

void write_deadline_arm(struct write_deadline *write, const struct stream *stream,
    const struct http_config *config, bool wants_write)
{
	if (!wants_write) {
		deadline_clear(&write->deadline);
		return;
	}
	if (deadline_is_set(&write->deadline))
		return;
	write->taken = taken_by_client(stream);
	deadline_set(&write->deadline, config->write_timeout_ms);
}

bool write_deadline_renew(
    struct write_deadline *write, const struct stream *stream, const struct http_config *config)
{
	int64_t taken = taken_by_client(stream);
	int64_t more = taken - write->taken;

	if (more < http_config_least(config, config->write_timeout_ms))
		return false;
	write->taken = taken;
	deadline_set(&write->deadline, config->write_timeout_ms);
	return true;
}
