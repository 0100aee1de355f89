#include "edge/loop/name_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

enum { BUCKETS_AT_FIRST = 64 };

void name_table_fini(struct name_table *table)
{
	free(table->buckets);
	*table = (struct name_table){0};
}

static struct name_entry **bucket_of(const struct name_table *table, uint64_t hash)
{
	return &table->buckets[hash & (table->bucket_count - 1)];
}

struct name_entry *name_table_find(const struct name_table *table, const char *name)
{
	uint64_t hash = name_hash(name);

	if (table->count == 0)
		return NULL;
	struct name_entry *entry = *bucket_of(table, hash);
	while (entry && (entry->hash != hash || strcmp(entry->name, name) != 0))
		entry = entry->next;
	return entry;
}

static void put(struct name_table *table, struct name_entry *entry)
{
	struct name_entry **bucket = bucket_of(table, entry->hash);

	entry->next = *bucket;
	*bucket = entry;
}

static void grow(struct name_table *table)
{
	struct name_table old = *table;

	table->bucket_count = old.bucket_count ? 2 * old.bucket_count : BUCKETS_AT_FIRST;
	table->buckets = mem_alloc_array(table->bucket_count, sizeof(struct name_entry *));
	for (size_t i = 0; i < old.bucket_count; i++) {
		for (struct name_entry *entry = old.buckets[i], *next = NULL; entry; entry = next) {
			next = entry->next;
			put(table, entry);
		}
	}
	free(old.buckets);
}

void name_table_add(struct name_table *table, struct name_entry *entry)
{
	if (table->count == table->bucket_count)
		grow(table);
	entry->hash = name_hash(entry->name);
	put(table, entry);
	table->count++;
}

void name_table_remove(struct name_table *table, struct name_entry *entry)
{
	struct name_entry **link = bucket_of(table, entry->hash);

	while (*link && *link != entry)
		link = &(*link)->next;
	assert(*link == entry);
	*link = entry->next;
	table->count--;
}
