/*
 * What the parts of an HTTP/2 connection share: h2_conn.c knows bytes, events and the end, h2_session.c what
 * nghttp2 calls back, h2_rules.c what it lets pass, h2_stream.c one request, h2_response.c its response,
 * h2_tunnel.c one that becomes a WebSocket, h2_turns.c who writes next, h2_deadlines.c who takes too long.
 * Nobody else includes this.
 *
 * nghttp2 does no I/O and must not be called from its own callbacks to read or write: `in_session` says that
 * one is on the stack. Memory of streams is freed when nothing of the connection is on the stack.
 */
#ifndef EDGE_H2_CONN_STATE_H
#define EDGE_H2_CONN_STATE_H

#include <nghttp2/nghttp2.h>
#include <sys/queue.h>

#include "common/base/buf.h"
#include "edge/front/h2_conn.h"
#include "edge/front/h2_ids.h"
#include "edge/front/h2_limits.h"
#include "edge/front/h2_scan.h"
#include "edge/front/request.h"
#include "edge/front/write_deadline.h"
#include "edge/http/h2_head.h"
#include "edge/http/h2_memory.h"
#include "edge/loop/deadline.h"

enum {
	H2_FRAME_HEADER = 9,
	H2_READ = 32 * 1024,
	H2_RECORD = 16 * 1024,        /* of TLS, at most */
	H2_OUT_FIRST = 2 * H2_RECORD, /* what is left of them moves to the front when one is written */
	H2_OUT_MAX = H2_OUT_GATHER + 4 * HTTP_HEAD_MAX, /* the last frame may be a whole head */
	H2_TURN = 16 * 1024, /* what an incremental response may write while others wait */
	H2_URGENCIES = 8,
	H2_URGENCY_DEFAULT = 3,
	H2_EARLY_PRIORITIES = 8, /* of streams that are yet to come */
	H2_GOAWAY_MS = 2 * 1000, /* for the answer to the PING behind the first GOAWAY */
	H2_LINGER_MS = 2 * 1000,
	H2_LINGER_BYTES = 256 * 1024,
	H2_EARLY_MS = 500,      /* at least, for the client to end a request that has its response */
	H2_SWEEP_MS = 1000,     /* how often streams are looked at for their deadlines, at most */
	H2_UNSENT = 128 * 1024, /* in the kernel: what is there has no urgency any more */
};

enum h2_state {
	H2_OPEN,
	H2_ENDING, /* the last GOAWAY is made; what there is to write is written, nothing is read */
	H2_LINGER, /* our side is shut; what still comes is thrown away, lest a reset eats the GOAWAY */
	H2_CLOSED,
};

/* The way of a connection that takes no new requests. */
enum h2_retiring {
	H2_STAYS,
	H2_NOTICE,   /* the first GOAWAY is out, with a PING behind it: requests under way still count */
	H2_SAID_LAST /* the second one named the last stream */
};

enum h2_wait { H2_WAIT_NOTHING, H2_WAIT_REQUEST, H2_WAIT_HEAD, H2_WAIT_GOAWAY, H2_WAIT_END };

/* Where a stream waits for its turn. */
enum h2_queue {
	H2_QUEUE_NONE,
	H2_QUEUE_FRESH,  /* its head is whole, its request not begun */
	H2_QUEUE_READY,  /* has something to write */
	H2_QUEUE_WINDOW, /* the client's window is empty; in no list */
};

/* Who says how urgent a response is. */
enum h2_priority_source { H2_PRIORITY_OF_HEAD, H2_PRIORITY_OF_UPDATE, H2_PRIORITY_OF_APP };

/* RFC 9218 section 4. */
struct h2_priority {
	uint8_t urgency;
	bool incremental;
};

/* Of a PRIORITY_UPDATE that has come before its stream. */
struct h2_early_priority {
	int32_t stream; /* 0: none */
	struct h2_priority priority;
};

/* Of the client, for one stream. */
enum h2_awaited { H2_AWAITS_NOTHING, H2_AWAITS_BODY, H2_AWAITS_WINDOW, H2_AWAITS_END };

struct h2_stream {
	struct request request;
	struct h2_conn *conn;
	int32_t id;
	bool is_closed; /* nghttp2 has forgotten it */
	bool is_over;   /* counted and out of all lists; to be freed */
	TAILQ_ENTRY(h2_stream) entry;
	TAILQ_ENTRY(h2_stream) turn;
	TAILQ_ENTRY(h2_stream) fed_entry;
	enum h2_queue queue;
	struct h2_priority priority;
	bool has_update; /* by PRIORITY_UPDATE */

	struct h2_fields fields; /* until the request has gone on */
	bool has_fields;
	struct request_arrival arrival;
	int refusal; /* status of an answer to a head that cannot be served; 0: it can */

