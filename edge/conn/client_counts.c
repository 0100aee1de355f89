#include "edge/conn/client_counts.h"

#include <assert.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/process.h"
#include "edge/loop/name_hash.h"

enum { BUCKETS = 16384, LOCKS = 64, KEY_SIZE = 8 };

struct entry {
	struct entry *next;
	unsigned char key[KEY_SIZE];
	int64_t count;
};

struct client_counts {
	unsigned char secret[16];
	pthread_mutex_t locks[LOCKS]; /* of every LOCKS-th bucket each */
	struct entry *buckets[BUCKETS];
};

struct place {
	pthread_mutex_t *lock;
	struct entry **bucket;
	unsigned char key[KEY_SIZE];
};

struct client_counts *client_counts_new(void)
{
	struct client_counts *counts = mem_alloc(sizeof *counts);

	process_random(counts->secret, sizeof counts->secret);
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_init(&counts->locks[i], NULL);
	return counts;
}

void client_counts_free(struct client_counts *counts)
{
	if (!counts)
		return;
	for (int i = 0; i < BUCKETS; i++) {
		while (counts->buckets[i]) {
			struct entry *entry = counts->buckets[i];

			counts->buckets[i] = entry->next;
			free(entry);
		}
	}
	for (int i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&counts->locks[i]);
	free(counts);
}

/* An IPv4 address keeps its IPv4-mapped form's last eight bytes, which no /64 of clients begins with. */
static bool make_key(unsigned char key[KEY_SIZE], const struct net_address *client)
{
	static const unsigned char mapped[4] = {0, 0, 0xff, 0xff};

	if (client->storage.ss_family == AF_INET) {
		memcpy(key, mapped, sizeof mapped);
		memcpy(key + 4, &((const struct sockaddr_in *)&client->storage)->sin_addr, 4);
		return true;
	}
	if (client->storage.ss_family != AF_INET6)
		return false;
	const struct in6_addr *address = &((const struct sockaddr_in6 *)&client->storage)->sin6_addr;
	memcpy(key, address->s6_addr + (IN6_IS_ADDR_V4MAPPED(address) ? KEY_SIZE : 0), KEY_SIZE);
	return true;
}

static bool find_place(struct place *place, struct client_counts *counts, const struct net_address *client)
{
	if (client->size == 0 || !make_key(place->key, client))
		return false;
	uint64_t hash = name_hash_keyed(counts->secret, place->key, KEY_SIZE);
	place->lock = &counts->locks[hash % LOCKS];
	place->bucket = &counts->buckets[hash % BUCKETS];
	return true;
}

static struct entry **find_locked(const struct place *place)
{
	struct entry **link = place->bucket;

	while (*link && memcmp((*link)->key, place->key, KEY_SIZE) != 0)
		link = &(*link)->next;
	return link;
}

static bool take_locked(const struct place *place, int64_t max)
{
	struct entry **link = find_locked(place);

	if (!*link) {
		*link = mem_alloc(sizeof **link);
		memcpy((*link)->key, place->key, KEY_SIZE);
	}
	if ((*link)->count >= max)
		return false;
	(*link)->count++;
	return true;
}

bool client_counts_take(struct client_counts *counts, const struct net_address *client, int64_t max)
{
	struct place place;

	if (!find_place(&place, counts, client))
		return true;
	pthread_mutex_lock(place.lock);
	bool taken = take_locked(&place, max);
	pthread_mutex_unlock(place.lock);
	return taken;
}

void client_counts_give(struct client_counts *counts, const struct net_address *client)
{
	struct place place;

	if (!find_place(&place, counts, client))
		return;
	pthread_mutex_lock(place.lock);
	struct entry **link = find_locked(&place);
	struct entry *entry = *link;
	assert(entry && entry->count > 0);
	if (--entry->count == 0) {
		*link = entry->next;
		free(entry);
	}
	pthread_mutex_unlock(place.lock);
}
