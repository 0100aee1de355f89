/*
 * The client side of one HTTP/1.1 connection to an upstream: sends one request after the other, reads the
 * responses strictly, and knows whether the connection can be trusted with the next. Both directions are
 * bounded buffers; who does not take makes it stop reading.
 */
#ifndef EDGE_UPSTREAM_H1_H
#define EDGE_UPSTREAM_H1_H

#include <openssl/types.h>

#include "common/buf.h"
#include "edge/http/h1_fields.h"
#include "edge/http/h1_write.h"
#include "edge/http/http_msg.h"
#include "edge/loop/loop.h"
#include "edge/upstream/proxy_protocol_write.h"
#include "edge/upstream/upstream_metrics.h"

struct upstream_h1;

struct upstream_timeouts {
	int64_t connect_ms;    /* with the TLS handshake */
	int64_t first_byte_ms; /* from the request's last byte */
	int64_t idle_ms;       /* between bytes of the response, or without a byte of the request taken */
};

/* Where a connection leads, and what it needs to know there. Outlives it. */
struct upstream_place {
	struct loop *loop;
	struct upstream_address *address;
	const struct upstream_timeouts *timeouts;
	const struct upstream_metrics *metrics;
};

/* What goes out before anything else: a PROXY protocol header. */
struct upstream_preface {
	unsigned char bytes[PROXY_V2_MAX];
	size_t size; /* 0: nothing */
};

enum {
	UPSTREAM_SEND_BUFFER = 32 * 1024, /* body bytes waiting for the socket; the head comes on top */
	UPSTREAM_OUT_MAX = H1_HEAD_ROOM + UPSTREAM_SEND_BUFFER + H1_TRAILERS_MAX,
	UPSTREAM_READ_BUFFER = 256 * 1024,
	UPSTREAM_INTERIM_MAX = 32, /* 1xx responses before the final one; more is malformed */
};

/* What is to be known of a request beside its bytes. */
struct upstream_request {
	enum http_body body;   /* how the body, if any, is written */
	bool to_head;          /* HEAD: the response has no body */
	bool expects_continue; /* the client waits for a 100: silence is the upstream's, not the client's */
	bool is_whole;         /* nothing follows the bytes given to upstream_h1_start */
	bool was_elsewhere;    /* comes from upstream_h1_recover: its sender may be waiting for room */
	const char *upgrade;   /* the protocols it asks for, borrowed; NULL: a 101 is malformed */
};

/* Whoever uses the connection now. A callback may close the connection. */
struct upstream_h1_user {
	/* An interim (1xx but 101) or the final head, valid during the call; the callee may change its
	 * fields. A final 101 (HTTP_BODY_TUNNEL) makes the connection a tunnel: on_body brings the other
	 * protocol's bytes, upstream_h1_send takes them until upstream_h1_send_end, which half-closes. */
	void (*on_head)(void *arg, struct http_head *head, bool interim);
	/* Returns how many bytes it took; fewer than offered: nothing more until upstream_h1_resume. */
	size_t (*on_body)(void *arg, const char *bytes, size_t size);
	/* Before on_end, if there are any; valid during the call. */
	void (*on_trailers)(void *arg, struct http_head *trailers);
	/* The response is whole. Called last: the connection is the user's to keep or close. Of a tunnel only
	 * the upstream's direction has ended. */
	void (*on_end)(void *arg);
	/* All that has arrived was handed on. */
	void (*on_pause)(void *arg);
	/* upstream_h1_send takes bytes again; or upstream_h1_has_sent_all of a tunnel has become true. */
	void (*on_room)(void *arg);
	/* The connection is dead and must be closed. Also called where nobody waits for a response (idle). */
	void (*on_failed)(void *arg, enum upstream_failure failure);
};

/* Starts to connect; a request may be started at once. Takes `ssl` (a client's, without a socket; NULL:
 * plain), also when it fails. A connection with a preface is never reusable. NULL: refused at once
 * (UPSTREAM_REFUSED), or nothing left here to connect with (UPSTREAM_LOCAL). */
struct upstream_h1 *upstream_h1_connect(const struct upstream_place *place, SSL *ssl,
    const struct upstream_preface *preface, enum upstream_failure *failure);
/* Closes; no callback comes any more. Safe within a callback of this connection. A tunnel that has not ended
 * both ways is reset, so that it is seen to be cut. */
void upstream_h1_close(struct upstream_h1 *upstream);
void upstream_h1_attach(struct upstream_h1 *upstream, const struct upstream_h1_user *user, void *arg);

/* Takes the head's bytes out of `head`, whose maximum must be UPSTREAM_OUT_MAX. Nothing goes out before
 * upstream_h1_flush. */
void upstream_h1_start(
    struct upstream_h1 *upstream, struct buf *head, const struct upstream_request *request);
/* Body bytes; returns how many were taken: fewer than offered, then on_room comes. Once the upstream takes
 * none any more (it may have answered early) they vanish. */
size_t upstream_h1_send(struct upstream_h1 *upstream, const char *bytes, size_t size);
void upstream_h1_send_end(struct upstream_h1 *upstream, const struct http_head *trailers);
void upstream_h1_flush(struct upstream_h1 *upstream);
/* The request was ended, and nothing of it waits for the socket. */
bool upstream_h1_has_sent_all(const struct upstream_h1 *upstream);
void upstream_h1_resume(struct upstream_h1 *upstream);

/* After on_failed, where no byte of a response came: moves what was to be sent into `out`. R_OK: not a byte
 * had gone out. R_LOST: all may have gone out, but the request has no body, so it is whole. R_NONE: not
 * recoverable. */
enum result upstream_h1_recover(struct upstream_h1 *upstream, struct buf *out);
bool upstream_h1_is_reusable(const struct upstream_h1 *upstream);
/* Did a response come on this connection before? Then its death may be that of an idle one. */
bool upstream_h1_was_used(const struct upstream_h1 *upstream);
/* How long it took to connect for this request; -1: the connection was kept, or is not there yet. */
int64_t upstream_h1_connect_us(const struct upstream_h1 *upstream);
const struct upstream_place *upstream_h1_place(const struct upstream_h1 *upstream);
/* Idle, and an end or a stray byte is there already (a system call). Tickets of TLS are no stray bytes. */
bool upstream_h1_is_stale(struct upstream_h1 *upstream);
/* For the pool: idle, its buffers given back but for a small one. */
void upstream_h1_rest(struct upstream_h1 *upstream);

/* The pool's own, embedded. */
struct upstream_link {
	struct upstream_h1 *newer, *older;
	int64_t since_ms;
};
struct upstream_link *upstream_h1_link(struct upstream_h1 *upstream);

#endif
