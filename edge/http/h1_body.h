/*
 * Where a body begins and ends in a byte stream: by length, by chunks (RFC 9112 section 7.1) or by the end of
 * the connection. Pure bytes; data is never copied, only pointed at.
 */
#ifndef EDGE_H1_BODY_H
#define EDGE_H1_BODY_H

#include "edge/http/h1_fields.h"
#include "edge/http/http_msg.h"

enum {
	H1_CHUNK_DIGITS_MAX = 16,
	H1_CHUNK_EXTENSION_MAX = 256,
};

enum h1_body_state { H1_BODY_DATA, H1_BODY_CHUNK_SIZE, H1_BODY_CHUNK_END, H1_BODY_TRAILERS, H1_BODY_DONE };

struct h1_body {
	enum http_body kind;
	enum h1_body_state state;
	uint64_t left; /* data bytes of the body or of the chunk that are still to come */
	struct h1_scan scan;
	struct http_slice
	    trailers; /* after R_EOF: the raw section with its empty line, if it holds any field */
};

void h1_body_init(struct h1_body *body, const struct http_head *head);

/* Looks at what has arrived: *framing bytes in front are to be dropped by the caller, *data bytes after them
 * are body, to be given to h1_body_take as they are used. R_OK: *data > 0. R_AGAIN: more bytes are needed.
 * R_EOF: the body is over; body->trailers points into the framing bytes. R_INVALID: malformed. */
enum result h1_body_next(struct h1_body *body, const char *bytes, size_t size, size_t *framing, size_t *data);
void h1_body_take(struct h1_body *body, size_t size);
bool h1_body_is_done(const struct h1_body *body);

#endif
