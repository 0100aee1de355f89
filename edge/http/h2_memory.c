#include "edge/http/h2_memory.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/tally.h"

enum {
	/* Small pieces there are a few of for each stream, whose own size stands for them. */
	COUNTED_FROM = 512,
	/* nghttp2's buffer for a frame of the largest size that it sends, with a header and the length of
	 * padding. It is filled and read between two calls of ours, and holds nothing when there is nothing
	 * to send. */
	FRAME_BUFFER = 16384 + 9 + 1,
	SLOT_COUNTED = 2 * H2_SLOT_PAGE, /* what most sessions use of a slot */
};

static void count(void *memory, int sign)
{
	size_t size = memory ? malloc_usable_size(memory) : 0;

	if (size >= COUNTED_FROM)
		tally_add(TALLY_BUFFER_BYTES, sign * (int64_t)size);
}

static void *counted(void *memory)
{
	count(memory, 1);
	return memory;
}

static void discount(void *memory)
{
	count(memory, -1);
}

static void *counted_malloc(size_t size, void *arg)
{
	(void)arg;
	return counted(malloc(size));
}

static void counted_free(void *memory, void *arg)
{
	(void)arg;
	discount(memory);
	free(memory);
}

static void *counted_calloc(size_t count, size_t size, void *arg)
{
	(void)arg;
	return counted(calloc(count, size));
}

static void *counted_realloc(void *memory, size_t size, void *arg)
{
	(void)arg;
	discount(memory);
	void *larger = realloc(memory, size);
	return counted(larger);
}

nghttp2_mem *h2_memory(void)
{
	static nghttp2_mem memory = {NULL, counted_malloc, counted_free, counted_calloc, counted_realloc};

	return &memory;
}

/* ---- in a slot */

static char *frame_of(const struct h2_memory *memory)
{
	return memory->slot;
}

static char *table_of(const struct h2_memory *memory)
{
	return memory->slot + H2_SLOT_FRAME;
}

static bool has_slot(struct h2_memory *memory)
{
	if (memory->slot || !memory->slots)
		return memory->slot;
	memory->slot = h2_slots_take(memory->slots);
	if (memory->slot)
		tally_add(TALLY_BUFFER_BYTES, SLOT_COUNTED);
	return memory->slot;
}

static void leave_slot(struct h2_memory *memory)
{
	if (memory->has_frame || memory->has_table)
		return;
	tally_add(TALLY_BUFFER_BYTES, -(int64_t)SLOT_COUNTED);
	h2_slots_give(memory->slots, memory->slot);
	memory->slot = NULL;
}

/* Only while the session is made: what asks for as much later may be something else. */
static void *session_malloc(size_t size, void *arg)
{
	struct h2_memory *memory = arg;

	if (size != FRAME_BUFFER || memory->is_made || memory->has_frame || !has_slot(memory))
		return counted_malloc(size, NULL);
	memory->has_frame = true;
	return frame_of(memory);
}

static void *session_calloc(size_t count, size_t size, void *arg)
{
	struct h2_memory *memory = arg;

	if (count * size != H2_SLOT_TABLE || memory->is_made || memory->has_table || !has_slot(memory))
		return counted_calloc(count, size, NULL);
	memory->has_table = true;
	return memset(table_of(memory), 0, H2_SLOT_TABLE);
}

static void session_free(void *piece, void *arg)
{
	struct h2_memory *memory = arg;

	if (memory->has_frame && piece == frame_of(memory))
		memory->has_frame = false;
	else if (memory->has_table && piece == table_of(memory))
		memory->has_table = false;
	else {
		counted_free(piece, NULL);
		return;
	}
	leave_slot(memory);
}

/* A buffer's first allocation is this one, too. The two themselves nghttp2 never resizes: it makes them anew.
 */
static void *session_realloc(void *piece, size_t size, void *arg)
{
	const struct h2_memory *memory = arg;

	if (!piece)
		return session_malloc(size, arg);
	assert(!(memory->has_frame && piece == frame_of(memory)));
	assert(!(memory->has_table && piece == table_of(memory)));
	return counted_realloc(piece, size, NULL);
}

void h2_memory_init(struct h2_memory *memory, struct h2_slots *slots, nghttp2_mem *mem)
{
	*memory = (struct h2_memory){.slots = slots};
	*mem = (nghttp2_mem){memory, session_malloc, session_free, session_calloc, session_realloc};
}

void h2_memory_made(struct h2_memory *memory)
{
	memory->is_made = true;
}

/* Reads as what it is, then: a table without streams is zeros, and nobody is told otherwise if it is not. */
static bool is_empty(const char *table)
{
	return table[0] == 0 && memcmp(table, table + 1, H2_SLOT_TABLE - 1) == 0;
}

void h2_memory_rest(struct h2_memory *memory)
{
	if (memory->has_frame && memory->has_table && is_empty(table_of(memory)))
		h2_slots_forget(memory->slot, H2_SLOT_BYTES);
	else if (memory->has_frame)
		h2_slots_forget(frame_of(memory), H2_SLOT_FRAME);
}
