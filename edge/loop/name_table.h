/*
 * A hash table of structs by name, for one thread: the entry is embedded, the name belongs to the owner.
 * Grows with what is in it, never shrinks; what bounds it is its owner's limit.
 */
#ifndef EDGE_NAME_TABLE_H
#define EDGE_NAME_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct name_entry {
	struct name_entry *next;
	uint64_t hash;
	const char *name; /* set before name_table_add, lives as long as the entry */
};

struct name_table {
	struct name_entry **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	size_t count;
};

void name_table_fini(struct name_table *table); /* the entries are the owner's to free, before */
struct name_entry *name_table_find(const struct name_table *table, const char *name);
/* The name must not be in the table. */
void name_table_add(struct name_table *table, struct name_entry *entry);
void name_table_remove(struct name_table *table, struct name_entry *entry);

#endif
