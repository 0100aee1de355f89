/*
 * What the parts of an HTTP/1.1 connection share: h1_conn.c knows bytes, events and deadlines, h1_request.c
 * what one request gets, h1_answer.c what of it comes from ourselves. Nobody else includes this.
 */
#ifndef EDGE_H1_CONN_STATE_H
#define EDGE_H1_CONN_STATE_H

#include "edge/front/access_log.h"
#include "edge/front/exchange.h"
#include "edge/front/h1_conn.h"
#include "edge/front/h1_out.h"
#include "edge/http/h1_body.h"
#include "edge/http/identity.h"
#include "edge/http/reply.h"
#include "edge/http/route.h"
#include "edge/http_config.h"
#include "edge/loop/deadline.h"

enum {
	H1_IN_MAX = HTTP_HEAD_MAX + 4096,
	H1_READ_SMALL = 4 * 1024 - 1, /* struct buf rounds up with a byte to spare */
	H1_READ_BODY = 32 * 1024 - 1,
	H1_PIPELINED_MAX =
	    16 * 1024, /* read ahead while a request is being answered; the rest stays in the socket */
	H1_CHALLENGE_MS = 5 * 1000,
	H1_NOTICE_MS = 1000, /* then the visitor is redirected */
	H1_LINGER_MS = 2 * 1000,
	H1_DRAIN_MS = 2 * 1000, /* in a drain: for the first request of a connection */
};

enum h1_state {
	H1_IDLE,      /* nothing of the next request has come */
	H1_HEAD,      /* a head is arriving */
	H1_CHALLENGE, /* the head stays in `in` while an http-01 token is looked up */
	H1_NOTICE,    /* the same, while it is looked up why a name of port 80 has no certificate */
	H1_EXCHANGE,  /* a request is with its exchange */
	H1_FLUSH,     /* the response is whole, not all of it is with the socket */
	H1_LINGER,    /* our side is shut; what still comes is thrown away, lest a reset eats the response */
	H1_CLOSED,
};

/* What the client may be slow at: each has a deadline of its own. */
enum h1_wait {
	H1_WAIT_NOTHING,
	H1_WAIT_REQUEST,
	H1_WAIT_HEAD,
	H1_WAIT_BODY,
	H1_WAIT_CHALLENGE,
	H1_WAIT_NOTICE,
	H1_WAIT_END
};

/* How far the response is. */
enum h1_response { H1_RESPONSE_NONE, H1_RESPONSE_BEGUN, H1_RESPONSE_LAST_CHUNK, H1_RESPONSE_WHOLE };

/* The request at hand; cleared when the next begins. */
struct h1_request {
	struct h1_body body;
	int minor_version;
	bool to_head;
	bool keep_alive;   /* may the connection go on after it? */
	bool awaits_100;   /* the client sends its body when it hears a 1xx */
	bool sent;         /* whole with the exchange */
	bool body_blocked; /* the exchange takes no more for now */
	enum h1_response response;
	enum http_body framing; /* of the response, to this client */
	bool response_blocked;  /* we took less than the exchange offered */
	int status;
	int64_t started_us;
	int64_t head_us;       /* what its head took to arrive */
	int retries;           /* of its exchange */
	int64_t connect_us;    /* of its exchange; -1: a kept connection, or none */
	int64_t first_byte_us; /* -1: no response of an upstream yet */
	uint64_t bytes_in;     /* head and body, as far as they were read out of `in` */
	uint64_t bytes_before; /* stream's bytes_out when it began */
	int64_t challenge_row; /* to be marked as seen once the answer is out; 0: none */
	struct access_entry *entry;
	struct site *shared;           /* of a Host that is not the handshake's name; NULL: it is that name */
	char id[IDENTITY_ID_MAX + 1];  /* empty: its head could not be read */
	char client[NET_ADDRESS_TEXT]; /* that a CDN reported; empty: the connection's */
};

