/*
 * The client side of one HTTP/1.1 connection to an upstream: sends one request after the other, reads the
 * responses strictly, and knows whether the connection can be trusted with the next. Both directions are
 * bounded buffers; who does not take makes it stop reading.
 */
#ifndef EDGE_UPSTREAM_H1_H
#define EDGE_UPSTREAM_H1_H

#include "common/buf.h"
#include "edge/http_config.h"
#include "edge/http_msg.h"
#include "edge/loop.h"

struct upstream_h1;

enum {
	UPSTREAM_SEND_BUFFER = 32 * 1024, /* body bytes waiting for the socket; the head comes on top */
	UPSTREAM_READ_BUFFER = 64 * 1024, /* also the longest response head */
	UPSTREAM_INTERIM_MAX = 32,        /* 1xx responses before the final one; more is malformed */
};

/* Whoever uses the connection now. A callback may close the connection or end the user. */
struct upstream_h1_user {
	/* An interim (1xx but 101) or the final head, valid during the call; the callee may change its
	 * fields. */
	void (*on_head)(void *user, struct http_head *head, bool interim);
	/* Returns how many bytes it took; fewer than offered: nothing more until upstream_h1_resume. */
	size_t (*on_body)(void *user, const char *bytes, size_t size);
	/* The response is whole (NULL: no trailers). Called last: the connection is the user's to keep or
	 * close. */
	void (*on_end)(void *user, const struct http_head *trailers);
	/* All that has arrived was handed on. */
	void (*on_pause)(void *user);
	/* upstream_h1_send takes bytes again. */
	void (*on_room)(void *user);
	/* The connection is dead and must be closed. Also called where nobody waits for a response (idle). */
	void (*on_failed)(void *user, enum upstream_failure failure);
};

/* Starts to connect; requests may be started at once. NULL: no descriptor. */
struct upstream_h1 *upstream_h1_connect(struct loop *loop, const struct http_config *config, size_t address);
/* Closes; no callback comes any more. Safe within a callback of this connection. */
void upstream_h1_close(struct upstream_h1 *upstream);
void upstream_h1_attach(struct upstream_h1 *upstream, const struct upstream_h1_user *user, void *arg);

/* Takes the head's bytes out of `head`. `request` says what body follows and what the response may hold. */
void upstream_h1_start(struct upstream_h1 *upstream, struct buf *head, const struct http_head *request);
/* Body bytes; returns how many were taken. Once the upstream takes none any more (it answers early) they
 * vanish. */
size_t upstream_h1_send(struct upstream_h1 *upstream, const char *bytes, size_t size);
void upstream_h1_send_end(struct upstream_h1 *upstream, const struct http_head *trailers);
/* Everything that upstream_h1_send took since the last call may go out now. */
void upstream_h1_flush(struct upstream_h1 *upstream);
void upstream_h1_resume(struct upstream_h1 *upstream);

/* After on_failed: moves what was to be sent into `out`, if nothing of it was lost (either not a byte went
 * out, or the request had no body) and no byte of a response came. */
bool upstream_h1_recover(struct upstream_h1 *upstream, struct buf *out);
bool upstream_h1_is_reusable(const struct upstream_h1 *upstream);
/* Did a response come on this connection before? Then its death may be that of an idle one. */
bool upstream_h1_was_used(const struct upstream_h1 *upstream);
size_t upstream_h1_address(const struct upstream_h1 *upstream);
/* An end or a stray byte is in the socket already (a system call). */
bool upstream_h1_is_stale(const struct upstream_h1 *upstream);

/* The pool's own, embedded. */
struct upstream_link {
	struct upstream_h1 *newer, *older;
	int64_t since_ms;
};
struct upstream_link *upstream_h1_link(struct upstream_h1 *upstream);

#endif
