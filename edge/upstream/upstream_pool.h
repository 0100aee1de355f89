/*
 * A worker's side of the upstreams: what a domain's requests go to (struct upstream_target), and for each
 * address the kept-alive connections, newest used first, and the TLS session. An idle connection is watched:
 * a byte or an end that nobody asked for closes it at once. Belongs to its thread.
 */
#ifndef EDGE_UPSTREAM_POOL_H
#define EDGE_UPSTREAM_POOL_H

#include <openssl/types.h>

#include "edge/loop/loop.h"
#include "edge/upstream/upstream_h1.h"
#include "edge/upstream/upstreams.h"

struct upstream_pool;
struct upstream_target;
struct upstream_shelf; /* one address */

enum {
	UPSTREAM_IDLE_MAX = 256,      /* kept per worker and address; the oldest goes */
	UPSTREAM_IDLE_MS = 50 * 1000, /* below the 60 s and 75 s after which usual origins close */
	UPSTREAM_SWEEP_MS = 1000,     /* after which what is kept to a gone address is closed */
};

/* `libctx` as for upstream_tls; `upstreams` is borrowed. */
struct upstream_pool *upstream_pool_new(struct loop *loop, struct upstreams *upstreams, OSSL_LIB_CTX *libctx);
/* Closes what is idle. Nothing may be in use any more. NULL is fine. */
void upstream_pool_free(struct upstream_pool *pool);

/* `url` is a domain's own upstream, NULL: the settings'. A reference for the caller: look it up once per
 * connection. NULL: it cannot be one. */
struct upstream_target *upstream_pool_target(struct upstream_pool *pool, const char *url);
struct upstream_target *upstream_target_ref(struct upstream_target *target);
void upstream_target_unref(struct upstream_target *target); /* NULL is fine */

/* Which address takes the next request; not one of those `tried`. NULL: none is left. The shelf stays at
 * least until upstream_shelf_leave, which each choice needs. */
struct upstream_shelf *upstream_pool_choose(struct upstream_pool *pool, struct upstream_target *target,
    const struct upstream_address *const *tried, size_t tried_count);
void upstream_shelf_leave(struct upstream_shelf *shelf);
struct upstream_address *upstream_shelf_address(const struct upstream_shelf *shelf);

/* No address yet, but its first look-up is under way: on_over is called once, when it has ended or after
 * upstream-connect-timeout. */
bool upstream_target_is_pending(const struct upstream_target *target);
struct upstream_wait {
	TAILQ_ENTRY(upstream_wait) entry;
	struct upstream_target *target;
	int64_t until_ms;
	void (*on_over)(struct upstream_wait *wait);
};
TAILQ_HEAD(upstream_waits, upstream_wait);
void upstream_pool_wait(struct upstream_pool *pool, struct upstream_wait *wait);
void upstream_pool_stop_waiting(struct upstream_pool *pool, struct upstream_wait *wait);

/* Whose request a connection carries, for upstream-proxy-protocol; `client` NULL: nobody's, a check, which
 * has a connection of its own. */
struct upstream_client {
	const struct net_address *client;
	const struct net_address *local; /* where the client's connection came to */
	bool needs_http1;                /* the request is an upgrade */
};

/* A connection to that address that is there: one of HTTP/2 with room, or an idle one; or NULL. One that has
 * something in its socket is not handed out, at the price of a system call: the end would cost a POST, and
 * bytes that came behind the last response would be read as the answer to the next request, perhaps another
 * tenant's. */
struct upstream_call *upstream_pool_take(
    struct upstream_pool *pool, struct upstream_shelf *shelf, const struct upstream_client *client);
/* A new connection, still connecting, which several may wait for where it will be one of HTTP/2: the user
 * gets on_moved. NULL: not even that, as `failure` says. */
struct upstream_call *upstream_pool_connect(struct upstream_pool *pool, struct upstream_shelf *shelf,
    const struct upstream_client *client, enum upstream_failure *failure);
/* Takes a call whose response has ended: its connection is kept, if it can be. */
void upstream_pool_keep(struct upstream_pool *pool, struct upstream_call *call);

/* The settings as this worker goes by them now, until it returns to its loop. */
const struct upstream_config *upstream_pool_config(struct upstream_pool *pool);
const struct upstream_metrics *upstream_pool_metrics(const struct upstream_pool *pool);
int64_t upstream_pool_now(const struct upstream_pool *pool);

/* For the health checks, which choose nothing: the shelf of an address, until upstream_shelf_leave. */
struct upstream_shelf *upstream_pool_visit(struct upstream_pool *pool, struct upstream_address *address);

#endif
