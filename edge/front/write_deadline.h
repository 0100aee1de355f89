/*
 * How long a client may leave standing what is written for it: a stretch of write-timeout, over and over,
 * as long as it takes min-rate in each.
 */
#ifndef EDGE_WRITE_DEADLINE_H
#define EDGE_WRITE_DEADLINE_H

#include "edge/http_config.h"
#include "edge/loop/deadline.h"
#include "edge/loop/stream.h"

struct write_deadline {
	struct deadline deadline; /* its owner says what happens when it has passed */
	int64_t taken;            /* what the client had taken when that was looked at last */
};

/* Something waits for the client's socket, or nothing does. */
void write_deadline_arm(struct write_deadline *write, const struct stream *stream,
    const struct http_config *config, bool wants_write);
/* It has passed. True: enough was taken, and the next stretch has begun. */
bool write_deadline_renew(
    struct write_deadline *write, const struct stream *stream, const struct http_config *config);

#endif
