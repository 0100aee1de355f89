/*
 * A worker's kept-alive connections to the upstreams, newest used first. An idle one is watched: a byte or an
 * end that nobody asked for closes it at once. Belongs to the worker's thread.
 */
#ifndef EDGE_UPSTREAM_POOL_H
#define EDGE_UPSTREAM_POOL_H

#include "edge/http_config.h"
#include "edge/loop.h"
#include "edge/upstream_h1.h"

struct upstream_pool;

enum {
	UPSTREAM_IDLE_MAX = 256,      /* kept per worker and address; the oldest goes */
	UPSTREAM_IDLE_MS = 50 * 1000, /* below the 60 s and 75 s after which usual origins close */
};

struct upstream_pool *upstream_pool_new(struct loop *loop, const struct http_config *config);
/* Closes what is idle. Nothing may be in use any more. */
void upstream_pool_free(struct upstream_pool *pool);

/* Whose turn it is: an index into the address list. */
size_t upstream_pool_next(struct upstream_pool *pool);
/* An idle connection to that address, or NULL. One that has something in its socket is not handed out, at the
 * price of a system call: the end would cost a POST, and bytes that came behind the last response would be
 * read as the answer to the next request, perhaps another tenant's. */
struct upstream_h1 *upstream_pool_take(struct upstream_pool *pool, size_t address);
/* A new connection, still connecting. NULL: not even that (out of descriptors). */
struct upstream_h1 *upstream_pool_connect(struct upstream_pool *pool, size_t address);
/* Gives back a connection that upstream_h1_is_reusable. */
void upstream_pool_keep(struct upstream_pool *pool, struct upstream_h1 *upstream);
size_t upstream_pool_idle_count(const struct upstream_pool *pool);

const struct http_config *upstream_pool_config(const struct upstream_pool *pool);

#endif