struct h1_conn {
	struct worker *worker;
	struct stream stream;
	struct conn_peer peer;
	char client[NET_ADDRESS_TEXT];
	char port[6];    /* that the client came to */
	bool behind_cdn; /* the peer may say who the client is */
	void (*on_closed)(void *owner);
	void *owner;
	struct loop_task closed_task;
	struct loop_task go_on_task; /* more can be done at once, but others have waited */

	enum h1_state state;
	uint64_t request_count; /* begun so far */
	int64_t head_began_us;  /* a part of a head came; 0: nothing yet, or the whole at once */
	struct site *site;      /* of its name; NULL: not looked for yet, or never in memory */
	uint64_t site_change;   /* of the site cache, when its name was last known to be served, or not */
	bool has_looked;        /* for the site, at that change */
	bool is_served;         /* its name, as of that change */
	bool read_eof;
	bool draining;
	bool driving;       /* h1_conn_drive is on the stack */
	enum h1_wait wait;  /* what read_deadline is for */
	uint64_t wait_mark; /* bytes_in when the deadline was last moved */
	int64_t
	    body_since_ms; /* a window of body-timeout, and what the connection had brought at its start */
	uint64_t body_mark;
	int64_t taken; /* what the client had taken of its response when that was looked at last */
	struct deadline read_deadline;
	struct deadline write_deadline;
	struct buf in;
	struct h1_scan scan;
	struct h1_out out;
	struct exchange *exchange;
	bool has_target;                /* of `site` as it is now */
	struct upstream_target *target; /* of its name's site; NULL: that cannot be one */
	struct h1_request request;
};

/* The newest settings: a reload changes them between two events. */
static inline const struct http_config *h1_config(const struct h1_conn *conn)
{
	return conn->worker->config->http;
}

static inline const struct trust *h1_trust(const struct h1_conn *conn)
{
	return &conn->worker->config->trust;
}

/* h1_site.c */
/* The site of the connection's name, as of now; one that has left the memory meanwhile stays good for the
 * rest of the connection, which ends with this response. NULL: there was none. */
const struct site *h1_site_own(struct h1_conn *conn);
bool h1_site_is_served(struct h1_conn *conn);
/* Adds what the site's options want in a response. */
void h1_site_complete(struct h1_conn *conn, struct http_head *head);

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
/* The body or the look-up takes too long. */
void h1_request_time_out(struct h1_conn *conn);
/* Hands what is in `in` to the exchange, as far as it takes it. */
void h1_request_pump(struct h1_conn *conn);
bool h1_request_wants_body(const struct h1_conn *conn);
void h1_request_pass_on(struct h1_conn *conn, struct http_head *head, size_t used);
/* The response is with the socket, or never will be: counts and logs it. Harmless where there is no request.
 */
void h1_request_end(struct h1_conn *conn);

/* h1_answer.c */
/* May another request follow this one's response? Decided when the response's head is written. */
bool h1_answer_goes_on(struct h1_conn *conn);
/* The value of Connection for this response; NULL: none. */
const char *h1_answer_connection(const struct h1_conn *conn);
void h1_answer_status(struct h1_conn *conn, int status);
/* No upstream, or no good answer of one: for 503 the operator may have a page. */
void h1_answer_failure(struct h1_conn *conn, int status);
void h1_answer_and_close(struct h1_conn *conn, int status);
void h1_answer_challenge(
    struct h1_conn *conn, struct http_head *head, size_t used, const struct route *route);
void h1_answer_with_challenge(struct h1_conn *conn, const struct challenge_reply *reply);
/* Port 80: a redirect, or a notice. */
void h1_answer_plain(struct h1_conn *conn, struct http_head *head, size_t used, const struct route *route);
/* `reply` NULL: none came in time. */
void h1_answer_with_notice(struct h1_conn *conn, const struct notice_reply *reply);

/* h1_target.c */
/* Where the request at hand goes, as a reference for the caller: by the site of the connection's name, or of
 * the Host it shares the connection with. NULL: the domain's own upstream cannot be one. */
struct upstream_target *h1_target_find(struct h1_conn *conn);
/* Where the client's connection came to, where upstreams are told. */
const struct net_address *h1_target_local(struct h1_conn *conn);

#endif
