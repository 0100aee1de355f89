/*
 * Connecting to an upstream: TCP, the PROXY header if there is one, TLS. Ends with a stream that is open and
 * the version of HTTP that it speaks, or with the reason why there is none.
 */
#ifndef EDGE_UPSTREAM_DIAL_H
#define EDGE_UPSTREAM_DIAL_H

#include <openssl/types.h>

#include "edge/loop/stream.h"
#include "edge/upstream/proxy_protocol_write.h"
#include "edge/upstream/upstream_waiter.h"

struct upstream_dial;

/* What goes out before anything else: a PROXY protocol header. */
struct upstream_preface {
	unsigned char bytes[PROXY_V2_MAX];
	size_t size; /* 0: nothing */
};

/* An open connection, and what was learnt on the way to it. */
struct upstream_opened {
	struct stream stream; /* its io watches for nothing in particular and has no owner */
	int64_t connect_us;
	bool http2;
	bool single; /* carries one request */
};

/* Each is the last that the dial does; it is freed when they return. */
struct upstream_dial_owner {
	/* Takes the stream out of `opened`, and what waits out of the list. */
	void (*on_open)(void *arg, struct upstream_opened *opened, struct upstream_wait_list *list);
	/* Those who wait are told afterwards. */
	void (*on_over)(void *arg);
};

struct upstream_dial_options {
	SSL *ssl; /* a client's, without a socket; NULL: plain. Taken, also when it fails */
	const struct upstream_preface *preface;
	bool http2_known; /* by prior knowledge; else TLS decides */
	bool single;
};

/* Starts to connect; somebody has to wait at once, and with the last who does it ends. NULL: refused at once
 * (UPSTREAM_REFUSED), or nothing left here to connect with (UPSTREAM_LOCAL). */
struct upstream_dial *upstream_dial_new(const struct upstream_place *place,
    const struct upstream_dial_options *options, const struct upstream_dial_owner *owner, void *arg,
    enum upstream_failure *failure);
struct upstream_wait_list *upstream_dial_waiters(struct upstream_dial *dial);

#endif
