#include "edge/pass/pass_flow.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "edge/tls/client_hello.h"
#include "edge/worker.h"

/* A whole read, or a hello as it was received with a PROXY header before it. */
enum { HELD_MAX = WORKER_SCRATCH + CLIENT_HELLO_WIRE_MAX };

void pass_flow_init(
    struct pass_flow *flow, const struct loop_io *from, const struct loop_io *to, struct pass_pipes *pipes)
{
	*flow = (struct pass_flow){.from = from, .to = to, .pipes = pipes};
	buf_init(&flow->held, HELD_MAX);
}

void pass_flow_fini(struct pass_flow *flow)
{
	buf_fini(&flow->held);
	if (flow->pipe)
		pass_pipes_give(flow->pipes, flow->pipe);
	flow->pipe = NULL;
}

void pass_flow_begin_with(struct pass_flow *flow, struct buf *received)
{
	flow->bytes = buf_size(received);
	if (flow->bytes > 0)
		buf_append(&flow->held, buf_bytes(received), buf_size(received));
	buf_fini(received);
}

void pass_flow_put_first(struct pass_flow *flow, const void *bytes, size_t size)
{
	struct buf rest = flow->held;

	buf_init(&flow->held, HELD_MAX);
	buf_append(&flow->held, bytes, size);
	if (buf_size(&rest) > 0)
		buf_append(&flow->held, buf_bytes(&rest), buf_size(&rest));
	buf_fini(&rest);
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* *put bytes went; PASS_WAITS: not all of them. */
static enum pass_step send_bytes(struct pass_flow *flow, const char *bytes, size_t size, size_t *put)
{
	*put = 0;
	while (*put < size) {
		ssize_t sent = send(flow->to->fd, bytes + *put, size - *put, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0)
			return would_block() ? PASS_WAITS : PASS_SINK_BROKE;
		*put += (size_t)sent;
	}
	return PASS_MOVED;
}

/* A connection that is idle holds no memory. */
static enum pass_step send_held(struct pass_flow *flow)
{
	size_t put = 0;

	if (buf_size(&flow->held) == 0)
		return PASS_MOVED;
	enum pass_step step = send_bytes(flow, buf_bytes(&flow->held), buf_size(&flow->held), &put);
	buf_consume(&flow->held, put);
	if (step == PASS_MOVED)
		buf_fini(&flow->held);
	return step;
}

static enum pass_step pass_end(struct pass_flow *flow)
{
	if (flow->has_ended && !flow->is_shut && shutdown(flow->to->fd, SHUT_WR) != 0)
		return PASS_SINK_BROKE;
	flow->is_shut = flow->has_ended;
	return PASS_WAITS;
}

/* ---- through a pipe */

static enum pass_step send_piped(struct pass_flow *flow)
{
	struct pass_pipe *pipe = flow->pipe;

	while (pipe && pipe->held > 0) {
		ssize_t sent = splice(
		    pipe->read_fd, NULL, flow->to->fd, NULL, pipe->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (sent <= 0)
			return sent < 0 && would_block() ? PASS_WAITS : PASS_SINK_BROKE;
		pipe->held -= (size_t)sent;
	}
	if (pipe)
		pass_pipes_give(flow->pipes, pipe);
	flow->pipe = NULL;
	return PASS_MOVED;
}

static enum pass_step fill_pipe(struct pass_flow *flow)
{
	ssize_t read = splice(flow->from->fd, NULL, flow->pipe->write_fd, NULL, PASS_PIPE_BYTES,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

	if (read < 0)
		return would_block() ? PASS_WAITS : PASS_SOURCE_BROKE;
	if (read == 0) {
		flow->has_ended = true;
		return pass_end(flow);
	}
	flow->pipe->held = (size_t)read;
	flow->bytes += (uint64_t)read;
	return PASS_MOVED;
}

/* The pipe stays with the flow only while something is in it. */
static enum pass_step step_through_pipe(struct pass_flow *flow)
{
	enum pass_step step = fill_pipe(flow);

	if (step == PASS_MOVED)
		return send_piped(flow);
	pass_pipes_give(flow->pipes, flow->pipe);
	flow->pipe = NULL;
	return step;
}

/* ---- by copying */

static enum pass_step step_by_copy(struct pass_flow *flow, char *scratch, size_t room, size_t *got)
{
	size_t put = 0;
	ssize_t read = recv(flow->from->fd, scratch, room, MSG_DONTWAIT);

	if (read < 0)
		return would_block() ? PASS_WAITS : PASS_SOURCE_BROKE;
	if (read == 0) {
		flow->has_ended = true;
		return pass_end(flow);
	}
	*got = (size_t)read;
	flow->bytes += *got;
	enum pass_step step = send_bytes(flow, scratch, *got, &put);
	if (step == PASS_WAITS)
		buf_append(&flow->held, scratch + put, *got - put);
	/* Less than there was room for: there is no more for now. */
	return step == PASS_MOVED && *got < room ? PASS_WAITS : step;
}

enum pass_step pass_flow_step(struct pass_flow *flow, char *scratch, size_t room, size_t *got)
{
	*got = 0;
	enum pass_step step = send_held(flow);
	if (step == PASS_MOVED)
		step = send_piped(flow);
	if (step != PASS_MOVED)
		return step;
	if (flow->has_ended)
		return pass_end(flow);
	if (flow->bytes >= PASS_SPLICE_AFTER)
		flow->pipe = pass_pipes_take(flow->pipes);
	return flow->pipe ? step_through_pipe(flow) : step_by_copy(flow, scratch, room, got);
}

bool pass_flow_wants_read(const struct pass_flow *flow)
{
	return !flow->has_ended && buf_size(&flow->held) == 0 && !flow->pipe;
}

bool pass_flow_wants_write(const struct pass_flow *flow)
{
	return buf_size(&flow->held) > 0 || flow->pipe;
}
