#include "edge/http/h2_slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/mem.h"

enum { SLOTS_AT_ONCE = 64 };

/* Links are kept outside of the slots, whose pages they would keep. */
struct h2_slots {
	char **free;
	size_t free_count, capacity;
	size_t warm; /* the last ones of `free` */
	char **arenas;
	size_t arena_count;
};

struct h2_slots *h2_slots_new(void)
{
	return mem_alloc(sizeof(struct h2_slots));
}

void h2_slots_free(struct h2_slots *slots)
{
	if (!slots)
		return;
	assert(slots->free_count == slots->arena_count * SLOTS_AT_ONCE);
	for (size_t i = 0; i < slots->arena_count; i++)
		munmap(slots->arenas[i], SLOTS_AT_ONCE * H2_SLOT_BYTES);
	free(slots->arenas);
	free(slots->free);
	free(slots);
}

/* There is always room in `free` for all that there are. */
static void add_arena(struct h2_slots *slots)
{
	size_t size = SLOTS_AT_ONCE * H2_SLOT_BYTES;
	char *arena =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (arena == MAP_FAILED)
		return;
	/* A huge page would be there as a whole. */
	madvise(arena, size, MADV_NOHUGEPAGE);
	slots->arenas = mem_resize(slots->arenas, (slots->arena_count + 1) * sizeof *slots->arenas);
	slots->arenas[slots->arena_count++] = arena;
	slots->capacity += SLOTS_AT_ONCE;
	slots->free = mem_resize(slots->free, slots->capacity * sizeof *slots->free);
	for (size_t i = SLOTS_AT_ONCE; i > 0; i--)
		slots->free[slots->free_count++] = arena + (i - 1) * H2_SLOT_BYTES;
}

char *h2_slots_take(struct h2_slots *slots)
{
	if (slots->free_count == 0)
		add_arena(slots);
	if (slots->free_count == 0)
		return NULL;
	slots->warm -= slots->warm > 0;
	return slots->free[--slots->free_count];
}

void h2_slots_give(struct h2_slots *slots, char *slot)
{
	slots->free[slots->free_count++] = slot;
	if (++slots->warm <= H2_SLOTS_WARM)
		return;
	slots->warm--;
	h2_slots_forget(slots->free[slots->free_count - 1 - slots->warm], H2_SLOT_BYTES);
}

void h2_slots_forget(char *part, size_t size)
{
	madvise(part, size, MADV_DONTNEED);
}
