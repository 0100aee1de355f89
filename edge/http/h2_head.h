/*
 * Header blocks of HTTP/2 as they come out of HPACK, field by field, and the requests and trailers that they
 * make (RFC 9113 section 8). Everything that section asks for is checked here, whatever the library notices:
 * what it calls malformed costs the stream, what is only not to be served gets an answer. Pure bytes.
 */
#ifndef EDGE_H2_HEAD_H
#define EDGE_H2_HEAD_H

#include "common/base/buf.h"
#include "edge/http/http_msg.h"

enum {
	H2_TRAILERS_MAX = 8 * 1024, /* bytes of names and values */
	H2_FIELD_OVERHEAD = 32,     /* that a field counts beside its bytes (RFC 9113 section 6.5.2) */
};

enum h2_block { H2_BLOCK_REQUEST, H2_BLOCK_TRAILERS };

/* A block that arrives; one at a time on each connection. Read-only for others than h2_head.c. */
struct h2_head {
	enum h2_block block;
	struct buf fields;  /* as h2_fields has them */
	struct buf cookies; /* joined (section 8.2.3) */
	size_t size; /* of the list, as SETTINGS_MAX_HEADER_LIST_SIZE counts it, also of what is not kept
		      */
	size_t count;
	unsigned pseudo; /* the pseudo-header fields that came, a bit each */
	bool has_regular;
	bool has_length;
	uint64_t length;
	bool expects_continue;
	bool takes_body; /* the method gives one a meaning */
	bool is_connect;
	bool is_head;                                            /* gets no body, whatever becomes of it */
	size_t authority_at, authority_size, host_at, host_size; /* values in `fields`; size 0: none */
	bool is_malformed;
	int status; /* the first reason for an answer of ours; 0: none */
};

/* The fields of a whole block, in memory of its own, until they are a head. */
struct h2_fields {
	struct buf bytes;
	enum http_body body;
	uint64_t content_length;
	bool expects_continue;
	bool asks_websocket; /* extended CONNECT (RFC 8441): reads as the GET of HTTP/1.1 that asks for it */
};

void h2_head_init(struct h2_head *head);
void h2_head_fini(struct h2_head *head);
/* Forgets what came before. */
void h2_head_begin(struct h2_head *head, enum h2_block block);
/* Bytes are copied. */
void h2_head_add(struct h2_head *head, struct http_slice name, struct http_slice value);
/* The block is whole; `is_last`: END_STREAM. R_OK: `out` is to be freed by h2_fields_fini. R_INVALID:
 * malformed. R_DENIED: well formed, and head->status is its answer. */
enum result h2_head_end(struct h2_head *head, bool is_last, struct h2_fields *out);

/* `head` borrows from `fields`. */
void h2_fields_read(const struct h2_fields *fields, struct http_head *head);
void h2_fields_fini(struct h2_fields *fields);

#endif
