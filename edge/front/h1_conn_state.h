/*
 * What the parts of an HTTP/1.1 connection share: h1_conn.c knows bytes, events and deadlines, h1_request.c
 * the request at hand and its response as messages of HTTP/1.1, h1_tunnel.c what follows a 101. Nobody else
 * includes this.
 */
#ifndef EDGE_H1_CONN_STATE_H
#define EDGE_H1_CONN_STATE_H

#include "edge/front/h1_conn.h"
#include "edge/front/h1_out.h"
#include "edge/front/request.h"
#include "edge/front/write_deadline.h"
#include "edge/http/h1_body.h"
#include "edge/loop/deadline.h"

enum {
	H1_IN_MAX = HTTP_HEAD_MAX + 4096,
	H1_READ_SMALL = 4 * 1024 - 1, /* struct buf has a byte to spare: a page */
	H1_READ_BODY = 32 * 1024,     /* two records of TLS */
	H1_PIPELINED_MAX =
	    16 * 1024, /* read ahead while a request is being answered; the rest stays in the socket */
	H1_LINGER_MS = 2 * 1000,
	H1_DRAIN_MS = 2 * 1000, /* in a drain: for the first request of a connection */
};

enum h1_state {
	H1_IDLE,     /* nothing of the next request has come */
	H1_HEAD,     /* a head is arriving */
	H1_LOOKUP,   /* the head stays in `in` while something is looked up for its request */
	H1_EXCHANGE, /* a request is with its exchange */
	H1_TUNNEL,   /* behind a 101: bytes both ways */
	H1_FLUSH,    /* the response is whole, not all of it is with the socket */
	H1_LINGER,   /* our side is shut; what still comes is thrown away, lest a reset eats the response */
	H1_CLOSED,
};

/* What the client may be slow at: each has a deadline of its own. */
enum h1_wait { H1_WAIT_NOTHING, H1_WAIT_REQUEST, H1_WAIT_HEAD, H1_WAIT_BODY, H1_WAIT_LOOKUP, H1_WAIT_END };

/* How far the response is. */
enum h1_response {
	H1_RESPONSE_NONE,
	H1_RESPONSE_BEGUN,
	H1_RESPONSE_LAST_CHUNK,
	H1_RESPONSE_WHOLE,
	H1_RESPONSE_SHUT, /* a tunnel's: and our end of the connection went out */
};

/* The request at hand and its response as messages; cleared when the next begins. */
struct h1_message {
	struct h1_body body;
	size_t head_size;  /* at the front of `in`; 0: it is not there any more */
	bool keep_alive;   /* may the connection go on after it? */
	bool awaits_100;   /* the client sends its body when it hears a 1xx */
	bool sent;         /* whole with the exchange */
	bool body_blocked; /* the exchange takes no more for now */
	enum h1_response response;
	enum http_body framing; /* of the response, to this client */
	bool response_blocked;  /* we took less than the exchange offered */
	uint64_t bytes_before;  /* stream's bytes_out when it began */
};

struct h1_conn {
	struct http_conn base;
	struct worker *worker;
	struct stream stream;
	struct client client;
	void (*on_closed)(void *owner);
	void *owner;
	struct loop_task closed_task;
	struct loop_task go_on_task; /* more can be done at once, but others have waited */

	enum h1_state state;
	int64_t head_began_us; /* a part of a head came; 0: nothing yet, or the whole at once */
	bool read_eof;
	bool draining;
	bool driving;       /* h1_conn_drive is on the stack */
	enum h1_wait wait;  /* what read_deadline is for */
	uint64_t wait_mark; /* bytes_in when the deadline was last moved */
	int64_t
	    body_since_ms; /* a window of body-timeout, and what the connection had brought at its start */
	uint64_t body_mark;
	struct deadline read_deadline;
	struct write_deadline write_deadline;
	struct buf in;
	struct h1_scan scan;
	struct h1_out out;
	struct request request;
	struct h1_message message;
};

/* The newest settings: a reload changes them between two events. */
static inline const struct http_config *h1_config(const struct h1_conn *conn)
{
	return client_config(&conn->client);
}

/* h1_conn.c */
void h1_conn_close(struct h1_conn *conn);
/* Ends a response that cannot be completed, so that the client sees that it is cut. */
void h1_conn_cut(struct h1_conn *conn);
/* Does what can be done now: writes a whole response out, reads on, begins the next request. A call from
 * within is harmless: the outer one goes on. Afterwards what is watched and which deadlines run fits the
 * state. What a tireless client has ready beyond a bound is done in the next round. */
void h1_conn_drive(struct h1_conn *conn);

/* h1_deadlines.c */
void h1_deadlines_init(struct h1_conn *conn);
/* For the state that the connection is in now; `wants_write`: something waits for its socket. */
void h1_deadlines_arm(struct h1_conn *conn, bool wants_write);

/* h1_request.c */
/* A complete head of `used` bytes is at the front of `in`. */
void h1_request_begin(struct h1_conn *conn, struct http_head *head, size_t used);
/* A head that is refused, or does not come. */
void h1_request_refuse(struct h1_conn *conn, int status);
/* The body takes too long. */
void h1_request_time_out(struct h1_conn *conn);
/* In H1_LOOKUP: its reply, or none in time. */
void h1_request_challenge(struct h1_conn *conn, const struct challenge_reply *reply);
void h1_request_notice(struct h1_conn *conn, const struct notice_reply *reply);
void h1_request_lookup_over(struct h1_conn *conn);
/* Hands what is in `in` to the exchange, as far as it takes it. */
void h1_request_pump(struct h1_conn *conn);
bool h1_request_wants_body(const struct h1_conn *conn);
/* The response is with the socket (`whole`), or never will be. Harmless where there is no request. */
void h1_request_end(struct h1_conn *conn, bool whole);

/* h1_tunnel.c */
/* The final head is a 101: writes it, and enters H1_TUNNEL. */
void h1_tunnel_open(struct h1_conn *conn, struct http_head *head);
bool h1_tunnel_wants_read(const struct h1_conn *conn);
/* Hands what is in `in`, and its end, to the exchange. */
void h1_tunnel_pump(struct h1_conn *conn);
/* As the steps of h1_conn.c. True: TLS has more for it. */
bool h1_tunnel_step(struct h1_conn *conn);
/* The socket reports EPOLLHUP or EPOLLERR. True: that was it for now, nobody reads what may be left. */
bool h1_tunnel_takes_hangup(struct h1_conn *conn, uint32_t events);

#endif
