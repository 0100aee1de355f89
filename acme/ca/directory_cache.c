#include "acme/ca/directory_cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

struct directory_cache {
	pthread_mutex_t lock;
	bool is_known;
	bool is_fetched; /* by a thread, now */
	int failures;    /* in a row */
	int64_t fresh_until_ms;
	int64_t held_until_ms;
	struct acme_failure failure;
	struct acme_directory directory;
};

struct directory_cache *directory_cache_new(void)
{
	struct directory_cache *cache = mem_alloc(sizeof *cache);
	pthread_mutex_init(&cache->lock, NULL);
	return cache;
}

void directory_cache_free(struct directory_cache *cache)
{
	if (!cache)
		return;
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static enum result look_locked(struct directory_cache *cache, struct acme_failure *failure)
{
	int64_t now = clock_monotonic_ms();
	int64_t held_ms = cache->failures > 0 ? cache->held_until_ms - now : 0;
	if (cache->is_known && (now < cache->fresh_until_ms || cache->is_fetched || held_ms > 0))
		return R_OK;
	if (cache->is_fetched)
		return R_AGAIN;
	if (held_ms > 0) {
		*failure = cache->failure;
		failure->held_ms = held_ms;
		return R_ERROR;
	}
	cache->is_fetched = true;
	return R_NONE;
}

enum result directory_cache_look(
    struct directory_cache *cache, struct acme_directory *out, struct acme_failure *failure)
{
	pthread_mutex_lock(&cache->lock);
	enum result result = look_locked(cache, failure);
	if (result == R_OK)
		*out = cache->directory;
	pthread_mutex_unlock(&cache->lock);
	return result;
}

void directory_cache_keep(struct directory_cache *cache, const struct acme_directory *directory)
{
	pthread_mutex_lock(&cache->lock);
	cache->directory = *directory;
	cache->fresh_until_ms = clock_monotonic_ms() + DIRECTORY_LIFE_MS;
	cache->failures = 0;
	cache->is_known = true;
	cache->is_fetched = false;
	pthread_mutex_unlock(&cache->lock);
}

static int64_t hold_ms(int failures, int64_t asked_ms)
{
	int64_t hold = (int64_t)DIRECTORY_HOLD_MIN_MS << (failures < 8 ? failures - 1 : 7);
	hold = hold < DIRECTORY_HOLD_MAX_MS ? hold : DIRECTORY_HOLD_MAX_MS;
	asked_ms = asked_ms < DIRECTORY_ASKED_MAX_MS ? asked_ms : DIRECTORY_ASKED_MAX_MS;
	return asked_ms > hold ? asked_ms : hold;
}

enum result directory_cache_failed(
    struct directory_cache *cache, const struct acme_failure *failure, struct acme_directory *out)
{
	pthread_mutex_lock(&cache->lock);
	cache->failure = *failure;
	cache->is_fetched = false;
	cache->held_until_ms = clock_monotonic_ms() + hold_ms(++cache->failures, failure->retry_after * 1000);
	bool is_known = cache->is_known;
	if (is_known)
		*out = cache->directory;
	pthread_mutex_unlock(&cache->lock);
	return is_known ? R_OK : R_ERROR;
}
