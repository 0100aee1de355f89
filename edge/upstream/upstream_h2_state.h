/*
 * What the parts of an HTTP/2 connection to an upstream share: upstream_h2.c knows its life, bytes and
 * deadlines, upstream_h2_session.c the frames, upstream_h2_stream.c the life of one stream,
 * upstream_h2_send.c its request, upstream_h2_receive.c its response, upstream_h2_head.c fields,
 * upstream_h2_flood.c what is too much. Nobody else includes this.
 */
#ifndef EDGE_UPSTREAM_H2_STATE_H
#define EDGE_UPSTREAM_H2_STATE_H

#include <nghttp2/nghttp2.h>

#include "edge/loop/deadline.h"
#include "edge/upstream/upstream_h2.h"
#include "edge/upstream/upstream_h2_flood.h"
#include "edge/upstream/upstream_h2_head.h"

enum { UPSTREAM_H2_WRITE_AT_ONCE = 64 * 1024 }; /* frames are gathered up to here */

enum upstream_h2_sending {
	UPSTREAM_H2_SENDING, /* more of the body may come */
	UPSTREAM_H2_SENT,    /* the request is whole, though some of it may still wait */
	UPSTREAM_H2_UNHEARD, /* the upstream takes no more of it */
};

enum upstream_h2_response {
	UPSTREAM_H2_AWAITED,
	UPSTREAM_H2_INTERIM, /* a 1xx came */
	UPSTREAM_H2_BODY,
	UPSTREAM_H2_LAST, /* its end came; some of the body, or trailers, may wait for the client */
	UPSTREAM_H2_OVER, /* handed on whole, or failed */
};

struct upstream_stream {
	struct upstream_call call;
	struct upstream_h2 *conn; /* NULL: it is not part of it any more */
	TAILQ_ENTRY(upstream_stream) entry;
	TAILQ_ENTRY(upstream_stream) touched;
	int32_t id; /* 0: not started */
	const struct upstream_user *user;
	void *arg;
	struct deadline deadline;
	struct loop_task free_task;
	int64_t connect_us;

	struct upstream_request about;
	enum upstream_h2_sending sending;
	struct buf out;      /* of the body, waiting for the upstream's window */
	struct buf trailers; /* to send, as HTTP/1.1 lines with an empty one behind */
	struct buf rest;     /* the request at rest, as long as it may be sent again */
	bool is_at_rest;     /* `rest` is the whole of what was taken */
	bool wants_room;     /* upstream_call_send took less than it was offered */

	enum upstream_h2_response response;
	int interim_count;
	struct buf in;         /* of the body: the client took less than came; at most the stream's window */
	struct buf last_lines; /* trailers that came, as HTTP/1.1 lines */
	bool held_back;
	bool client_is_slow;
	size_t taken; /* by a client that is not slow, up to UPSTREAM_H2_WINDOW */

	bool is_touched;     /* something happened, which the user is not yet told */
	bool has_news;       /* the user got bytes: on_pause is due */
	bool is_closed;      /* for nghttp2 there is no such stream any more */
	bool is_malformed;   /* what came is no response */
	bool was_not_sent;   /* its HEADERS never left */
	bool we_reset;       /* the end was our doing, for an error of the upstream's */
	bool is_unprocessed; /* the upstream has not looked at it */
	bool was_sent;       /* its HEADERS left */
	bool was_left;       /* by its user */
	bool was_used;       /* conn->was_used when the stream ended */
	uint32_t close_code;
};

TAILQ_HEAD(upstream_streams, upstream_stream);

enum upstream_h2_state {
	UPSTREAM_H2_OPEN,
	UPSTREAM_H2_RETIRED, /* no new streams: the upstream goes away, or has refused HTTP/2, or is not
				wanted */
	UPSTREAM_H2_DEAD,
};

struct upstream_h2 {
	struct upstream_h2_link link;
	const struct upstream_place *place;
	const struct upstream_h2_owner *owner;
	void *arg;
	nghttp2_session *session;
	struct stream stream;
	struct deadline liveness;
	struct loop_task work_task, free_task;
	enum upstream_h2_state state;
	struct buf in, out;
	struct upstream_streams streams, touched;
	size_t stream_count;
	int resets;          /* that we have sent */
	size_t most_streams; /* that the upstream allows, */
	bool knows_most;     /* as it has said */
	struct upstream_h2_flood flood;
	struct upstream_h2_fields fields; /* of the header block that comes now */
	int64_t refused_ms;               /* when it refused a stream, or had too much of them; 0: never */
	bool is_in_session;               /* nghttp2 is on the stack, and must not be entered again */
	bool filled;                      /* the last read took all the room there was */
	bool is_mute;                     /* it takes nothing any more; it may still answer */
	bool broke_rules;                 /* we told it so */
	bool single, was_started;
	bool is_idle_news; /* the last stream has left, which the owner is not yet told */
	bool was_used;     /* a whole response came on it */
	bool is_asked;     /* a PING is out */
	bool was_asked;    /* and was answered, and nothing else came since */
};

static inline struct upstream_stream *upstream_stream_from(struct upstream_call *call)
{
	return (struct upstream_stream *)(void *)call;
}

/* What upstream_call_send takes now. */
static inline size_t upstream_stream_send_room(const struct upstream_stream *stream)
{
	size_t waiting = buf_size(&stream->out);

	return waiting < UPSTREAM_SEND_BUFFER ? UPSTREAM_SEND_BUFFER - waiting : 0;
}

/* upstream_h2.c */
/* Frames may be waiting: they leave together at the end of the round. */
void upstream_h2_kick(struct upstream_h2 *conn);
/* The connection is over: so are its streams. */
void upstream_h2_fail(struct upstream_h2 *conn, enum upstream_failure failure);
/* The upstream's SETTINGS came. */
void upstream_h2_take_settings(struct upstream_h2 *conn);
/* A stream has left. */
void upstream_stream_left(struct upstream_h2 *conn);

/* upstream_h2_session.c */
nghttp2_session *upstream_h2_session_new(struct upstream_h2 *conn);

/* upstream_h2_stream.c */
/* Something happened: the user is told when nghttp2 is off the stack. */
void upstream_stream_touch(struct upstream_stream *stream);
/* It is no part of its connection any more; what is not over is cancelled. */
void upstream_stream_leave(struct upstream_stream *stream);
void upstream_stream_fail(struct upstream_stream *stream, enum upstream_failure failure);
/* Time moves on for it. */
void upstream_stream_arm(struct upstream_stream *stream);

/* upstream_h2_receive.c */
/* Tells its user what has become of it. */
void upstream_stream_settle(struct upstream_stream *stream);
/* A head is complete. False: it is malformed. */
bool upstream_stream_take_head(struct upstream_stream *stream, struct http_head *head, bool is_last);
void upstream_stream_take_data(struct upstream_stream *stream, const char *bytes, size_t size);
void upstream_stream_take_end(struct upstream_stream *stream);
void upstream_stream_resume(struct upstream_call *call);

/* upstream_h2_send.c */
void upstream_stream_start(
    struct upstream_call *call, struct buf *request, const struct upstream_request *about);
size_t upstream_stream_send(struct upstream_call *call, const char *bytes, size_t size);
void upstream_stream_send_end(struct upstream_call *call, const struct http_head *trailers);
void upstream_stream_flush(struct upstream_call *call);
bool upstream_stream_has_sent_all(const struct upstream_call *call);

#endif
