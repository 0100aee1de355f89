#include "edge/http/h2_memory.h"

#include <malloc.h>
#include <stdlib.h>

#include "common/tally.h"

/* Small pieces there are a few of for each stream, whose own size stands for them. */
enum { COUNTED_FROM = 512 };

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
