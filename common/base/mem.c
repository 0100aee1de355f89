#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No stdio: it may want to allocate. */
static void __attribute__((noreturn)) end_without_memory(void)
{
	static const char line[] = "out of memory\n";
	ssize_t written = write(STDERR_FILENO, line, sizeof line - 1);
	(void)written;
	abort();
}

void *mem_alloc(size_t size)
{
	return mem_alloc_array(1, size);
}

void *mem_alloc_array(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);
	if (memory == NULL)
		end_without_memory();
	return memory;
}

void *mem_resize(void *memory, size_t size)
{
	void *resized = realloc(memory, size ? size : 1);
	if (resized == NULL)
		end_without_memory();
	return resized;
}

void *mem_copy(const void *bytes, size_t size)
{
	size_t with_nul = 0;
	if (__builtin_add_overflow(size, 1, &with_nul))
		end_without_memory();
	char *copy = malloc(with_nul);
	if (copy == NULL)
		end_without_memory();
	if (size > 0)
		memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

char *mem_string(const char *string)
{
	return string == NULL ? NULL : mem_copy(string, strlen(string));
}

char *mem_format_list(const char *format, va_list list)
{
	char *text = NULL;
	if (vasprintf(&text, format, list) < 0)
		end_without_memory();
	return text;
}

char *mem_format(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	char *text = mem_format_list(format, list);
	va_end(list);
	return text;
}
