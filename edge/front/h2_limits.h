/*
 * What a client of HTTP/2 may do that costs us more than it: every number in one place. What has a rate is
 * paid out of a purse that fills slowly, and with each piece of honest work; who has spent it all is sent
 * GOAWAY with ENHANCE_YOUR_CALM.
 */
#ifndef EDGE_H2_LIMITS_H
#define EDGE_H2_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "edge/http_config.h"

enum {
	H2_STREAMS_MAX = 128, /* open at a time: SETTINGS_MAX_CONCURRENT_STREAMS */
	/* With those whose request was given up after it had gone on: the app may still be at work for them,
	 * which nobody tells us. */
	H2_SLOTS_MAX = 2 * H2_STREAMS_MAX,
	H2_SLOTS_FREED_PER_S = 128, /* of the latter */
	H2_WINDOW =
	    64 * 1024 - 1, /* of a request's body, not yet with the upstream: the protocol's default */
	H2_WINDOW_MAX = 1024 * 1024,      /* where the upstream keeps up */
	H2_GROWN_MAX = 2 * H2_WINDOW_MAX, /* by how much those of a connection may have grown, in sum */
	/* Of all bodies together, until they have been read: those that are held back hold up no others, as
	 * long as there is memory. It grows with theirs. */
	H2_WINDOW_ALL = 4 * H2_WINDOW,
	H2_OUT_GATHER =
	    64 * 1024, /* frames that wait for the socket; then no more are made, and little is read */
	H2_CONTINUATIONS_MAX = 8, /* of one header block: 64 KiB are four; newer nghttp2 stops there, too */
	H2_HEAD_WORK_MAX = 4 * 64 * 1024, /* bytes that one header block may decode to, kept or not */
	H2_ACKS_MAX = 128,                /* answers to PING and SETTINGS that the client does not fetch */
};

enum h2_limit {
	H2_LIMIT_RESETS,      /* streams that the client resets before their response is whole */
	H2_LIMIT_OWN_RESETS,  /* that we have to reset, for what the client did */
	H2_LIMIT_IDLE_FRAMES, /* frames that carry nothing: PING, SETTINGS, PRIORITY, PRIORITY_UPDATE,
			       * WINDOW_UPDATE, RST_STREAM, empty DATA, unknown ones */
	H2_LIMITS
};

struct h2_limits {
	int64_t spent[H2_LIMITS]; /* thousandths; below 0: saved */
	int64_t at_ms[H2_LIMITS];
	int64_t slots; /* given up but not free yet, thousandths */
	int64_t slots_at_ms;
};

/* False: that was too much. */
bool h2_limits_spend(struct h2_limits *limits, enum h2_limit limit, int64_t now_ms);
/* Honest work pays for so many frames that carry nothing, also for some that are to come. */
void h2_limits_earn(struct h2_limits *limits, int frames);
enum h2_end h2_limit_end(enum h2_limit limit);

/* A request was given up that had gone on. */
void h2_limits_hold_slot(struct h2_limits *limits, int64_t now_ms);
/* How many such slots are still taken. */
int64_t h2_limits_held_slots(struct h2_limits *limits, int64_t now_ms);

#endif
