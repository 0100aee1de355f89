#include "edge/conn/conn_table.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/mem.h"

struct slot {
	struct conn *conn; /* NULL: free */
	uint32_t generation;
	uint32_t next_free; /* index + 1; 0: the last */
};

struct conn_table {
	struct slot *slots;
	uint32_t slot_count;
	uint32_t first_free; /* index + 1; 0: none */
	size_t count;
};

struct conn_table *conn_table_new(void)
{
	return mem_alloc(sizeof(struct conn_table));
}

void conn_table_free(struct conn_table *table)
{
	if (!table)
		return;
	free(table->slots);
	free(table);
}

static void grow(struct conn_table *table)
{
	uint32_t old = table->slot_count;

	table->slot_count = old ? 2 * old : 64;
	table->slots = mem_resize(table->slots, table->slot_count * sizeof *table->slots);
	for (uint32_t i = table->slot_count; i-- > old;) {
		table->slots[i] = (struct slot){.generation = 1, .next_free = table->first_free};
		table->first_free = i + 1;
	}
}

uint64_t conn_table_add(struct conn_table *table, struct conn *conn)
{
	if (table->first_free == 0)
		grow(table);
	uint32_t index = table->first_free - 1;
	struct slot *slot = &table->slots[index];
	table->first_free = slot->next_free;
	slot->conn = conn;
	table->count++;
	return (uint64_t)slot->generation << 32 | index;
}

static struct slot *find_slot(const struct conn_table *table, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	struct slot *slot = index < table->slot_count ? &table->slots[index] : NULL;

	return slot && slot->conn && slot->generation == id >> 32 ? slot : NULL;
}

struct conn *conn_table_find(const struct conn_table *table, uint64_t id)
{
	struct slot *slot = find_slot(table, id);

	return slot ? slot->conn : NULL;
}

void conn_table_remove(struct conn_table *table, uint64_t id)
{
	struct slot *slot = find_slot(table, id);

	assert(slot);
	slot->conn = NULL;
	/* Generation 0 would make the id of slot 0 zero. */
	slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
	slot->next_free = table->first_free;
	table->first_free = (uint32_t)id + 1;
	table->count--;
}

size_t conn_table_count(const struct conn_table *table)
{
	return table->count;
}

void conn_table_each(struct conn_table *table, void (*visit)(struct conn *conn))
{
	for (uint32_t i = 0; i < table->slot_count; i++)
		if (table->slots[i].conn)
			visit(table->slots[i].conn);
}
