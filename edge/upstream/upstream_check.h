/*
 * Active health checks: one thread asks each upstream address that the process knows for `upstream-health`,
 * once an interval, however many domains and workers use it. A check is a request like any other, over TLS
 * where the upstream's are, on a connection of its own. Servers of pass-through are probed as they ask for
 * it: by a connection, or a TLS hello.
 */
#ifndef EDGE_UPSTREAM_CHECK_H
#define EDGE_UPSTREAM_CHECK_H

#include "edge/upstream/upstreams.h"

struct upstream_checks;

enum {
	UPSTREAM_CHECKS_AT_ONCE = 256, /* the others wait for the next round */
	UPSTREAM_CHECK_MAX_MS = 5000,
	UPSTREAM_CHECKS_TO_TURN = 2, /* in a row: down, or up */
};

/* Starts the thread; without `upstream-health` it asks nobody by HTTP until a reload sets it. */
enum result upstream_checks_start(
    struct upstream_checks **out, struct upstreams *upstreams, struct error *error);
/* Stops and joins it. NULL is fine. */
void upstream_checks_free(struct upstream_checks *checks);

#endif
