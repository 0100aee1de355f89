/*
 * One request's place in a connection to an upstream, whichever version of HTTP that speaks: upstream_h1 (the
 * whole connection), upstream_h2 (one stream of it), upstream_waiter (there is no connection yet). Both
 * directions are bounded; who does not take makes the other side stop.
 *
 * A request at rest, waiting or kept to be sent once more, is HTTP/1.1 bytes: exactly what h1_write makes.
 */
#ifndef EDGE_UPSTREAM_CALL_H
#define EDGE_UPSTREAM_CALL_H

#include "common/base/buf.h"
#include "edge/http/h1_fields.h"
#include "edge/http/h1_write.h"
#include "edge/http/http_msg.h"
#include "edge/loop/loop.h"
#include "edge/upstream/upstream_metrics.h"

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

enum {
	UPSTREAM_SEND_BUFFER = 32 * 1024, /* body bytes waiting for the socket; the head comes on top */
	UPSTREAM_OUT_MAX = H1_HEAD_ROOM + UPSTREAM_SEND_BUFFER + H1_TRAILERS_MAX,
	UPSTREAM_INTERIM_MAX = 32, /* 1xx responses before the final one; more is malformed */
};

/* What is to be known of a request beside its bytes. */
struct upstream_request {
	enum http_body body;   /* how the body, if any, is written */
	bool to_head;          /* HEAD: the response has no body */
	bool expects_continue; /* the client waits for a 100: silence is the upstream's, not the client's */
	bool is_whole;         /* nothing follows the bytes given to upstream_call_start */
	bool was_elsewhere;    /* its sender may be waiting for room */
	const char *upgrade;   /* the protocols it asks for, borrowed; NULL: a 101 is malformed */
};

struct upstream_call;

/* Whoever uses the connection now. A callback may close the call. */
struct upstream_user {
	/* An interim (1xx but 101) or the final head, valid during the call; the callee may change its
	 * fields. A final 101 (HTTP_BODY_TUNNEL) makes the connection a tunnel: on_body brings the other
	 * protocol's bytes, upstream_call_send takes them until upstream_call_send_end, which half-closes. */
	void (*on_head)(void *arg, struct http_head *head, bool interim);
	/* Returns how many bytes it took; fewer than offered: nothing more until upstream_call_resume. */
	size_t (*on_body)(void *arg, const char *bytes, size_t size);
	/* Before on_end, if there are any; valid during the call. */
	void (*on_trailers)(void *arg, struct http_head *trailers);
	/* The response is whole. Called last: the call is the user's to keep or close. Of a tunnel only the
	 * upstream's direction has ended. */
	void (*on_end)(void *arg);
	/* All that has arrived was handed on. */
	void (*on_pause)(void *arg);
	/* upstream_call_send takes bytes again; or upstream_call_has_sent_all of a tunnel has become true. */
	void (*on_room)(void *arg);
	/* The call is dead and must be closed. Also called where nobody waits for a response (idle). */
	void (*on_failed)(void *arg, enum upstream_failure failure);
	/* There is a connection now: `call` has the request, the call before is gone. Only where it waited.
	 */
	void (*on_moved)(void *arg, struct upstream_call *call);
};

struct upstream_call_kind {
	void (*attach)(struct upstream_call *call, const struct upstream_user *user, void *arg);
	void (*start)(struct upstream_call *call, struct buf *request, const struct upstream_request *about);
	size_t (*send)(struct upstream_call *call, const char *bytes, size_t size);
	void (*send_end)(struct upstream_call *call, const struct http_head *trailers);
	void (*flush)(struct upstream_call *call);
	bool (*has_sent_all)(const struct upstream_call *call);
	void (*resume)(struct upstream_call *call);
	enum result (*recover)(struct upstream_call *call, struct buf *out);
	void (*close)(struct upstream_call *call);
	bool (*was_used)(const struct upstream_call *call);
	int64_t (*connect_us)(const struct upstream_call *call);
	uint32_t (*reset_code)(const struct upstream_call *call);
};

/* The first member of each kind. */
struct upstream_call {
	const struct upstream_call_kind *kind;
};

static inline void upstream_call_attach(
    struct upstream_call *call, const struct upstream_user *user, void *arg)
{
	call->kind->attach(call, user, arg);
}

/* Takes the bytes out of `request`, a request at rest whose maximum must be UPSTREAM_OUT_MAX. Nothing goes
 * out before upstream_call_flush. */
static inline void upstream_call_start(
    struct upstream_call *call, struct buf *request, const struct upstream_request *about)
{
	call->kind->start(call, request, about);
}

/* Body bytes; returns how many were taken: fewer than offered, then on_room comes. Once the upstream takes
 * none any more (it may have answered early) they vanish. */
static inline size_t upstream_call_send(struct upstream_call *call, const char *bytes, size_t size)
{
	return call->kind->send(call, bytes, size);
}

/* The request is whole; `trailers` may be NULL. */
static inline void upstream_call_send_end(struct upstream_call *call, const struct http_head *trailers)
{
	call->kind->send_end(call, trailers);
}

static inline void upstream_call_flush(struct upstream_call *call)
{
	call->kind->flush(call);
}

/* The request was ended, and nothing of it waits for the socket. */
static inline bool upstream_call_has_sent_all(const struct upstream_call *call)
{
	return call->kind->has_sent_all(call);
}

static inline void upstream_call_resume(struct upstream_call *call)
{
	call->kind->resume(call);
}

/* After on_failed, where no byte of a response came: moves the request at rest into `out`. R_OK: the upstream
 * has done nothing with it, since nothing went out or it says so. R_LOST: it may have, but the request has no
 * body, so it is whole. R_NONE: not recoverable. */
static inline enum result upstream_call_recover(struct upstream_call *call, struct buf *out)
{
	return call->kind->recover(call, out);
}

/* Gives the request up; no callback comes any more. Safe within a callback of this call. A tunnel that has
 * not ended both ways is reset, so that it is seen to be cut. */
static inline void upstream_call_close(struct upstream_call *call)
{
	call->kind->close(call);
}

/* Did a response come on this connection before? Then its death may be that of an idle one. */
static inline bool upstream_call_was_used(const struct upstream_call *call)
{
	return call->kind->was_used(call);
}

/* How long it took to connect for this request; -1: the connection was there, or is not there yet. */
static inline int64_t upstream_call_connect_us(const struct upstream_call *call)
{
	return call->kind->connect_us(call);
}

/* After UPSTREAM_RESET: the error code of HTTP/2 that the upstream gave. */
static inline uint32_t upstream_call_reset_code(const struct upstream_call *call)
{
	return call->kind->reset_code(call);
}

#endif
