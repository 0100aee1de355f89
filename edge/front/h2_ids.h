/*
 * What is remembered of a client's streams by their numbers alone (RFC 9113 section 5.1.1). nghttp2 forgets a
 * stream with its end and lets pass what comes for it later, since it may have been under way when we ended
 * it; here it is known which of them the client has ended itself, and which it has passed over.
 *
 * Of the last H2_IDS numbers; of those before nothing is known any more, and nothing held against anybody.
 */
#ifndef EDGE_H2_IDS_H
#define EDGE_H2_IDS_H

#include <stdint.h>

enum { H2_IDS = 256, H2_IDS_BITS = 2 };

enum h2_id {
	H2_ID_PASSED_OVER, /* a higher one was used first: it never can be */
	H2_ID_OPENED,      /* frames may come, unless the stream is known to be over on both sides */
	H2_ID_ENDED,       /* the client has: END_STREAM or RST_STREAM */
	H2_ID_UNKNOWN      /* too old, or not used yet */
};

struct h2_ids {
	uint32_t newest; /* which odd number, from 1; 0: none yet */
	uint8_t marks[H2_IDS * H2_IDS_BITS / 8];
};

/* `id`: a client's number, odd. */
enum h2_id h2_ids_find(const struct h2_ids *ids, int32_t id);
/* A head has come with it. */
void h2_ids_open(struct h2_ids *ids, int32_t id);
/* The client sends nothing more for it. */
void h2_ids_end(struct h2_ids *ids, int32_t id);

#endif
