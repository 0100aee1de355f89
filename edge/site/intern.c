#include "edge/site/intern.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

enum { BUCKETS = 1024 };

struct interned {
	struct interned *next;
	size_t references;
	size_t size;
	uint64_t hash;
	unsigned char bytes[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct interned *buckets[BUCKETS];

/* Not keyed: what comes here was signed by a CA or stored by the operator, and equality is checked by bytes.
 */
static uint64_t hash_bytes(const void *bytes, size_t size)
{
	static const unsigned char key[16];

	return name_hash_keyed(key, bytes, size);
}

static struct interned *find_locked(uint64_t hash, const void *bytes, size_t size)
{
	struct interned *entry = buckets[hash % BUCKETS];

	while (
	    entry && (entry->hash != hash || entry->size != size || memcmp(entry->bytes, bytes, size) != 0))
		entry = entry->next;
	return entry;
}

static struct interned *add_locked(uint64_t hash, const void *bytes, size_t size)
{
	struct interned *entry = mem_alloc(sizeof *entry + size);

	entry->hash = hash;
	entry->size = size;
	memcpy(entry->bytes, bytes, size);
	entry->next = buckets[hash % BUCKETS];
	buckets[hash % BUCKETS] = entry;
	return entry;
}

static void remove_locked(struct interned *entry)
{
	struct interned **link = &buckets[entry->hash % BUCKETS];

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	free(entry);
}

unsigned char *intern_get(const void *bytes, size_t size, bool *is_new)
{
	uint64_t hash = hash_bytes(bytes, size);

	pthread_mutex_lock(&lock);
	struct interned *entry = find_locked(hash, bytes, size);
	*is_new = !entry;
	if (!entry)
		entry = add_locked(hash, bytes, size);
	entry->references++;
	pthread_mutex_unlock(&lock);
	return entry->bytes;
}

void intern_release(unsigned char *bytes)
{
	if (!bytes)
		return;
	struct interned *entry = (struct interned *)(void *)(bytes - offsetof(struct interned, bytes));
	pthread_mutex_lock(&lock);
	if (--entry->references == 0)
		remove_locked(entry);
	pthread_mutex_unlock(&lock);
}
