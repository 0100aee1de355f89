/*
 * A byte stream over a socket, plain or TLS: what the HTTP code reads from and writes to. Non-blocking;
 * would-block is R_AGAIN and says what to wait for. The owner watches the descriptor.
 */
#ifndef EDGE_STREAM_H
#define EDGE_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"
#include "edge/loop/loop.h"

struct stream {
	struct loop *loop;
	struct loop_io io;     /* io.on_ready belongs to the user of the stream */
	SSL *ssl;              /* NULL: plain */
	bool read_wants_write; /* TLS: the last read waits for the socket to take bytes, or the other way
				  round */
	bool write_wants_read;
	bool read_blocked;    /* the last read gave nothing: what TLS still holds is half a record, or
			  comes after the end */
	bool failed;          /* a fatal error: no close_notify any more */
	bool more;            /* stream_expect_more */
	bool held;            /* the kernel may hold back what was written last */
	bool write_blocked;   /* the last write took nothing: the same is offered again */
	uint64_t burst_start; /* bytes_out when the peer was last idle */
	int64_t wrote_ms;
	uint64_t bytes_in, bytes_out; /* application bytes */
};

/* Takes the descriptor. `ssl` (may be NULL) is taken too; its BIO is a tls_bio of the descriptor. */
void stream_init(struct stream *stream, struct loop *loop, int fd, SSL *ssl);
/* Sends close_notify if it fits, closes, frees the SSL. */
void stream_fini(struct stream *stream);

/* R_OK: *got bytes (at least 1). R_AGAIN, R_EOF (orderly: FIN, for TLS close_notify), R_ERROR (reset,
 * truncated). */
enum result stream_read(struct stream *stream, char *bytes, size_t size, size_t *got);
/* R_OK: *put bytes were taken (at least 1, maybe fewer than size). After R_AGAIN the same bytes may be
 * offered from another address and with more behind them. */
enum result stream_write(struct stream *stream, const char *bytes, size_t size, size_t *put);
/* While set, what is written may wait (200 ms at most) for what follows, so that it leaves in one segment
 * with it: more bytes, or the end; of two full records of TLS the second takes the first along.
 * stream_release lets it go without. */
void stream_expect_more(struct stream *stream, bool more);
void stream_release(struct stream *stream);
/* A peer that has vanished without a word is found out, and a network on the way reminded that the connection
 * is in use: for who may be silent for long. */
void stream_probe(const struct loop_io *io);
/* A long body comes: from now on TLS reads two records at a time. */
void stream_expect_long_input(struct stream *stream);
/* From now on TLS that ends without close_notify ends in order: for who reads messages that tell their own
 * length (RFC 9112 section 9.8). */
void stream_allow_bare_end(struct stream *stream);
/* Bytes that TLS has decrypted and not yet handed out: they raise no EPOLLIN. */
bool stream_has_buffered(const struct stream *stream);
/* Is `h2` what the handshake has agreed on (ALPN)? */
bool stream_has_chosen_http2(const struct stream *stream);
/* Half-closes the sending side: FIN, for TLS close_notify first. */
void stream_shutdown(struct stream *stream);
/* Watches for what the caller wants next, translated for TLS's own needs. */
void stream_watch(struct stream *stream, bool want_read, bool want_write);

#endif
