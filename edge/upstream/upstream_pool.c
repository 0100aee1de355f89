#include "edge/upstream/upstream_pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/process.h"
#include "edge/upstream/upstream_pool_state.h"

static struct upstream_shelf *shelf_of(const struct upstream_h1 *upstream)
{
	return loop_owner(upstream_h1_place(upstream), struct upstream_shelf, place);
}

/* ---- shelves */

static struct upstream_shelf_list *list_of(struct upstream_pool *pool, const struct upstream_address *address)
{
	uint64_t mixed = (uint64_t)(uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15);

	return &pool->shelves[mixed >> 32 & (UPSTREAM_SHELF_LISTS - 1)];
}

static struct upstream_shelf *find_shelf(struct upstream_pool *pool, const struct upstream_address *address)
{
	struct upstream_shelf *shelf = NULL;

	LIST_FOREACH(shelf, list_of(pool, address), entry)
	if (shelf->place.address == address)
		return shelf;
	return NULL;
}

struct upstream_shelf *upstream_shelf_hold(struct upstream_pool *pool, struct upstream_address *address)
{
	struct upstream_shelf *shelf = find_shelf(pool, address);

	if (!shelf) {
		shelf = mem_alloc(sizeof *shelf);
		shelf->pool = pool;
		shelf->place = (struct upstream_place){.loop = pool->loop,
		    .address = upstream_address_ref(address),
		    .timeouts = &pool->timeouts,
		    .metrics = pool->metrics};
		LIST_INSERT_HEAD(list_of(pool, address), shelf, entry);
	}
	shelf->users++;
	return shelf;
}

void upstream_shelf_drop(struct upstream_shelf *shelf)
{
	if (--shelf->users > 0)
		return;
	LIST_REMOVE(shelf, entry);
	SSL_SESSION_free(shelf->session);
	upstream_address_unref(shelf->place.address);
	free(shelf);
}

struct upstream_address *upstream_shelf_address(const struct upstream_shelf *shelf)
{
	return shelf->place.address;
}

/* ---- idle connections; each holds its shelf */

static void unlink_idle(struct upstream_shelf *shelf, struct upstream_h1 *upstream)
{
	struct upstream_link *link = upstream_h1_link(upstream);

	*(link->newer ? &upstream_h1_link(link->newer)->older : &shelf->newest) = link->older;
	*(link->older ? &upstream_h1_link(link->older)->newer : &shelf->oldest) = link->newer;
	link->newer = link->older = NULL;
	shelf->count--;
	shelf->pool->idle_count--;
	metric_add(shelf->pool->metrics->idle, -1);
}

static void drop(struct upstream_shelf *shelf, struct upstream_h1 *upstream)
{
	unlink_idle(shelf, upstream);
	upstream_h1_close(upstream);
	upstream_shelf_drop(shelf);
}

static void on_idle_failed(void *arg, enum upstream_failure failure)
{
	struct upstream_h1 *upstream = arg;

	(void)failure;
	drop(shelf_of(upstream), upstream);
}

static const struct upstream_user idle_user = {.on_failed = on_idle_failed};

static bool is_gone(const struct upstream_shelf *shelf)
{
	return atomic_load_explicit(&shelf->place.address->gone, memory_order_relaxed);
}

/* Closes what is too old, or all; the last one takes the shelf along where nobody else holds it. */
static void sweep_shelf(struct upstream_shelf *shelf, bool all, int64_t now)
{
	shelf->users++;
	all = all || is_gone(shelf);
	while (shelf->oldest && (all || upstream_h1_link(shelf->oldest)->since_ms + UPSTREAM_IDLE_MS <= now))
		drop(shelf, shelf->oldest);
	upstream_shelf_sweep_h2(shelf, all, now);
	upstream_shelf_drop(shelf);
}

static void sweep_list(struct upstream_shelf_list *list, bool all, int64_t now)
{
	struct upstream_shelf *shelf = LIST_FIRST(list);

	while (shelf) {
		struct upstream_shelf *next = LIST_NEXT(shelf, entry);

		sweep_shelf(shelf, all, now);
		shelf = next;
	}
}

void upstream_pool_sweep(struct upstream_pool *pool, bool all)
{
	for (size_t i = 0; i < UPSTREAM_SHELF_LISTS; i++)
		sweep_list(&pool->shelves[i], all, loop_now(pool->loop));
}

static void on_sweep(struct deadline *deadline)
{
	struct upstream_pool *pool = loop_owner(deadline, struct upstream_pool, sweep);

	upstream_pool_sweep(pool, false);
	if (pool->idle_count > 0)
		deadline_set(&pool->sweep, UPSTREAM_SWEEP_MS);
}

