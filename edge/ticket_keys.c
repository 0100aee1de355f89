#include "edge/ticket_keys.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/process.h"

struct generation {
	struct ticket_key key;
	int64_t made_ms; /* monotonic */
};

/* generations[0] is the newest. They stand in a page of their own that no core dump holds. */
struct ticket_keys {
	pthread_mutex_t lock;
	struct generation *generations;
	size_t count;
};

enum { PAGE = 4096 };

static void rotate_locked(struct ticket_keys *keys, int64_t now)
{
	struct generation *first = keys->generations;

	if (keys->count < TICKET_KEY_GENERATIONS)
		keys->count++;
	OPENSSL_cleanse(&first[keys->count - 1], sizeof *first);
	memmove(first + 1, first, (keys->count - 1) * sizeof *first);
	process_random(&first->key, sizeof first->key);
	first->made_ms = now;
}

/* Keys older than all generations together go, however long nobody asked for one. */
static void refresh_locked(struct ticket_keys *keys)
{
	int64_t now = clock_monotonic_ms();

	if (now - keys->generations[0].made_ms >= TICKET_KEY_LIFE_MS)
		rotate_locked(keys, now);
	while (keys->count > 1 && now - keys->generations[keys->count - 1].made_ms >=
				      (int64_t)TICKET_KEY_GENERATIONS * TICKET_KEY_LIFE_MS)
		OPENSSL_cleanse(&keys->generations[--keys->count], sizeof *keys->generations);
}

struct ticket_keys *ticket_keys_new(void)
{
	struct ticket_keys *keys = mem_alloc(sizeof *keys);

	keys->generations = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (keys->generations == MAP_FAILED)
		abort();
	madvise(keys->generations, PAGE, MADV_DONTDUMP);
	pthread_mutex_init(&keys->lock, NULL);
	rotate_locked(keys, clock_monotonic_ms());
	return keys;
}

void ticket_keys_free(struct ticket_keys *keys)
{
	if (!keys)
		return;
	OPENSSL_cleanse(keys->generations, PAGE);
	munmap(keys->generations, PAGE);
	pthread_mutex_destroy(&keys->lock);
	free(keys);
}

void ticket_keys_newest(struct ticket_keys *keys, struct ticket_key *out)
{
	pthread_mutex_lock(&keys->lock);
	refresh_locked(keys);
	*out = keys->generations[0].key;
	pthread_mutex_unlock(&keys->lock);
}

bool ticket_keys_find(
    struct ticket_keys *keys, const unsigned char name[TICKET_KEY_NAME], struct ticket_key *out, bool *renew)
{
	bool found = false;

	pthread_mutex_lock(&keys->lock);
	refresh_locked(keys);
	for (size_t i = 0; i < keys->count && !found; i++) {
		if (memcmp(keys->generations[i].key.name, name, TICKET_KEY_NAME) != 0)
			continue;
		*out = keys->generations[i].key;
		*renew = i > 0;
		found = true;
	}
	pthread_mutex_unlock(&keys->lock);
	return found;
}
