#include "edge/tls/ticket_keys.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/process.h"

struct generation {
	struct ticket_key key;
	int64_t made_ms; /* monotonic */
};

/* Newest first. They stand in a page of their own that no core dump holds. */
struct generations {
	struct generation own[TICKET_KEY_GENERATIONS];
	struct generation shared[TICKET_KEY_GENERATIONS];
};

struct ticket_keys {
	pthread_mutex_t lock;
	struct generations *page;
	size_t own_count, shared_count;
};

enum { PAGE = 4096 };
_Static_assert(sizeof(struct generations) <= PAGE, "the keys fit their page");

static void rotate_locked(struct ticket_keys *keys, int64_t now)
{
	struct generation *first = keys->page->own;

	if (keys->own_count < TICKET_KEY_GENERATIONS)
		keys->own_count++;
	OPENSSL_cleanse(&first[keys->own_count - 1], sizeof *first);
	memmove(first + 1, first, (keys->own_count - 1) * sizeof *first);
	process_random(&first->key, sizeof first->key);
	first->made_ms = now;
}

static void drop_old_locked(struct generation *generations, size_t *count, int64_t now)
{
	while (*count > 0 &&
	       now - generations[*count - 1].made_ms >= (int64_t)TICKET_KEY_GENERATIONS * TICKET_KEY_LIFE_MS)
		OPENSSL_cleanse(&generations[--*count], sizeof *generations);
}

/* Keys older than all generations together go, however long nobody asked for one. */
static void refresh_locked(struct ticket_keys *keys, int64_t now)
{
	drop_old_locked(keys->page->shared, &keys->shared_count, now);
	if (now - keys->page->own[0].made_ms >= TICKET_KEY_LIFE_MS)
		rotate_locked(keys, now);
	drop_old_locked(keys->page->own, &keys->own_count, now);
}

struct ticket_keys *ticket_keys_new(void)
{
	struct ticket_keys *keys = mem_alloc(sizeof *keys);

	keys->page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (keys->page == MAP_FAILED)
		abort();
	madvise(keys->page, PAGE, MADV_DONTDUMP);
	pthread_mutex_init(&keys->lock, NULL);
	rotate_locked(keys, clock_monotonic_ms());
	return keys;
}

void ticket_keys_free(struct ticket_keys *keys)
{
	if (!keys)
		return;
	OPENSSL_cleanse(keys->page, PAGE);
	munmap(keys->page, PAGE);
	pthread_mutex_destroy(&keys->lock);
	free(keys);
}

/* A node that has not heard of the newest shared key yet could not open its tickets: it seals once everybody
 * has had the time to hear, or where there is no other. A shared key that nobody replaced in time is not used
 * any more. */
static const struct generation *sealing_locked(struct ticket_keys *keys, int64_t now)
{
	const struct generation *shared = keys->page->shared;
	size_t at = 0;

	if (keys->shared_count == 0)
		return &keys->page->own[0];
	while (at + 1 < keys->shared_count && now - shared[at].made_ms < TICKET_KEY_HEARD_MS)
		at++;
	return now - shared[at].made_ms < TICKET_KEY_LIFE_MS ? &shared[at] : &keys->page->own[0];
}

void ticket_keys_newest(struct ticket_keys *keys, struct ticket_key *out)
{
	int64_t now = clock_monotonic_ms();

	pthread_mutex_lock(&keys->lock);
	refresh_locked(keys, now);
	*out = sealing_locked(keys, now)->key;
	pthread_mutex_unlock(&keys->lock);
}

static const struct generation *find(
    const struct generation *generations, size_t count, const unsigned char name[TICKET_KEY_NAME])
{
	for (size_t i = 0; i < count; i++)
		if (memcmp(generations[i].key.name, name, TICKET_KEY_NAME) == 0)
			return &generations[i];
	return NULL;
}

bool ticket_keys_find(
    struct ticket_keys *keys, const unsigned char name[TICKET_KEY_NAME], struct ticket_key *out, bool *renew)
{
	int64_t now = clock_monotonic_ms();

	pthread_mutex_lock(&keys->lock);
	refresh_locked(keys, now);
	const struct generation *found = find(keys->page->shared, keys->shared_count, name);
	if (!found)
		found = find(keys->page->own, keys->own_count, name);
	if (found) {
		*out = found->key;
		*renew = found != sealing_locked(keys, now);
	}
	pthread_mutex_unlock(&keys->lock);
	return found;
}

void ticket_keys_share(
    struct ticket_keys *keys, const struct ticket_key *shared, const int64_t *ages_ms, size_t count)
{
	int64_t now = clock_monotonic_ms();

	assert(count <= TICKET_KEY_GENERATIONS);
	pthread_mutex_lock(&keys->lock);
	OPENSSL_cleanse(keys->page->shared, sizeof keys->page->shared);
	for (size_t i = 0; i < count; i++)
		keys->page->shared[i] = (struct generation){shared[i], now - ages_ms[i]};
	keys->shared_count = count;
	pthread_mutex_unlock(&keys->lock);
}
