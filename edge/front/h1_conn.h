/*
 * An HTTP/1.1 connection from a client: reads requests, hands each to an exchange, writes the responses in
 * order. It owns the stream from the moment it is made until on_closed.
 */
#ifndef EDGE_H1_CONN_H
#define EDGE_H1_CONN_H

#include "edge/front/client.h"

struct h1_conn;

/* Takes the stream's contents (moved, the caller's struct is dead afterwards). `on_closed` is called once,
 * from the loop, after which the h1_conn is gone. */
struct h1_conn *h1_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner);
/* Drain: finish what is in flight, answer it with `Connection: close`, then close. An idle one closes
 * now, one whose first request is still to come within two seconds. */
void h1_conn_drain(struct h1_conn *conn);
/* The end of drain-timeout: close now. */
void h1_conn_abort(struct h1_conn *conn);

/* The reply to an http-01 look-up that this connection started with `peer->id` and conn_deliver_challenge. */
void h1_conn_challenge(struct h1_conn *conn, const struct challenge_reply *reply);

/* The same for a notice, with conn_deliver_notice. */
void h1_conn_notice(struct h1_conn *conn, const struct notice_reply *reply);

#endif
