/*
 * Allocation that cannot fail: out of memory ends the process with a line on stderr, since no daemon here can
 * do anything sensible with a failed small allocation. What is sized by a peer is bounded before it comes
 * here.
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* All results are released by free(). A size of 0 gives a valid pointer. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
/* Zeroed; ends the process where count * size overflows. */
void *mem_alloc_array(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* As realloc: what is beyond the old size is not initialised. */
void *mem_resize(void *memory, size_t size) __attribute__((returns_nonnull));
/* A copy with one NUL byte after it, not counted. `bytes` may be NULL when `size` is 0. */
void *mem_copy(const void *bytes, size_t size) __attribute__((malloc, returns_nonnull));
/* NULL gives NULL. */
char *mem_string(const char *string) __attribute__((malloc));
char *mem_format(const char *format, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));
char *mem_format_list(const char *format, va_list list)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 0)));

#endif
