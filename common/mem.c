#include "common/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No logging: that may need memory. */
static void *there_or_abort(void *memory)
{
	static const char sentence[] = "out of memory\n";

	if (memory)
		return memory;
	if (write(STDERR_FILENO, sentence, sizeof sentence - 1) < 0)
		_exit(1);
	abort();
}

void *mem_alloc(size_t size)
{
	return mem_alloc_array(1, size);
}

void *mem_alloc_array(size_t count, size_t size)
{
	return there_or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *mem_resize(void *memory, size_t count, size_t size)
{
	size_t bytes = 0;

	if (__builtin_mul_overflow(count, size, &bytes))
		bytes = SIZE_MAX;
	return there_or_abort(realloc(memory, bytes ? bytes : 1));
}

void *mem_copy(const void *bytes, size_t size)
{
	void *copy = mem_alloc(size);

	if (size)
		memcpy(copy, bytes, size);
	return copy;
}

char *mem_string(const char *string)
{
	return string ? mem_copy(string, strlen(string) + 1) : NULL;
}
