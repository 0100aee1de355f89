#include "edge/upstream/upstream_h1.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "edge/upstream/upstream_h1_state.h"

static void on_ready(struct loop_io *io, uint32_t events);
static void on_deadline(struct deadline *deadline);

static void free_later(struct loop_task *task)
{
	free(loop_owner(task, struct upstream_h1, free_task));
}

static const struct upstream_call_kind h1_kind;

struct upstream_h1 *upstream_h1_new(const struct upstream_place *place, struct upstream_opened *opened)
{
	struct upstream_h1 *upstream = mem_alloc(sizeof *upstream);

	upstream->call.kind = &h1_kind;
	upstream->place = place;
	upstream->single = opened->single;
	upstream->connect_us = opened->connect_us;
	upstream->free_task.run = free_later;
	upstream->state = LINK_OPEN;
	upstream->response = RESPONSE_DONE;
	buf_init(&upstream->out, UPSTREAM_OUT_MAX);
	buf_init(&upstream->in, UPSTREAM_READ_BUFFER);
	upstream->stream = opened->stream;
	upstream->stream.io.on_ready = on_ready;
	deadline_init(&upstream->deadline, place->loop, on_deadline);
	return upstream;
}

/* An end would tell the application that its peer had said all it had to say. */
static void reset_tunnel(struct upstream_h1 *upstream)
{
	const struct linger reset = {.l_onoff = 1};

	upstream->stream.failed = true;
	setsockopt(upstream->stream.io.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void upstream_h1_close(struct upstream_h1 *upstream)
{
	bool is_over = upstream->response == RESPONSE_DONE && upstream_h1_has_sent_all(upstream);

	if (upstream_h1_is_tunnel(upstream) && !is_over)
		reset_tunnel(upstream);
	upstream->state = LINK_DEAD;
	deadline_fini(&upstream->deadline);
	stream_fini(&upstream->stream);
	buf_fini(&upstream->in);
	buf_fini(&upstream->out);
	loop_defer(upstream->deadline.loop, &upstream->free_task);
}

struct upstream_call *upstream_h1_call(struct upstream_h1 *upstream)
{
	return &upstream->call;
}

struct upstream_h1 *upstream_h1_of(struct upstream_call *call)
{
	return call->kind == &h1_kind ? upstream_h1_from(call) : NULL;
}

void upstream_h1_fail(struct upstream_h1 *upstream, enum upstream_failure failure)
{
	upstream->state = LINK_DEAD;
	deadline_clear(&upstream->deadline);
	loop_unwatch(upstream->stream.loop, &upstream->stream.io);
	upstream->user->on_failed(upstream->arg, failure);
}

/* Whose silence is it? The upstream's clock stands still while the client has to send or to take. */
static bool waits_for_upstream(const struct upstream_h1 *upstream)
{
	bool client_sends = upstream->sending == REQUEST_OPEN && upstream_h1_unsent(upstream) == 0 &&
			    !upstream->wants_room && !upstream->request.expects_continue;

	/* A tunnel's silence is judged for both sides together, by whoever holds both. */
	if (upstream_h1_is_tunnel(upstream) || (upstream->response <= RESPONSE_INTERIM && client_sends))
		return false;
	return !upstream->held_back && upstream->response != RESPONSE_DONE;
}

static int64_t longest_silence(const struct upstream_h1 *upstream)
{
	const struct upstream_timeouts *timeouts = upstream->place->timeouts;
	bool takes_all = upstream_h1_unsent(upstream) == 0 && !upstream->wants_room;
	bool awaits_answer = upstream->response <= RESPONSE_INTERIM && takes_all;

	return awaits_answer ? timeouts->first_byte_ms : timeouts->idle_ms;
}

static void arm(struct upstream_h1 *upstream)
{
	if (upstream->state != LINK_OPEN)
		return;
	if (waits_for_upstream(upstream))
		deadline_set(&upstream->deadline, longest_silence(upstream));
	else
		deadline_clear(&upstream->deadline);
}

/* A tunnel that was ended both ways, whose hang-up would be reported until its user closes it. */
static bool is_over(const struct upstream_h1 *upstream)
{
	return upstream->sending == REQUEST_SHUT && upstream->response == RESPONSE_DONE;
}

static void watch(struct upstream_h1 *upstream)
{
	bool wants_write =
	    upstream->sending != REQUEST_BROKEN && (upstream_h1_unsent(upstream) > 0 || upstream->wants_room);

	if (is_over(upstream))
		loop_unwatch(upstream->stream.loop, &upstream->stream.io);
	else if (upstream->state == LINK_OPEN)
		stream_watch(&upstream->stream, !upstream->held_back && upstream->response != RESPONSE_DONE,
		    wants_write);
}

void upstream_h1_settle(struct upstream_h1 *upstream)
{
	arm(upstream);
	watch(upstream);
}

static void on_deadline(struct deadline *deadline)
{
	upstream_h1_fail(loop_owner(deadline, struct upstream_h1, deadline), UPSTREAM_TIMEOUT);
}

/* ---- events */

/* Nobody takes what it says now, and a hang-up would be reported again and again. */
static bool must_look_away(const struct upstream_h1 *upstream, uint32_t events)
{
	return (events & (EPOLLHUP | EPOLLERR)) && upstream->held_back;
}

/* A tunnel's upstream had ended its direction, and takes nothing more either. */
static bool has_hung_up(const struct upstream_h1 *upstream, uint32_t events)
{
	return (events & (EPOLLHUP | EPOLLERR)) && upstream->response == RESPONSE_DONE;
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);
	struct upstream_h1 *upstream = loop_owner(stream, struct upstream_h1, stream);

	if (upstream->state == LINK_IDLE) {
		if (upstream_h1_is_stale(upstream))
			upstream_h1_fail(upstream, UPSTREAM_CLOSED);
		return;
	}
	if (upstream->state == LINK_OPEN && (events & (EPOLLOUT | EPOLLERR)))
		upstream_h1_take_room(upstream);
	if (upstream->state != LINK_OPEN)
		return;
	if (has_hung_up(upstream, events))
		upstream_h1_fail(upstream, UPSTREAM_CLOSED);
	else if (must_look_away(upstream, events))
		loop_unwatch(stream->loop, io);
	else if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && upstream_h1_is_receiving(upstream))
		upstream_h1_receive(upstream);
}

