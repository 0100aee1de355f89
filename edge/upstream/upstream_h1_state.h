/*
 * What the three parts of an upstream connection share: upstream_h1.c knows its life and events,
 * upstream_h1_send.c the request's bytes, upstream_h1_receive.c the response's. Nobody else includes this.
 */
#ifndef EDGE_UPSTREAM_H1_STATE_H
#define EDGE_UPSTREAM_H1_STATE_H

#include "edge/http/h1_body.h"
#include "edge/loop/deadline.h"
#include "edge/loop/stream.h"
#include "edge/upstream/upstream_h1.h"

enum link_state { LINK_OPEN, LINK_IDLE, LINK_DEAD };
enum request_state {
	REQUEST_OPEN, /* more of its body may come */
	REQUEST_ENDED,
	REQUEST_SHUT,   /* a tunnel's: all of it went out, and our end of the connection */
	REQUEST_BROKEN, /* the upstream takes no more of it; it may still answer */
};
enum response_state {
	RESPONSE_AWAITED,
	RESPONSE_INTERIM, /* a 1xx came: the answer is still awaited */
	RESPONSE_HEAD,
	RESPONSE_BODY,
	RESPONSE_DONE
};

enum {
	READ_SMALL = 16 * 1024, /* a record of TLS */
	READ_SLOW = 64 * 1024,  /* a body whose client does not keep up */
	SLOW_MS = 20,           /* who has not taken by then what was read: below 100 Mbit/s */
	READS_PER_EVENT = 4,    /* then the other connections have their turn */
	DIRECT_MIN = 4 * 1024,  /* body pieces from here on are written without a copy */
};

struct upstream_h1 {
	struct upstream_call call;
	struct upstream_link link;
	const struct upstream_place *place;
	struct stream stream;
	struct deadline deadline;
	struct loop_task free_task;
	const struct upstream_user *user;
	void *arg;
	enum link_state state;

	struct upstream_request request;
	enum request_state sending;
	/* A request without a body stays here whole until its answer begins, so that it can be sent again. */
	struct buf out;
	size_t sent;     /* bytes of `out` that went out and are kept */
	bool gave_away;  /* bytes went out that are not in `out` any more */
	bool wants_room; /* upstream_call_send took less than it was offered */

	struct buf in;
	bool filled; /* the last read took all the room there was */
	struct h1_scan scan;
	struct h1_body body;
	enum response_state response;
	int interim_count;
	bool keep_alive;
	int64_t connect_us;    /* what that took, handshake included; -1: not for this request */
	bool single;           /* no second request */
	bool client_is_slow;   /* no more is read than keeps the socket busy */
	int64_t held_since_ms; /* of what was read last some was held back; 0: nothing */
	bool held_back;        /* on_body took less than it was offered */
	bool was_used;
};

static inline bool upstream_h1_is_tunnel(const struct upstream_h1 *upstream)
{
	return upstream->request.body == HTTP_BODY_TUNNEL;
}

/* The call is the first member. */
static inline struct upstream_h1 *upstream_h1_from(struct upstream_call *call)
{
	return (struct upstream_h1 *)(void *)call;
}

/* Body bytes and head that wait for the socket. */
static inline size_t upstream_h1_unsent(const struct upstream_h1 *upstream)
{
	return buf_size(&upstream->out) - upstream->sent;
}

/* upstream_h1.c */
void upstream_h1_fail(struct upstream_h1 *upstream, enum upstream_failure failure);
/* Sets what is watched, and the deadline for the next step forward. */
void upstream_h1_settle(struct upstream_h1 *upstream);

/* upstream_h1_send.c */
void upstream_h1_start(struct upstream_call *call, struct buf *head, const struct upstream_request *request);
size_t upstream_h1_send(struct upstream_call *call, const char *bytes, size_t size);
void upstream_h1_send_end(struct upstream_call *call, const struct http_head *trailers);
void upstream_h1_flush(struct upstream_call *call);
bool upstream_h1_has_sent_all(const struct upstream_h1 *upstream);
/* The socket takes bytes again. */
void upstream_h1_take_room(struct upstream_h1 *upstream);
/* A byte of the response came: the request need not be sent again any more. */
void upstream_h1_forget_request(struct upstream_h1 *upstream);

/* upstream_h1_receive.c */
void upstream_h1_resume(struct upstream_call *call);
bool upstream_h1_is_receiving(const struct upstream_h1 *upstream);
/* Reads, and hands on what comes. */
void upstream_h1_receive(struct upstream_h1 *upstream);

#endif