	struct buf in; /* body that the upstream has not taken */
	bool is_fed;   /* it was added to since the exchange was flushed */
	bool has_length;
	uint64_t body_left; /* with has_length */
	bool awaits_100;
	bool asks_tunnel;
	bool received_end;
	bool sent_end; /* the exchange has been told */
	struct h2_fields trailers;
	bool has_trailers;
	int32_t window;  /* ours, for its body */
	int64_t drained; /* since the window grew */

	const char *offer; /* what may be framed during this call */
	size_t offered;
	struct buf own;  /* the body of an answer of ours */
	uint64_t left;   /* of a response of known length; UINT64_MAX: unknown */
	bool has_source; /* nghttp2 asks for its body */
	bool is_given;   /* all of the response has come */
	bool has_trailed;
	bool is_whole; /* all of it is framed, its end too */

	uint64_t got, sent; /* bytes of bodies */
	enum h2_awaited awaited;
	int64_t since_ms; /* that the client has been waited for */
	uint64_t mark;    /* got or sent, then */
};
TAILQ_HEAD(h2_streams, h2_stream);

struct h2_conn {
	struct http_conn base;
	struct worker *worker;
	struct stream stream;
	struct client client;
	void (*on_closed)(void *owner);
	void *owner;
	struct loop_task closed_task;
	struct loop_task go_on_task; /* streams have written something, or more can be done at once */

	nghttp2_session *session;
	struct h2_memory memory; /* the session's */
	bool is_resting;         /* nothing has come since h2_memory_rest */
	bool in_session;
	bool is_driving;
	bool is_broken; /* the socket, or nghttp2, for good */
	enum h2_state state;
	enum h2_retiring retiring;
	enum h2_end end; /* from H2_ENDING on */
	bool read_eof;
	bool has_moved; /* the socket has taken something since we last read from it */
	struct buf out;
	size_t out_most; /* while frames are made */
	struct h2_limits limits;
	struct h2_scan scan;
	struct h2_ids ids;
	int64_t widest; /* by how much the widest of the streams' windows surpassed the initial one, when
			   SETTINGS began */

	struct h2_head head;   /* of the block that arrives */
	int64_t head_began_us; /* 0: none arrives */
	uint64_t head_bytes;
	int continuations;

	struct h2_streams streams; /* all but those that are over */
	struct h2_streams fresh, fed, over;
	struct h2_streams ready[H2_URGENCIES];
	size_t stream_count; /* in `streams` */
	size_t ready_count;
	struct h2_stream *turn; /* whose turn it is */
	int32_t grown;          /* by so much the windows of `streams` have */
	size_t owed; /* of the connection's window: what came while memory was short and waits here */
	struct h2_early_priority early[H2_EARLY_PRIORITIES];
	unsigned early_count; /* that have ever come */

	enum h2_wait wait;
	size_t linger_left; /* bytes that are still read */
	struct deadline read_deadline, sweep;
	struct write_deadline write_deadline;
};

static inline const struct http_config *h2_config(const struct h2_conn *conn)
{
	return client_config(&conn->client);
}

/* No more bodies are framed: the socket takes none, and has a record to begin with when it does again. */
static inline bool h2_conn_is_full(const struct h2_conn *conn)
{
	return buf_size(&conn->out) >= (conn->stream.write_blocked ? H2_RECORD : H2_OUT_GATHER);
}

static inline int64_t h2_now(const struct h2_conn *conn)
{
	return loop_now(conn->worker->loop);
}

/* h2_conn.c */
void h2_conn_close(struct h2_conn *conn);
/* GOAWAY with that error, and the end. May be called from anywhere; it takes effect in h2_conn_drive. */
void h2_conn_end(struct h2_conn *conn, uint32_t error, enum h2_end cause);
/* No new requests from now on: GOAWAY twice, then the end with the last response. */
void h2_conn_retire(struct h2_conn *conn);
/* The client has heard the first GOAWAY, or had time to. */
void h2_conn_say_last(struct h2_conn *conn);
/* Makes frames of what nghttp2 has, bodies as long as less than `most` is in `out`. */
void h2_conn_fill(struct h2_conn *conn, size_t most);
/* R_OK: no more than `keep` of `out` is not with the socket. R_AGAIN, R_ERROR. */
enum result h2_conn_flush(struct h2_conn *conn, size_t keep);
/* It has had nothing to do for a while: keeps no more memory than that takes. */
void h2_conn_rest(struct h2_conn *conn);
/* Does what can be done now; a call from within is harmless. */
void h2_conn_drive(struct h2_conn *conn);
/* The same at the end of the round: what several streams write leaves together. */
void h2_conn_wake(struct h2_conn *conn);

