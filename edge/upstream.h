/*
 * Where requests go: the addresses behind the `upstream` settings, as they resolved at start. Pure data;
 * connections to them are upstream_h1, who keeps those is upstream_pool.
 */
#ifndef EDGE_UPSTREAM_H
#define EDGE_UPSTREAM_H

#include "common/net.h"

/* At most this many addresses in all; more end the start. */
enum { UPSTREAM_ADDRESSES_MAX = 64 };

struct upstream_address {
	struct net_address address;
	char text[NET_ADDRESS_TEXT]; /* for logs */
};

struct upstream_list {
	struct upstream_address addresses[UPSTREAM_ADDRESSES_MAX];
	size_t count;
};

/* Why an upstream could not answer. */
enum upstream_failure {
	UPSTREAM_REFUSED, /* no connection: refused, unreachable, out of descriptors */
	UPSTREAM_CONNECT_TIMEOUT,
	UPSTREAM_CLOSED,    /* ended before a whole response */
	UPSTREAM_TIMEOUT,   /* silent for too long */
	UPSTREAM_MALFORMED, /* what came is no response that can be passed on */
	UPSTREAM_FAILURE_COUNT,
};
const char *upstream_failure_name(enum upstream_failure failure); /* label of the metric */

/* Adds every address of `http://host[:port]`. Blocking look-up. R_INVALID, R_LIMIT: the error says the mend.
 */
enum result upstream_list_add(struct upstream_list *list, const char *url, struct error *error);

#endif