void upstream_pool_start_sweeping(struct upstream_pool *pool)
{
	if (!deadline_is_set(&pool->sweep))
		deadline_set(&pool->sweep, UPSTREAM_SWEEP_MS);
}

struct upstream_call *upstream_pool_take(
    struct upstream_pool *pool, struct upstream_shelf *shelf, const struct upstream_client *client)
{
	bool may_join = !LIST_EMPTY(&shelf->h2) && !client->needs_http1;
	struct upstream_call *joined = may_join ? upstream_shelf_join(shelf) : NULL;

	if (joined) {
		metric_add(pool->metrics->connections_reused, 1);
		return joined;
	}
	while (shelf->newest && upstream_h1_is_stale(shelf->newest))
		drop(shelf, shelf->newest);
	struct upstream_h1 *upstream = shelf->newest;
	if (!upstream)
		return NULL;
	unlink_idle(shelf, upstream);
	upstream_shelf_drop(shelf);
	metric_add(pool->metrics->connections_reused, 1);
	return upstream_h1_call(upstream);
}

static void rest(struct upstream_pool *pool, struct upstream_shelf *shelf, struct upstream_h1 *upstream)
{
	struct upstream_link *link = upstream_h1_link(upstream);

	upstream_h1_rest(upstream);
	upstream_call_attach(upstream_h1_call(upstream), &idle_user, upstream);
	*link = (struct upstream_link){.older = shelf->newest, .since_ms = loop_now(pool->loop)};
	*(shelf->newest ? &upstream_h1_link(shelf->newest)->newer : &shelf->oldest) = upstream;
	shelf->newest = upstream;
	shelf->users++;
	shelf->count++;
	pool->idle_count++;
	metric_add(pool->metrics->idle, 1);
	if (shelf->count > UPSTREAM_IDLE_MAX)
		drop(shelf, shelf->oldest);
	upstream_pool_start_sweeping(pool);
}

void upstream_pool_keep(struct upstream_pool *pool, struct upstream_call *call)
{
	struct upstream_h1 *upstream = upstream_h1_of(call);
	struct upstream_shelf *shelf = upstream ? shelf_of(upstream) : NULL;

	if (!upstream || !upstream_h1_is_reusable(upstream) || pool->config->proxy_v2 || is_gone(shelf))
		upstream_call_close(call);
	else
		rest(pool, shelf, upstream);
}

/* ---- settings */

static void take_config(struct upstream_pool *pool)
{
	upstream_config_unref(pool->config);
	upstream_tls_free(pool->tls);
	pool->tls = NULL;
	pool->config_version = upstreams_config_version(pool->upstreams);
	pool->config = upstreams_config(pool->upstreams);
	pool->timeouts = (struct upstream_timeouts){.connect_ms = pool->config->connect_ms,
	    .first_byte_ms = pool->config->first_byte_ms,
	    .idle_ms = pool->config->idle_ms};
}

/* Who spoke on a connection that is kept was told to nobody: with PROXY headers on, none of them is used.
 * What was connected to without a choice of HTTP/2 is given it. */
void upstream_pool_refresh(struct upstream_pool *pool)
{
	if (upstreams_config_version(pool->upstreams) == pool->config_version)
		return;
	bool had_http2 = pool->config->http2;
	take_config(pool);
	if (pool->config->proxy_v2 || pool->config->http2 != had_http2)
		upstream_pool_sweep(pool, true);
}

const struct upstream_config *upstream_pool_config(struct upstream_pool *pool)
{
	upstream_pool_refresh(pool);
	return pool->config;
}

const struct upstream_metrics *upstream_pool_metrics(const struct upstream_pool *pool)
{
	return pool->metrics;
}

int64_t upstream_pool_now(const struct upstream_pool *pool)
{
	return loop_now(pool->loop);
}

struct upstream_pool *upstream_pool_new(struct loop *loop, struct upstreams *upstreams, OSSL_LIB_CTX *libctx)
{
	struct upstream_pool *pool = mem_alloc(sizeof *pool);

	pool->loop = loop;
	pool->upstreams = upstreams;
	pool->libctx = libctx;
	pool->metrics = upstreams_metrics(upstreams);
	process_random(&pool->random, sizeof pool->random);
	pool->random |= 1;
	deadline_init(&pool->sweep, loop, on_sweep);
	take_config(pool);
	upstream_targets_init(pool);
	return pool;
}

void upstream_pool_free(struct upstream_pool *pool)
{
	if (!pool)
		return;
	upstream_pool_sweep(pool, true);
	upstream_targets_fini(pool);
	deadline_fini(&pool->sweep);
	upstream_tls_free(pool->tls);
	upstream_config_unref(pool->config);
	free(pool);
}
