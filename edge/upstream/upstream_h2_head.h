/*
 * Fields between HTTP/2 and the types that everybody else has: a request at rest becomes header fields, the
 * fields of a response become a struct http_head. What nghttp2 has checked (RFC 9113 section 8.2: names,
 * values, pseudo-fields, connection-specific ones) is not checked again.
 */
#ifndef EDGE_UPSTREAM_H2_HEAD_H
#define EDGE_UPSTREAM_H2_HEAD_H

#include <nghttp2/nghttp2.h>

#include "edge/http/http_msg.h"

/* The method, scheme, authority and path, and what a head may have. */
enum { UPSTREAM_H2_FIELDS_SENT_MAX = HTTP_FIELDS_MAX + HTTP_FIELDS_OWN + 4 };

struct upstream_h2_request {
	nghttp2_nv fields[UPSTREAM_H2_FIELDS_SENT_MAX]; /* names and values are in the bytes that were read */
	size_t count;
	uint64_t content_length; /* 0: none */
	size_t size;             /* of the head: the body is behind it */
};

/* `bytes` are a head that h1_write_request made, whatever comes behind it. */
void upstream_h2_head_read_request(struct upstream_h2_request *out, const char *bytes, size_t size, bool tls);
/* Lines with an empty one behind, as h1_write_last_chunk makes them. Returns how many there are. */
size_t upstream_h2_head_read_lines(nghttp2_nv *out, const char *bytes, size_t size);

/* The header block that a connection receives now: one at a time. */
struct upstream_h2_fields {
	struct http_head head;
	nghttp2_rcbuf *held[2 * (HTTP_FIELDS_MAX + HTTP_FIELDS_OWN)]; /* what `head` points into */
	size_t held_count;
	size_t bytes;
};

void upstream_h2_fields_begin(struct upstream_h2_fields *fields);
/* False: more, or larger ones, than a response may have. */
bool upstream_h2_fields_add(struct upstream_h2_fields *fields, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/* The head is not valid any more. */
void upstream_h2_fields_drop(struct upstream_h2_fields *fields);

/* What its fields and END_STREAM say of the body. R_INVALID: two things. */
enum result upstream_h2_head_judge_response(struct http_head *head, bool to_head, bool is_last);

#endif
