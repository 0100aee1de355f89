/*
 * One request and its response: finds an upstream connection, sends the request as forward says, retries
 * where that is safe, and hands the response to a front end. The front end is behind callbacks, so that
 * HTTP/2 can be another.
 */
#ifndef EDGE_EXCHANGE_H
#define EDGE_EXCHANGE_H

#include "edge/http/forward.h"
#include "edge/http/http_msg.h"
#include "edge/upstream/upstream_pool.h"

struct exchange;

/* What a front end does with a response. The exchange touches nothing of itself after calling one of these,
 * so each may free it. */
struct exchange_front {
	/* Without hop-by-hop and framing fields; valid during the call. `interim`: 1xx, more heads follow.
	 * A final 101 with HTTP_BODY_TUNNEL, which only a request with head->upgrade gets, opens a tunnel:
	 * on_body brings bytes of the protocol head->upgrade, exchange_send takes them, until on_end and
	 * exchange_send_end, in any order. */
	void (*on_head)(void *front, struct http_head *head, bool interim);
	/* Returns how many bytes it took; fewer than offered: nothing more until exchange_resume. */
	size_t (*on_body)(void *front, const char *bytes, size_t size);
	void (*on_trailers)(void *front, struct http_head *trailers);
	/* Of a tunnel only the upstream's direction has ended. */
	void (*on_end)(void *front);
	/* All that has arrived was handed on: time to write it out. */
	void (*on_pause)(void *front);
	/* exchange_send takes bytes again; of a tunnel also: exchange_has_sent_all has become true. */
	void (*on_room)(void *front);
	/* No (whole) response: 502, 503 or 504, for a response that had not begun. Or a tunnel broke. */
	void (*on_failed)(void *front, int status);
};

/* Whose request it is, and where it goes. `target` may be let go afterwards, the addresses outlive the
 * exchange. */
struct exchange_route {
	struct upstream_target *target;
	const struct forward_identity *identity;
	struct upstream_client client;
};

/* Changes `head` into the one that is sent. NULL: no upstream takes a connection, which `status` is for.
 * Nothing goes out before exchange_flush, so that the head and the first of the body travel together. */
struct exchange *exchange_start(struct upstream_pool *pool, struct http_head *head,
    const struct exchange_route *route, const struct exchange_front *front, void *arg, int *status);
/* At any time; a connection in the middle of something is closed. NULL is fine. */
void exchange_free(struct exchange *exchange);

/* Request body: returns how many bytes were taken; fewer than offered: wait for on_room. */
size_t exchange_send(struct exchange *exchange, const char *bytes, size_t size);
/* The request is whole. `trailers` (may be NULL) are changed into those that are sent. */
void exchange_send_end(struct exchange *exchange, struct http_head *trailers);
void exchange_flush(struct exchange *exchange);
/* The request was ended, and all of it is with the upstream's socket (or lost, with the upstream). */
bool exchange_has_sent_all(const struct exchange *exchange);
void exchange_resume(struct exchange *exchange);
/* The address that answers, for the log; valid as long as the exchange. */
const char *exchange_upstream(const struct exchange *exchange);
/* For the log: further tries so far, and what connecting took where a response has begun on a new connection;
 * else -1. */
int exchange_retries(const struct exchange *exchange);
int64_t exchange_connect_us(const struct exchange *exchange);
/* The error code of HTTP/2 with which the upstream gave the request up; 0: it did not, or for no reason. */
uint32_t exchange_reset_code(const struct exchange *exchange);

#endif
