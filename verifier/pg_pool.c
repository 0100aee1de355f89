#include "verifier/pg_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"

/* A connection that lay idle for longer is tried before a request is trusted to it. */
enum { TRUSTED_MS = 3000, TRY_MS = 1000 };

struct slot {
	struct pg *pg;
	int64_t used_at_ms;
	bool taken;
};

struct pg_pool {
	pthread_mutex_t lock;
	pthread_cond_t given;
	struct slot slots[PG_POOL_SIZE];
};

struct pg_pool *pg_pool_new(const char *conninfo, const char *role)
{
	struct pg_pool *pool = mem_alloc(sizeof *pool);
	pthread_mutex_init(&pool->lock, NULL);
	condition_init(&pool->given);
	for (size_t i = 0; i < PG_POOL_SIZE; i++)
		pool->slots[i].pg = pg_new(conninfo, role);
	return pool;
}

void pg_pool_free(struct pg_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < PG_POOL_SIZE; i++)
		pg_free(pool->slots[i].pg);
	pthread_cond_destroy(&pool->given);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

/* The one used last: the others may go on sleeping. */
static struct slot *find_free(struct pg_pool *pool)
{
	struct slot *best = NULL;
	for (size_t i = 0; i < PG_POOL_SIZE; i++) {
		struct slot *slot = &pool->slots[i];
		if (!slot->taken && (!best || slot->used_at_ms > best->used_at_ms))
			best = slot;
	}
	return best;
}

static struct slot *wait_free(struct pg_pool *pool, int64_t deadline_ms)
{
	pthread_mutex_lock(&pool->lock);
	struct slot *slot = find_free(pool);
	while (!slot && condition_wait_until(&pool->given, &pool->lock, deadline_ms))
		slot = find_free(pool);
	if (slot)
		slot->taken = true;
	pthread_mutex_unlock(&pool->lock);
	return slot;
}

static bool works(struct slot *slot, int64_t deadline_ms, struct error *error)
{
	int64_t now = clock_monotonic_ms();
	if (pg_is_ready(slot->pg) && slot->used_at_ms && now - slot->used_at_ms < TRUSTED_MS)
		return true;
	/* Twice: the first may find that the server has closed the old connection. */
	for (int i = 0; i < 2; i++) {
		int left = deadline_ms > clock_monotonic_ms() ? (int)(deadline_ms - clock_monotonic_ms()) : 1;
		if (pg_wait_ready(slot->pg, left, error) != R_OK)
			return false;
		if (pg_query(slot->pg, TRY_MS, NULL, error, "SELECT 1", NULL, 0) == R_OK)
			return true;
	}
	return false;
}

struct pg *pg_pool_take(struct pg_pool *pool, struct error *error)
{
	int64_t deadline_ms = clock_monotonic_ms() + PG_POOL_WAIT_MS;
	struct slot *slot = wait_free(pool, deadline_ms);
	if (!slot) {
		error_set(error, "all database connections are busy");
		return NULL;
	}
	if (works(slot, deadline_ms, error))
		return slot->pg;
	pg_pool_give(pool, slot->pg);
	return NULL;
}

void pg_pool_give(struct pg_pool *pool, struct pg *pg)
{
	pthread_mutex_lock(&pool->lock);
	for (size_t i = 0; i < PG_POOL_SIZE; i++) {
		if (pool->slots[i].pg == pg) {
			pool->slots[i].taken = false;
			pool->slots[i].used_at_ms = clock_monotonic_ms();
		}
	}
	pthread_cond_signal(&pool->given);
	pthread_mutex_unlock(&pool->lock);
}
