/*
 * A client's connection from the moment that it speaks HTTP, whichever version ALPN has chosen. It owns the
 * stream until on_closed.
 */
#ifndef EDGE_HTTP_CONN_H
#define EDGE_HTTP_CONN_H

#include "edge/front/client.h"

struct http_conn;

struct http_conn_kind {
	void (*drain)(struct http_conn *conn);
	void (*abort)(struct http_conn *conn);
	void (*on_challenge)(struct http_conn *conn, const struct challenge_reply *reply);
	void (*on_notice)(struct http_conn *conn, const struct notice_reply *reply);
};

/* What each kind begins with. */
struct http_conn {
	const struct http_conn_kind *kind;
};

/* Takes the stream's contents (moved, the caller's struct is dead afterwards). `on_closed` is called once,
 * from the loop, after which the connection is gone. */
struct http_conn *http_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner);
/* Finish what is in flight, say that no more is wanted, then close. Who has said nothing so far has two
 * seconds for it. */
void http_conn_drain(struct http_conn *conn);
/* The end of drain-timeout: close now. */
void http_conn_abort(struct http_conn *conn);
/* The reply to an http-01 look-up that this connection started with `peer->id` and conn_deliver_challenge. */
void http_conn_challenge(struct http_conn *conn, const struct challenge_reply *reply);
/* The same for a notice, with conn_deliver_notice. */
void http_conn_notice(struct http_conn *conn, const struct notice_reply *reply);

#endif
