/*
 * Frames that cost us work and bring nothing: how many of them an upstream may send. All that stand here are
 * far above what a server has reason to send, and low enough that one thread does not notice them.
 */
#ifndef EDGE_UPSTREAM_H2_FLOOD_H
#define EDGE_UPSTREAM_H2_FLOOD_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	/* SETTINGS, PING, PRIORITY, RST_STREAM, GOAWAY, empty DATA, frames of unknown types and heads that
	 * nobody awaits, in UPSTREAM_H2_FLOOD_PERIOD_MS. Streams end by RST_STREAM, so it is well above
	 * UPSTREAM_H2_STREAMS_MAX. One more for each HEADERS and DATA frame of ours: a busy server may reset
	 * as many streams as were opened, and gRPC's measure the path by a PING for what they get. */
	UPSTREAM_H2_FLOOD_FRAMES_MAX = 2000,
	UPSTREAM_H2_FLOOD_PERIOD_MS = 10 * 1000,
	/* WINDOW_UPDATE: so many in a period, and on top UPSTREAM_H2_FLOOD_UPDATES for each DATA frame of
	   ours. */
	UPSTREAM_H2_FLOOD_UPDATES = 4,
	/* Of one header block, HEADERS and CONTINUATION together, compressed. */
	UPSTREAM_H2_FLOOD_BLOCK_MAX = 128 * 1024,
	UPSTREAM_H2_FLOOD_CONTINUATIONS_MAX = 16,
};

struct upstream_h2_flood {
	int64_t since_ms;
	int64_t frames;
	int64_t updates; /* as `frames`, may be negative: they are owed */
	size_t block;
	int continuations;
};

/* False: that was one too many. `is_awaited`: it is of a stream whose request is not over. */
bool upstream_h2_flood_allows(
    struct upstream_h2_flood *flood, const nghttp2_frame_hd *frame, bool is_awaited, int64_t now_ms);
/* A frame of ours went out, of that type. */
void upstream_h2_flood_sent(struct upstream_h2_flood *flood, int type);

#endif
