/*
 * The line of the access log for a connection that was passed on: one at its end, where `access-log` is on.
 */
#ifndef EDGE_PASS_LOG_H
#define EDGE_PASS_LOG_H

#include "common/net/net.h"
#include "edge/front/access_log.h"
#include "edge/pass/pass_routes.h"

/* Times in microseconds; -1: that did not happen. */
struct pass_line {
	char route[PASS_LABEL_MAX + 1];
	const char *name; /* the hello's; borrowed */
	char upstream[NET_ADDRESS_TEXT];
	const char *session; /* known, unknown; NULL: it was not looked at */
	const char *end;     /* the cause, as the metric has it */
	uint64_t bytes_in, bytes_out;
	int retries;
	int64_t began_us, connect_began_us;
	int64_t hello_us, connect_us;
};

void pass_line_begin(struct pass_line *line, const char *route);
/* `log` NULL: none is written. */
void pass_line_end(struct pass_line *line, struct access_log *log, const struct net_address *client);

#endif
