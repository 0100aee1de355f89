/*
 * Equal byte strings kept once: thousands of certificates share a handful of intermediates. Counted by
 * references, safe from any thread.
 */
#ifndef EDGE_INTERN_H
#define EDGE_INTERN_H

#include <stdbool.h>
#include <stddef.h>

/* The one copy of these bytes, with a reference for the caller. `*is_new` tells whether it was made now. */
unsigned char *intern_get(const void *bytes, size_t size, bool *is_new);
/* Gives a reference from intern_get back. NULL is let through. */
void intern_release(unsigned char *bytes);

#endif
