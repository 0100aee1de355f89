/*
 * Heads and chunk framing as HTTP/1.1 writes them, in one canonical spelling (RFC 9112). The counterpart of
 * h1_parse.
 */
#ifndef EDGE_H1_WRITE_H
#define EDGE_H1_WRITE_H

#include "common/base/buf.h"
#include "common/domain/domain_options.h"
#include "edge/http/http_msg.h"

/* What a buffer must have room for to take any head that was parsed and then forwarded, with our identity
 * fields or with all that the options of its domain may add. */
enum { H1_HEAD_ROOM = HTTP_HEAD_MAX + 2048 + DOMAIN_OPTIONS_MAX };

/* Framing comes from head->body. Asserts that the buffer has room. */
void h1_write_request(struct buf *out, const struct http_head *head);
/* `framing` is how the body goes to this client, which may differ from how it came; `connection` (NULL: no
 * such field) is the value of Connection. */
void h1_write_response(
    struct buf *out, const struct http_head *head, enum http_body framing, const char *connection);

enum { H1_CHUNK_OVERHEAD = 16 + 2 + 2 }; /* at most, around each chunk */
/* One chunk, whole. Asserts room; `size` > 0. */
void h1_write_chunk(struct buf *out, const char *bytes, size_t size);
/* The last chunk and what follows it. `trailers` may be NULL. */
void h1_write_last_chunk(struct buf *out, const struct http_head *trailers);

#endif
