#include "acme/ca/nonce.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/ca/jws.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

struct entry {
	char text[NONCE_SIZE];
	int64_t put_ms;
};

/* A ring: `first` is the oldest of `count`. */
struct nonce_pool {
	pthread_mutex_t lock;
	struct entry entries[NONCE_POOL_MAX];
	size_t first;
	size_t count;
};

struct nonce_pool *nonce_pool_new(void)
{
	struct nonce_pool *pool = mem_alloc(sizeof *pool);
	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void nonce_pool_free(struct nonce_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

bool nonce_take(struct nonce_pool *pool, char out[NONCE_SIZE])
{
	bool found = false;
	pthread_mutex_lock(&pool->lock);
	if (pool->count > 0) {
		const struct entry *newest = &pool->entries[(pool->first + pool->count - 1) % NONCE_POOL_MAX];
		found = clock_monotonic_ms() - newest->put_ms < NONCE_LIFE_MS;
		if (found)
			memcpy(out, newest->text, NONCE_SIZE);
		/* Where the newest is too old, so are all others. */
		pool->count = found ? pool->count - 1 : 0;
	}
	pthread_mutex_unlock(&pool->lock);
	return found;
}

void nonce_put(struct nonce_pool *pool, const char *nonce)
{
	if (!nonce || strlen(nonce) >= NONCE_SIZE || !base64url_is_token(nonce))
		return;
	pthread_mutex_lock(&pool->lock);
	if (pool->count == NONCE_POOL_MAX) {
		pool->first = (pool->first + 1) % NONCE_POOL_MAX;
		pool->count--;
	}
	struct entry *entry = &pool->entries[(pool->first + pool->count) % NONCE_POOL_MAX];
	snprintf(entry->text, sizeof entry->text, "%s", nonce);
	entry->put_ms = clock_monotonic_ms();
	pool->count++;
	pthread_mutex_unlock(&pool->lock);
}

void nonce_flush(struct nonce_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->count = 0;
	pthread_mutex_unlock(&pool->lock);
}
