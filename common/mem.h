/*
 * Memory that is there: out of memory ends the process, so no caller has a path for it that nobody ever ran.
 * What a peer can make us hold is bounded elsewhere (struct buf, settings).
 */
#ifndef COMMON_MEM_H
#define COMMON_MEM_H

#include <stddef.h>

/* Zeroed. Freed with free(), as all of these. */
void *mem_alloc(size_t size);
void *mem_alloc_array(size_t count, size_t size);
/* The new part is not zeroed. */
void *mem_resize(void *memory, size_t count, size_t size);
void *mem_copy(const void *bytes, size_t size);
/* NULL stays NULL. */
char *mem_string(const char *string);

#endif
