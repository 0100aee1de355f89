/*
 * The memory of nghttp2, towards clients and towards upstreams, as part of what the process counts against
 * `max-memory`.
 */
#ifndef EDGE_H2_MEMORY_H
#define EDGE_H2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

#include "edge/http/h2_slots.h"

/* For nghttp2_session_client_new3, which copies it. */
nghttp2_mem *h2_memory(void);

/* That of one session whose large pieces are in a slot, so that it costs little while it is idle. */
struct h2_memory {
	struct h2_slots *slots;
	char *slot; /* NULL: there is none */
	bool is_made;
	bool has_frame, has_table; /* in the slot, for now */
};

/* `slots` NULL: they are where everything is. The session is made with `*mem`, which borrows `memory`, and
 * then h2_memory_made is called. */
void h2_memory_init(struct h2_memory *memory, struct h2_slots *slots, nghttp2_mem *mem);
void h2_memory_made(struct h2_memory *memory);
/* The session has no stream and nothing to send: what its large pieces hold is given back to the kernel. */
void h2_memory_rest(struct h2_memory *memory);

#endif