/* ---- what its users ask */

static void attach(struct upstream_call *call, const struct upstream_user *user, void *arg)
{
	upstream_h1_from(call)->user = user;
	upstream_h1_from(call)->arg = arg;
}

static enum result recover(struct upstream_call *call, struct buf *out)
{
	struct upstream_h1 *upstream = upstream_h1_from(call);
	bool untouched = !upstream->gave_away && upstream->sent == 0;

	if (upstream->response != RESPONSE_AWAITED || upstream->gave_away)
		return R_NONE;
	buf_fini(out);
	*out = upstream->out;
	buf_init(&upstream->out, UPSTREAM_OUT_MAX);
	upstream->sent = 0;
	return untouched ? R_OK : R_LOST;
}

static void close_call(struct upstream_call *call)
{
	upstream_h1_close(upstream_h1_from(call));
}

static bool was_used(const struct upstream_call *call)
{
	return ((const struct upstream_h1 *)(const void *)call)->was_used;
}

static bool has_sent_all(const struct upstream_call *call)
{
	return upstream_h1_has_sent_all((const struct upstream_h1 *)(const void *)call);
}

static int64_t connect_us(const struct upstream_call *call)
{
	return ((const struct upstream_h1 *)(const void *)call)->connect_us;
}

static uint32_t reset_code(const struct upstream_call *call)
{
	(void)call;
	return 0;
}

static const struct upstream_call_kind h1_kind = {
    .attach = attach,
    .start = upstream_h1_start,
    .send = upstream_h1_send,
    .send_end = upstream_h1_send_end,
    .flush = upstream_h1_flush,
    .has_sent_all = has_sent_all,
    .resume = upstream_h1_resume,
    .recover = recover,
    .close = close_call,
    .was_used = was_used,
    .connect_us = connect_us,
    .reset_code = reset_code,
};

bool upstream_h1_is_reusable(const struct upstream_h1 *upstream)
{
	return upstream->state == LINK_OPEN && upstream->response == RESPONSE_DONE && upstream->keep_alive &&
	       upstream->sending == REQUEST_ENDED && upstream_h1_unsent(upstream) == 0 &&
	       buf_size(&upstream->in) == 0 && !upstream->single && !stream_has_buffered(&upstream->stream);
}

const struct upstream_place *upstream_h1_place(const struct upstream_h1 *upstream)
{
	return upstream->place;
}

/* With TLS what came may be a ticket: reading it leaves nothing. */
bool upstream_h1_is_stale(struct upstream_h1 *upstream)
{
	char byte;
	size_t got = 0;

	if (recv(upstream->stream.io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return false;
	return !upstream->stream.ssl || stream_read(&upstream->stream, &byte, 1, &got) != R_AGAIN;
}

void upstream_h1_rest(struct upstream_h1 *upstream)
{
	assert(upstream_h1_is_reusable(upstream));
	upstream->state = LINK_IDLE;
	upstream->connect_us = -1;
	buf_fini(&upstream->out);
	if (upstream->in.capacity > READ_SMALL + 1)
		buf_fini(&upstream->in);
	stream_watch(&upstream->stream, true, false);
}

struct upstream_link *upstream_h1_link(struct upstream_h1 *upstream)
{
	return &upstream->link;
}
