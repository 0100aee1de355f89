/*
 * What strangers can make this process hold, and how long: from the settings, and where those leave it open
 * from what the machine gives.
 */
#ifndef EDGE_EDGE_LIMITS_H
#define EDGE_EDGE_LIMITS_H

#include "common/settings/settings.h"

struct edge_limits {
	int64_t max_connections;
	int64_t max_connections_per_client; /* 0: no such limit */
	int64_t max_memory;
	int64_t max_waiting;
	int64_t max_waiting_bytes;
	int64_t hello_timeout_ms;
	int64_t handshake_timeout_ms;
};

void edge_limits_read(struct edge_limits *limits, const struct settings *settings);

#endif
