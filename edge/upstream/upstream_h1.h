/*
 * The client side of one HTTP/1.1 connection to an upstream: sends one request after the other, reads the
 * responses strictly, and knows whether the connection can be trusted with the next. Both directions are
 * bounded buffers; who does not take makes it stop reading.
 */
#ifndef EDGE_UPSTREAM_H1_H
#define EDGE_UPSTREAM_H1_H

#include "edge/upstream/upstream_dial.h"

struct upstream_h1;

enum { UPSTREAM_READ_BUFFER = 256 * 1024 };

/* Takes the stream. A request may be started at once. */
struct upstream_h1 *upstream_h1_new(const struct upstream_place *place, struct upstream_opened *opened);
void upstream_h1_close(struct upstream_h1 *upstream);
/* The whole connection, as the place of the one request that it has. */
struct upstream_call *upstream_h1_call(struct upstream_h1 *upstream);
/* NULL: it is none of HTTP/1.1. */
struct upstream_h1 *upstream_h1_of(struct upstream_call *call);

bool upstream_h1_is_reusable(const struct upstream_h1 *upstream);
const struct upstream_place *upstream_h1_place(const struct upstream_h1 *upstream);
/* Idle, and an end or a stray byte is there already (a system call). Tickets of TLS are no stray bytes. */
bool upstream_h1_is_stale(struct upstream_h1 *upstream);
/* For the pool: idle, its buffers given back but for a small one. */
void upstream_h1_rest(struct upstream_h1 *upstream);

/* The pool's own, embedded. */
struct upstream_link {
	struct upstream_h1 *newer, *older;
	int64_t since_ms;
};
struct upstream_link *upstream_h1_link(struct upstream_h1 *upstream);

#endif
