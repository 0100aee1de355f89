/*
 * An HTTP/1.1 connection from a client: reads requests, hands each to an exchange, writes the responses in
 * order. It owns the stream from the moment it is made until on_closed.
 */
#ifndef EDGE_H1_CONN_H
#define EDGE_H1_CONN_H

#include "common/hostname.h"
#include "common/net.h"
#include "edge/loop/stream.h"
#include "edge/worker.h"

struct h1_conn;

/* How long the beginning took, in microseconds; -1: that did not happen. */
struct conn_times {
	int64_t hello;       /* from accept to the whole ClientHello */
	int64_t certificate; /* the wait for one */
	int64_t handshake;
};

/* Who speaks, as found out before HTTP began. Copied. */
struct conn_peer {
	uint64_t id;               /* the connection's id in the worker's table, with its generation */
	struct net_address client; /* the socket's peer, or what a trusted PROXY header said */
	struct net_address local;  /* where it came to, if a PROXY header said so; else size 0 */
	bool tls;
	const char *sni; /* empty without TLS; outlives the connection */
	struct conn_times times;
};

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