/* h2_session.c */
nghttp2_session *h2_session_new(struct h2_conn *conn);
/* Who has spent it all is sent GOAWAY. */
void h2_session_spend(struct h2_conn *conn, enum h2_limit limit);

/* h2_rules.c */
/* Of any frame but DATA its header has come, and nghttp2 is about to look at it. */
void h2_rules_frame_begins(struct h2_conn *conn, const nghttp2_frame_hd *hd);
/* The same for DATA, of which nghttp2 does not tell where it throws it away. */
void h2_rules_data_begins(struct h2_conn *conn, const struct h2_scan_data *data);
void h2_rules_priority_update(struct h2_conn *conn, int32_t prioritized);
/* nghttp2 has adopted them. */
void h2_rules_settings(struct h2_conn *conn, const nghttp2_settings *settings);

/* h2_stream.c */
/* Takes `fields` where there are any; `refusal` is the status of an answer where there are none. */
struct h2_stream *h2_stream_new(struct h2_conn *conn, int32_t id, struct h2_fields *fields, int refusal);
/* From its queue to its request. */
void h2_stream_begin(struct h2_stream *stream);
/* Body bytes have come; *kept of them wait here. R_INVALID: more than were announced. */
enum result h2_stream_receive(struct h2_stream *stream, const char *bytes, size_t size, size_t *kept);
/* The request is whole. R_INVALID: less than was announced. */
enum result h2_stream_receive_end(struct h2_stream *stream);
/* Hands what has come to the exchange. */
void h2_stream_pump(struct h2_stream *stream);
/* A stream error: nothing of it counts any more. */
void h2_stream_reset(struct h2_stream *stream, uint32_t error);
/* nghttp2 is done with it. */
void h2_stream_closed(struct h2_stream *stream);
/* Counts it and takes it out of all lists. */
void h2_stream_over(struct h2_stream *stream);
void h2_stream_free(struct h2_stream *stream);
void h2_stream_challenge(struct h2_stream *stream, const struct challenge_reply *reply);
void h2_stream_lookup_over(struct h2_stream *stream);
/* Bytes of its body's frames have come. */
void h2_stream_count_in(struct h2_stream *stream, size_t size);
/* A window that keeps its response back, or its request's body that nothing keeps back. */
enum h2_awaited h2_stream_awaited(const struct h2_stream *stream);

/* Its response was whole before its request. A reset at once would be right, and would hide the response from
 * clients that read both together (curl 7.88). */
bool h2_stream_is_early(const struct h2_stream *stream);
/* Its exchange may be given more of its body. */
bool h2_stream_is_passing(const struct h2_stream *stream);
/* Its body is to be handed on when all that was read has been looked at. */
void h2_stream_feed(struct h2_stream *stream);
/* What has come of its body is no use to anybody. */
void h2_stream_forget_body(struct h2_stream *stream);

/* h2_response.c */
extern const struct request_front h2_response_front;
/* Its turn to write. */
void h2_response_write(struct h2_stream *stream);
/* Does the client let it write? */
bool h2_response_has_window(const struct h2_stream *stream);
/* What the field `priority` says, if there is one. */
void h2_response_take_priority(
    struct h2_stream *stream, const struct http_head *head, enum h2_priority_source source);

/* h2_tunnel.c */
/* The exchange takes what the client sends. */
bool h2_tunnel_may_send(const struct h2_stream *stream);
/* The upstream has agreed: makes of its head the one for the client. */
void h2_tunnel_open(struct h2_stream *stream, struct http_head *head);
/* Ends it once both directions have. */
void h2_tunnel_settle(struct h2_stream *stream);

/* h2_turns.c */
/* What is said of it (RFC 9218); what cannot be read changes nothing. A client's head that has been overtaken
 * by its PRIORITY_UPDATE counts no more. */
void h2_turns_set_priority(struct h2_stream *stream, struct http_slice value, enum h2_priority_source source);
/* The same for a stream that is yet to come; the newest few are kept. */
void h2_turns_set_early_priority(struct h2_conn *conn, int32_t id, struct http_slice value);
/* Now it has. */
void h2_turns_take_early_priority(struct h2_stream *stream);
bool h2_turns_others_first(const struct h2_stream *stream);
void h2_turns_wait(struct h2_stream *stream);
void h2_turns_leave(struct h2_stream *stream);
/* The next one, out of its queue; NULL: none. */
struct h2_stream *h2_turns_next(struct h2_conn *conn);
/* A window has opened; `stream` NULL: that of the connection, or all. */
void h2_turns_window(struct h2_conn *conn, struct h2_stream *stream);

/* h2_deadlines.c */
void h2_deadlines_init(struct h2_conn *conn);
void h2_deadlines_fini(struct h2_conn *conn);
void h2_deadlines_arm(struct h2_conn *conn, bool wants_write);

#endif
