/*
 * What is counted of upstreams.
 */
#ifndef EDGE_UPSTREAM_METRICS_H
#define EDGE_UPSTREAM_METRICS_H

#include "common/daemon/metrics.h"
#include "edge/upstream/upstream_address.h"

enum upstream_retry {
	UPSTREAM_RETRY_CONNECT,     /* no connection, another address */
	UPSTREAM_RETRY_DEAD,        /* a kept connection proved dead */
	UPSTREAM_RETRY_UNPROCESSED, /* an HTTP/2 upstream said that it had not looked at it */
	UPSTREAM_RETRY_CLOSED, /* a new connection ended without an answer: an idempotent request, once */
	UPSTREAM_RETRY_COUNT,
};

struct upstream_metrics {
	struct metric *connections_new, *connections_reused;
	struct metric *tls_full, *tls_resumed;
	struct metric *failures[UPSTREAM_FAILURE_COUNT];
	struct metric *retries[UPSTREAM_RETRY_COUNT];
	struct metric *ejections;
	struct metric *lookups_ok, *lookups_failed;
	struct metric *checks_ok, *checks_failed;
	struct metric *groups_refused;
	struct metric *h2_connections, *h2_broken;
	struct metric *outstanding, *idle, *groups, *addresses;
};

void upstream_metrics_init(struct upstream_metrics *metrics);

/* Gauges of one value of the setting `upstream`. Series stay for ever: of all reloads together
 * UPSTREAM_GAUGES_MAX different values have them, later ones get none (NULL). Under the upstreams' lock. */
enum { UPSTREAM_GAUGES_MAX = 64 };
struct upstream_gauges {
	struct metric *up;        /* addresses that requests can go to now */
	struct metric *addresses; /* all that its name has */
};
struct upstream_gauges upstream_gauges_of(const char *upstream);

#endif
