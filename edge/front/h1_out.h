/*
 * What waits to be written to a client, bounded: heads and small pieces are gathered so that they leave
 * together, large pieces go to the stream without a copy.
 */
#ifndef EDGE_H1_OUT_H
#define EDGE_H1_OUT_H

#include "common/base/buf.h"
#include "edge/http/h1_write.h"
#include "edge/loop/stream.h"

enum {
	H1_OUT_GATHER = 16 * 1024,      /* one TLS record: body bytes are gathered up to here */
	H1_OUT_CHUNKED_MAX = 64 * 1024, /* chunked bodies are copied anyway: up to here */
	H1_OUT_MAX = 3 * H1_HEAD_ROOM + H1_OUT_CHUNKED_MAX,
};

struct h1_out {
	struct stream *stream;
	struct buf buf;
	enum result failed; /* R_OK, or R_ERROR for good: the client takes nothing any more */
};

void h1_out_init(struct h1_out *out, struct stream *stream);
void h1_out_fini(struct h1_out *out);
/* Takes body bytes, `framing` LENGTH, UNTIL_CLOSE, CHUNKED or TUNNEL, whose bytes wait for no others; returns
 * how many. Fewer than offered: the socket is full, offer the rest again (the same bytes) when it is
 * writable. */
size_t h1_out_body(struct h1_out *out, const char *bytes, size_t size, enum http_body framing);
/* R_OK: everything is with the socket. R_AGAIN: wait until it is writable. R_ERROR. */
enum result h1_out_flush(struct h1_out *out);

#endif
