#include "edge/site/refusals.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

struct entry {
	struct entry *next;       /* in its bucket */
	TAILQ_ENTRY(entry) order; /* by when it was added, oldest first */
	uint64_t hash;
	int64_t until_ms;
	enum refusal refusal;
	const char *cause;
	char name[];
};

struct refusals {
	TAILQ_HEAD(, entry) oldest;
	size_t count, max;
	size_t mask;
	struct entry **buckets;
};

struct refusals *refusals_new(size_t max)
{
	struct refusals *refusals = mem_alloc(sizeof *refusals);
	size_t buckets = 64;

	assert(max > 0);
	while (buckets < max)
		buckets *= 2;
	TAILQ_INIT(&refusals->oldest);
	refusals->max = max;
	refusals->mask = buckets - 1;
	refusals->buckets = mem_alloc_array(buckets, sizeof(struct entry *));
	return refusals;
}

static struct entry **find_link(struct refusals *refusals, uint64_t hash, const char *name)
{
	struct entry **link = &refusals->buckets[hash & refusals->mask];

	while (*link && ((*link)->hash != hash || strcmp((*link)->name, name) != 0))
		link = &(*link)->next;
	return link;
}

static void remove_at(struct refusals *refusals, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->next;
	TAILQ_REMOVE(&refusals->oldest, entry, order);
	refusals->count--;
	free(entry);
}

void refusals_free(struct refusals *refusals)
{
	struct entry *entry = NULL;

	if (!refusals)
		return;
	while ((entry = TAILQ_FIRST(&refusals->oldest))) {
		TAILQ_REMOVE(&refusals->oldest, entry, order);
		free(entry);
	}
	free(refusals->buckets);
	free(refusals);
}

void refusals_remove(struct refusals *refusals, const char *name)
{
	struct entry **link = find_link(refusals, name_hash(name), name);

	if (*link)
		remove_at(refusals, link);
}

void refusals_remove_under(struct refusals *refusals, const char *wildcard)
{
	struct entry *entry = TAILQ_FIRST(&refusals->oldest);

	while (entry) {
		struct entry *next = TAILQ_NEXT(entry, order);

		if (site_name_is_under(entry->name, wildcard))
			remove_at(refusals, find_link(refusals, entry->hash, entry->name));
		entry = next;
	}
}

static void remove_oldest(struct refusals *refusals)
{
	struct entry *oldest = TAILQ_FIRST(&refusals->oldest);

	remove_at(refusals, find_link(refusals, oldest->hash, oldest->name));
}

void refusals_add(
    struct refusals *refusals, const char *name, enum refusal refusal, const char *cause, int64_t until_ms)
{
	size_t length = strlen(name);
	struct entry *entry = mem_alloc(sizeof *entry + length + 1);

	refusals_remove(refusals, name);
	if (refusals->count == refusals->max)
		remove_oldest(refusals);
	entry->hash = name_hash(name);
	entry->until_ms = until_ms;
	entry->refusal = refusal;
	entry->cause = cause;
	memcpy(entry->name, name, length);
	struct entry **bucket = &refusals->buckets[entry->hash & refusals->mask];
	entry->next = *bucket;
	*bucket = entry;
	TAILQ_INSERT_TAIL(&refusals->oldest, entry, order);
	refusals->count++;
}

enum refusal refusals_find(struct refusals *refusals, const char *name, int64_t now_ms)
{
	struct entry **link = find_link(refusals, name_hash(name), name);

	if (!*link)
		return REFUSAL_NONE;
	if ((*link)->until_ms > now_ms)
		return (*link)->refusal;
	remove_at(refusals, link);
	return REFUSAL_NONE;
}

const char *refusals_cause(struct refusals *refusals, const char *name)
{
	const struct entry *entry = *find_link(refusals, name_hash(name), name);

	return entry ? entry->cause : NULL;
}

size_t refusals_count(const struct refusals *refusals)
{
	return refusals->count;
}
