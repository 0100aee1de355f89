/*
 * One request and what it gets, whatever version of HTTP it came in: its id and its client, its route, the
 * upstream's response or an answer of ours, and in the end its line in the access log and its place in the
 * counters. Bytes and framing are its front end's, which is behind callbacks.
 */
#ifndef EDGE_REQUEST_H
#define EDGE_REQUEST_H

#include "edge/front/access_log.h"
#include "edge/front/client.h"
#include "edge/front/exchange.h"
#include "edge/http/identity.h"
#include "edge/http/reply.h"
#include "edge/http/route.h"
#include "edge/http/websocket.h"

enum {
	REQUEST_CHALLENGE_MS = 5 * 1000,
	REQUEST_NOTICE_MS = 1000, /* then the visitor is redirected */
};

enum request_state {
	REQUEST_NONE,      /* not begun, or counted and logged */
	REQUEST_CHALLENGE, /* an http-01 token is looked up. The head is not kept here: the front end gives it
			    * again */
	REQUEST_NOTICE,    /* the same, while it is looked up why a name of port 80 has no certificate */
	REQUEST_EXCHANGE,  /* with its exchange */
	REQUEST_ANSWERED,  /* what there is of a response is with the front end */
};

struct request;
struct request_tunnel;

/* What a front end does with a response; as with struct exchange_front, each may end the request. */
struct request_front {
	/* As the exchange says it, the final head complete: Date, X-Request-Id and what the site wants. With
	 * HTTP_BODY_TUNNEL the request is open again: see exchange.h. */
	void (*on_head)(struct request *request, struct http_head *head, bool interim);
	size_t (*on_body)(struct request *request, const char *bytes, size_t size);
	void (*on_trailers)(struct request *request, struct http_head *trailers);
	/* Of a tunnel the upstream's direction has ended; the request goes on until the front end ends it. */
	void (*on_end)(struct request *request);
	void (*on_pause)(struct request *request);
	void (*on_room)(struct request *request);
	/* The whole response is of our making: its head complete, its body; valid during the call. */
	void (*on_reply)(
	    struct request *request, struct reply *reply, struct http_head *head, struct http_slice body);
	/* A response that had begun will not be completed, or a tunnel is over. */
	void (*on_cut)(struct request *request);
};

/* Embedded in its front end, which may read all of it. */
struct request {
	struct client *client;
	const struct request_front *front;
	enum request_state state;
	struct exchange *exchange;                  /* with REQUEST_EXCHANGE */
	struct request_tunnel *tunnel;              /* it has become one; else NULL */
	char websocket_key[WEBSOCKET_KEY_SIZE + 1]; /* of ours, for a client of HTTP/2; empty: none */
	enum http_version version;
	int32_t stream; /* as it arrived */
	bool to_head;
	int status;         /* 0: no final head yet */
	bool is_sorry;      /* for nobody here: the operator's sorry-upstream has it */
	bool is_of_domain;  /* its options have been looked at: they count for the response, too */
	uint64_t body_left; /* that it may still bring; UINT64_MAX: any number */
	uint64_t served_before;
	int64_t started_us;
	int64_t head_us;       /* what its head took to arrive */
	int retries;           /* of its exchange */
	int64_t connect_us;    /* of its exchange; -1: a kept connection, or none */
	uint32_t reset_code;   /* of its exchange: how an HTTP/2 upstream gave it up */
	int64_t first_byte_us; /* -1: no response of an upstream yet */
	uint64_t bytes_in;     /* head and body; the front end counts on */
	uint64_t bytes_out;    /* the front end's, until request_end */
	int64_t challenge_row; /* to be marked as seen once the answer is out; 0: none */
	struct access_entry *entry;
	struct site *shared;          /* of a Host that is not the handshake's name; NULL: it is that name */
	char id[IDENTITY_ID_MAX + 1]; /* empty: its head could not be read */
	char address[NET_ADDRESS_TEXT]; /* of the client, as a CDN reported it; empty: the connection's */
};

/* What a front end knows of a request beside its head. */
struct request_arrival {
	uint64_t size;   /* of the head */
	int64_t head_us; /* from its first byte to its last */
	int32_t stream;  /* among those that share its connection; 0: one at a time */
	bool to_head;    /* of a request that is refused, where that can be told */
};

/* A request has come; afterwards its state tells what becomes of it, and callbacks may have been called.
 * `head` is changed. With REQUEST_EXCHANGE the body, if any, may be sent. */
void request_begin(struct request *request, struct client *client, const struct request_front *front,
    struct http_head *head, const struct request_arrival *arrival);
/* What came is no request that could be read, or does not come. */
void request_refuse(struct request *request, struct client *client, const struct request_front *front,
    int status, const struct request_arrival *arrival);

/* The replies to look-ups, the head given again. One that nobody waits for any more is ignored. */
void request_challenge(struct request *request, struct http_head *head, const struct challenge_reply *reply);
void request_notice(struct request *request, struct http_head *head, const struct notice_reply *reply);
/* How long the look-up at hand may take, and what becomes of the request after it. */
int64_t request_wait_ms(const struct request *request);
void request_wait_over(struct request *request, struct http_head *head);

/* Bytes of the body: `*taken` is fewer than `size` until on_room. R_LIMIT: with these it is too long; nothing
 * was taken, and request_break_off with 413 is to follow. */
enum result request_send(struct request *request, const char *bytes, size_t size, size_t *taken);
/* The body breaks its own framing (400) or does not come (408): nothing can be told from the request any
 * more. Gets `status`, or is cut where a response had begun. */
void request_break_off(struct request *request, int status);
/* So many bytes were moved through a tunnel, from the client or to it. */
void request_tunnel_moved(struct request *request, size_t in, size_t out);
/* Why a tunnel is about to end, where it is not one of its sides. */
void request_tunnel_ends(struct request *request, enum tunnel_end end);
/* The upstream's response is no use any more; no callback comes. */
void request_drop(struct request *request);
/* Counts and logs it; harmless where there is no request. `whole`: its response is with the socket; of a
 * tunnel: both directions have ended. */
void request_end(struct request *request, bool whole);

#endif
