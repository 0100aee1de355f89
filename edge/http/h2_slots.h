/*
 * Pages for the two large pieces of an HTTP/2 session: the buffer in which nghttp2 writes a frame, 16 KiB of
 * which a head or SETTINGS use the first few hundred bytes, and its table of streams. In pages of their own
 * only what is used of them takes memory, and what an idle connection does not use can be given back while
 * its address stays.
 *
 * A slot is H2_SLOT_FRAME and then H2_SLOT_TABLE bytes. One thread's. Slots are never unmapped before the
 * end: what nobody has keeps no memory but that of H2_SLOTS_WARM.
 */
#ifndef EDGE_H2_SLOTS_H
#define EDGE_H2_SLOTS_H

#include <stddef.h>

enum {
	H2_SLOT_PAGE = 4096,
	H2_SLOT_FRAME = 5 * H2_SLOT_PAGE,
	H2_SLOT_TABLE = H2_SLOT_PAGE,
	H2_SLOT_BYTES = H2_SLOT_FRAME + H2_SLOT_TABLE,
	H2_SLOTS_WARM = 64, /* given back a moment ago, whose pages are kept for the next */
};

struct h2_slots;

struct h2_slots *h2_slots_new(void);
/* Once all are given back. NULL is fine. */
void h2_slots_free(struct h2_slots *slots);
/* Whatever is in it is nobody's. NULL: the kernel has no more. */
char *h2_slots_take(struct h2_slots *slots);
void h2_slots_give(struct h2_slots *slots, char *slot);
/* What is in this part of a slot is of no use any more: it reads as zeros from now on. */
void h2_slots_forget(char *part, size_t size);

#endif
