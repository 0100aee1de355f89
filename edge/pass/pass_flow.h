/*
 * One direction of a connection that is passed on: bytes of one socket go into the other as they come, and
 * its end after them.
 *
 * Limit: what one read gave (WORKER_SCRATCH, or PASS_PIPE_BYTES in a pipe) and what it began with are held;
 * until they have gone nothing more is read.
 */
#ifndef EDGE_PASS_FLOW_H
#define EDGE_PASS_FLOW_H

#include "common/base/buf.h"
#include "edge/loop/loop.h"
#include "edge/pass/pass_pipes.h"

/* A connection that brings much does not hold up the others of its worker. */
enum { PASS_READS_AT_ONCE = 4 };

/* Then it is a body, and what a pipe saves is worth its two calls. */
enum { PASS_SPLICE_AFTER = 1024 * 1024 };

struct pass_flow {
	const struct loop_io *from, *to;
	struct buf held;
	struct pass_pipes *pipes;
	struct pass_pipe *pipe; /* holds the rest of what was read last; NULL: none */
	uint64_t bytes;         /* read from `from`, what it began with included */
	bool has_ended;         /* `from` has */
	bool is_shut;           /* and `to` was told */
};

enum pass_step {
	PASS_MOVED, /* there may be more */
	PASS_WAITS, /* for `from` to bring or `to` to take something, or for nothing */
	PASS_SOURCE_BROKE,
	PASS_SINK_BROKE,
};

/* The descriptors are looked at when they are needed. */
void pass_flow_init(
    struct pass_flow *flow, const struct loop_io *from, const struct loop_io *to, struct pass_pipes *pipes);
void pass_flow_fini(struct pass_flow *flow);
/* What was read of `from` before the flow began. Takes the bytes out of the buffer. */
void pass_flow_begin_with(struct pass_flow *flow, struct buf *received);
/* Bytes of ours that go before all others. */
void pass_flow_put_first(struct pass_flow *flow, const void *bytes, size_t size);

/* Sends what is held, then reads once, into `scratch` or a pipe, and sends it. *got: how much of `scratch`
 * was filled. */
enum pass_step pass_flow_step(struct pass_flow *flow, char *scratch, size_t room, size_t *got);

bool pass_flow_wants_read(const struct pass_flow *flow);
bool pass_flow_wants_write(const struct pass_flow *flow);
static inline bool pass_flow_is_over(const struct pass_flow *flow)
{
	return flow->is_shut;
}

#endif
