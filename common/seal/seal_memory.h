/*
 * Memory for secret keys: left out of core dumps, kept from swap where the limit allows, wiped when freed.
 */
#ifndef COMMON_SEAL_MEMORY_H
#define COMMON_SEAL_MEMORY_H

#include <stddef.h>

/* Zeroed, whole pages. Out of memory ends the process. */
void *seal_memory_new(size_t size);
void seal_memory_free(void *memory, size_t size);

#endif
