/*
 * One HTTP/2 connection to an upstream (RFC 9113), the framing by nghttp2, and its streams, each the place of
 * one request. The upstream is a stranger here as anywhere: its responses are read strictly, what it may make
 * us hold is bounded, and floods end the connection.
 */
#ifndef EDGE_UPSTREAM_H2_H
#define EDGE_UPSTREAM_H2_H

#include "edge/upstream/upstream_dial.h"

struct upstream_h2;

enum {
	/* At a time on one connection, also where the upstream allows more or has not yet said how many:
	 * usual servers allow at least so many (RFC 9113 section 6.5.2), and more of them spread over its
	 * threads. */
	UPSTREAM_H2_STREAMS_MAX = 100,
	/* What an upstream may send before its client has taken any of it, by stream. The larger holds once
	 * the client has taken the smaller without being slow. */
	UPSTREAM_H2_WINDOW = 65535,
	UPSTREAM_H2_WINDOW_FAST = 256 * 1024,
	/* By connection: what has come is taken off it at once, since each stream is bounded by itself. */
	UPSTREAM_H2_WINDOW_ALL = 1024 * 1024,
	/* Of a body that went out, kept in case that the upstream says that it has not looked at it. */
	UPSTREAM_H2_REPLAY_MAX = 16 * 1024,
	/* Without a byte from an upstream that owes an answer, it is asked whether it is there. Once it has
	 * said so it is not asked again for longer than gRPC servers take for abuse (five minutes). */
	UPSTREAM_H2_PING_AFTER_MS = 10 * 1000,
	UPSTREAM_H2_PING_AGAIN_MS = 310 * 1000,
	UPSTREAM_H2_PING_WAIT_MS = 10 * 1000,
	/* No new streams for a moment where it has refused one. */
	UPSTREAM_H2_REFUSED_MS = 1000,
	/* Streams of a connection that we give up, as their clients leave, until another one takes its place.
	 * Servers take more of them for an attack (Netty 200 in 30 s) and end the connection, with all that
	 * other clients have on it; as many again may be under way. */
	UPSTREAM_H2_RESETS_MAX = 100,
};

/* Whose connection it is. */
struct upstream_h2_owner {
	/* It has no stream any more: the owner may close it. */
	void (*on_idle)(void *arg, struct upstream_h2 *conn);
	/* It has died; its streams are told afterwards. The owner forgets it and touches it no more. */
	void (*on_gone)(void *arg, struct upstream_h2 *conn);
};

/* Takes the stream. */
struct upstream_h2 *upstream_h2_new(const struct upstream_place *place, struct upstream_opened *opened,
    const struct upstream_h2_owner *owner, void *arg);
/* Without streams. Says goodbye, closes; on_gone is not called. Safe in any callback. */
void upstream_h2_close(struct upstream_h2 *conn);

/* How many requests a new connection to that address takes. */
size_t upstream_h2_most_streams(const struct upstream_address *address);
/* May another request start on it? */
bool upstream_h2_has_room(const struct upstream_h2 *conn);
/* A place for one, which upstream_call_start takes up. */
struct upstream_call *upstream_h2_open(struct upstream_h2 *conn, int64_t connect_us);
size_t upstream_h2_streams(const struct upstream_h2 *conn);
/* Nothing new any more; what is under way ends. */
void upstream_h2_retire(struct upstream_h2 *conn);
/* Is there any use in keeping it? */
bool upstream_h2_is_retired(const struct upstream_h2 *conn);

/* The pool's own, embedded. */
struct upstream_h2_link {
	LIST_ENTRY(upstream_h2_link) entry;
	struct upstream_h2 *conn;
	int64_t idle_since_ms; /* 0: it has streams */
};
struct upstream_h2_link *upstream_h2_link(struct upstream_h2 *conn);

#endif
