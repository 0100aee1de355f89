#include "edge/upstream_pool.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"
#include "edge/deadline.h"

/* The idle connections to one address, newest first. */
struct shelf {
	struct upstream_h1 *newest, *oldest;
	size_t count;
};

struct upstream_pool {
	struct loop *loop;
	const struct http_config *config;
	struct deadline sweep;
	size_t next;
	struct shelf shelves[UPSTREAM_ADDRESSES_MAX];
};

static struct shelf *shelf_of(struct upstream_pool *pool, const struct upstream_h1 *upstream)
{
	return &pool->shelves[upstream_h1_address(upstream)];
}

static void unlink_idle(struct upstream_pool *pool, struct upstream_h1 *upstream)
{
	struct shelf *shelf = shelf_of(pool, upstream);
	struct upstream_link *link = upstream_h1_link(upstream);

	*(link->newer ? &upstream_h1_link(link->newer)->older : &shelf->newest) = link->older;
	*(link->older ? &upstream_h1_link(link->older)->newer : &shelf->oldest) = link->newer;
	link->newer = link->older = NULL;
	shelf->count--;
}

static void drop(struct upstream_pool *pool, struct upstream_h1 *upstream)
{
	unlink_idle(pool, upstream);
	upstream_h1_close(upstream);
}

static void on_idle_failed(void *arg, enum upstream_failure failure)
{
	struct upstream_h1 *upstream = arg;

	(void)failure;
	drop(upstream_h1_link(upstream)->pool, upstream);
}

static const struct upstream_h1_user idle_user = {.on_failed = on_idle_failed};

static void on_sweep(struct deadline *deadline)
{
	struct upstream_pool *pool = loop_owner(deadline, struct upstream_pool, sweep);
	int64_t now = loop_now(pool->loop);
	int64_t wait_ms = INT64_MAX;

	for (size_t i = 0; i < pool->config->upstreams.count; i++) {
		struct shelf *shelf = &pool->shelves[i];

		while (shelf->oldest && upstream_h1_link(shelf->oldest)->since_ms + UPSTREAM_IDLE_MS <= now)
			drop(pool, shelf->oldest);
		if (!shelf->oldest)
			continue;
		int64_t left = upstream_h1_link(shelf->oldest)->since_ms + UPSTREAM_IDLE_MS - now;
		wait_ms = left < wait_ms ? left : wait_ms;
	}
	if (wait_ms < INT64_MAX)
		deadline_set(&pool->sweep, wait_ms);
}

struct upstream_pool *upstream_pool_new(struct loop *loop, const struct http_config *config)
{
	struct upstream_pool *pool = mem_alloc(sizeof *pool);

	assert(config->upstreams.count > 0);
	pool->loop = loop;
	pool->config = config;
	deadline_init(&pool->sweep, loop, on_sweep);
	return pool;
}

void upstream_pool_free(struct upstream_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->config->upstreams.count; i++)
		while (pool->shelves[i].newest)
			drop(pool, pool->shelves[i].newest);
	deadline_fini(&pool->sweep);
	free(pool);
}

size_t upstream_pool_next(struct upstream_pool *pool)
{
	size_t next = pool->next;

	pool->next = (next + 1) % pool->config->upstreams.count;
	return next;
}

struct upstream_h1 *upstream_pool_take(struct upstream_pool *pool, size_t address)
{
	struct shelf *shelf = &pool->shelves[address];

	while (shelf->newest && upstream_h1_is_stale(shelf->newest))
		drop(pool, shelf->newest);
	struct upstream_h1 *upstream = shelf->newest;
	if (!upstream)
		return NULL;
	unlink_idle(pool, upstream);
	metric_add(pool->config->metrics.upstream_reused, 1);
	return upstream;
}

struct upstream_h1 *upstream_pool_connect(struct upstream_pool *pool, size_t address)
{
	struct upstream_h1 *upstream = upstream_h1_connect(pool->loop, pool->config, address);

	if (upstream)
		metric_add(pool->config->metrics.upstream_new, 1);
	return upstream;
}

void upstream_pool_keep(struct upstream_pool *pool, struct upstream_h1 *upstream)
{
	struct shelf *shelf = shelf_of(pool, upstream);
	struct upstream_link *link = upstream_h1_link(upstream);

	upstream_h1_rest(upstream);
	upstream_h1_attach(upstream, &idle_user, upstream);
	*link =
	    (struct upstream_link){.older = shelf->newest, .since_ms = loop_now(pool->loop), .pool = pool};
	*(shelf->newest ? &upstream_h1_link(shelf->newest)->newer : &shelf->oldest) = upstream;
	shelf->newest = upstream;
	if (++shelf->count > UPSTREAM_IDLE_MAX)
		drop(pool, shelf->oldest);
	if (!deadline_is_set(&pool->sweep))
		deadline_set(&pool->sweep, UPSTREAM_IDLE_MS);
}

size_t upstream_pool_idle_count(const struct upstream_pool *pool)
{
	size_t count = 0;

	for (size_t i = 0; i < pool->config->upstreams.count; i++)
		count += pool->shelves[i].count;
	return count;
}

const struct http_config *upstream_pool_config(const struct upstream_pool *pool)
{
	return pool->config;
}
