/*
 * A connection whose TLS is not ours: from the ClientHello that named its route to its end. It finds a
 * server, sends what was read so far byte for byte, and then passes both directions on.
 *
 * Limits: of each direction one read (WORKER_SCRATCH) waits for a reader that is slow, and then its sender
 * waits too. Connecting takes at most passthrough-connect-timeout for each of PASS_TRIES_MAX servers; silence
 * both ways at most passthrough-idle-timeout. Where a domain's option led, the domain is looked at every five
 * seconds: suspended, passed on no more, or closed to its client, it ends the connection.
 */
#ifndef EDGE_PASS_CONN_H
#define EDGE_PASS_CONN_H

#include "edge/loop/stream.h"
#include "edge/pass/pass_config.h"
#include "edge/worker.h"

struct pass_conn;

enum { PASS_TRIES_MAX = 8 };

/* Whither. Borrowed for the call. */
struct pass_way {
	const struct pass_target *target;
	const char *label; /* of the route, for the log */
	const struct pass_metrics *metrics;
	bool of_domain; /* by the option of the name's domain: no longer than that is served */
};

/* Who came, as found out so far. Borrowed for the call but for `name`. */
struct pass_peer {
	struct net_address client;
	struct net_address local; /* where it came to, if a PROXY header said so; else size 0 */
	const char *name;         /* the hello's, normalised, empty: none; outlives the connection */
	const void *session_id;   /* of the hello */
	size_t session_id_size;
	uint64_t circle;  /* its mark in pass_circles; taken over */
	bool is_tls;      /* it began like TLS: a refusal is an alert */
	int64_t began_us; /* accept */
};

/* Takes the stream's contents (the caller's struct is dead afterwards) and what `received` holds. `on_closed`
 * is called once, from the loop, after which the pass_conn is gone. */
struct pass_conn *pass_conn_new(struct worker *worker, struct stream *stream, struct buf *received,
    const struct pass_way *way, const struct pass_peer *peer, void (*on_closed)(void *owner), void *owner);
/* The end of drain-timeout: cuts it. */
void pass_conn_abort(struct pass_conn *conn);

#endif
