/*
 * What the parts of a worker's upstream pool share: upstream_pool.c (kept connections), upstream_pool_dial.c
 * (new ones), upstream_pool_h2.c (those of HTTP/2), upstream_target.c (groups as the worker sees them, and
 * choosing). Nobody else includes this.
 */
#ifndef EDGE_UPSTREAM_POOL_STATE_H
#define EDGE_UPSTREAM_POOL_STATE_H

#include "edge/loop/deadline.h"
#include "edge/upstream/upstream_h2.h"
#include "edge/upstream/upstream_pool.h"
#include "edge/upstream/upstream_tls.h"

/* The idle connections to one address, newest first. */
struct upstream_shelf {
	struct upstream_place place;
	struct upstream_pool *pool;
	LIST_ENTRY(upstream_shelf) entry;
	size_t users; /* targets, requests, and its own connections: without any it is freed */
	SSL_SESSION *session;
	struct upstream_h1 *newest, *oldest;
	size_t count;
	LIST_HEAD(, upstream_h2_link) h2; /* each holds the shelf */
	size_t idle_h2;                   /* of these */
	LIST_HEAD(, pool_dial) dials;     /* that HTTP/2 is expected of: others may wait, too */
};

enum { UPSTREAM_SHELF_LISTS = 256 };
LIST_HEAD(upstream_shelf_list, upstream_shelf);

struct upstream_target {
	struct name_entry entry; /* by its URL; "" for the settings' */
	struct upstream_pool *pool;
	char *url;
	size_t references;
	struct upstream_group *group;
	unsigned version;
	struct upstream_members *members;
	struct upstream_shelf *shelves[UPSTREAM_ADDRESSES_MAX]; /* of the members */
};

struct upstream_pool {
	struct loop *loop;
	struct upstreams *upstreams;
	OSSL_LIB_CTX *libctx;
	const struct upstream_metrics *metrics;
	struct upstream_config *config;
	unsigned config_version;
	struct upstream_timeouts timeouts;
	struct upstream_tls *tls; /* NULL until it is needed */
	uint64_t random;
	struct deadline sweep;
	struct upstream_shelf_list shelves[UPSTREAM_SHELF_LISTS]; /* by address */
	size_t idle_count;
	struct name_table targets;
	struct upstream_target *defaults;
	struct upstream_waits waits;
	struct loop_timer wait_timer;
};

/* upstream_pool.c */
/* Goes by the newest settings. */
void upstream_pool_refresh(struct upstream_pool *pool);
struct upstream_shelf *upstream_shelf_hold(struct upstream_pool *pool, struct upstream_address *address);
void upstream_shelf_drop(struct upstream_shelf *shelf);
/* Starts the clock by which idle connections are closed. */
void upstream_pool_start_sweeping(struct upstream_pool *pool);
/* Closes connections that have been idle for too long, or `all` that are idle. */
void upstream_pool_sweep(struct upstream_pool *pool, bool all);

/* upstream_pool_h2.c */
/* A stream of a connection that has room for one more; NULL: none. */
struct upstream_call *upstream_shelf_join(struct upstream_shelf *shelf);
/* A new connection, with as many of those who wait as it takes. */
void upstream_shelf_open_h2(
    struct upstream_shelf *shelf, struct upstream_opened *opened, struct upstream_wait_list *list);
void upstream_shelf_sweep_h2(struct upstream_shelf *shelf, bool all, int64_t now);

/* upstream_target.c */
void upstream_targets_init(struct upstream_pool *pool);
void upstream_targets_fini(struct upstream_pool *pool);

#endif
