#include <assert.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/tally.h"
#include "edge/upstream/upstream_h2_state.h"

static void on_free(struct loop_task *task)
{
	tally_add(TALLY_BUFFER_BYTES, -(int64_t)sizeof(struct upstream_stream));
	free(loop_owner(task, struct upstream_stream, free_task));
}

static const struct upstream_stream *stream_from(const struct upstream_call *call)
{
	return (const struct upstream_stream *)(const void *)call;
}

void upstream_stream_touch(struct upstream_stream *stream)
{
	if (!stream->conn || stream->is_touched)
		return;
	stream->is_touched = true;
	TAILQ_INSERT_TAIL(&stream->conn->touched, stream, touched);
	upstream_h2_kick(stream->conn);
}

/* ---- time */

/* As for HTTP/1.1: whose silence is it? */
static bool waits_for_upstream(const struct upstream_stream *stream)
{
	bool client_sends = stream->sending == UPSTREAM_H2_SENDING && buf_size(&stream->out) == 0 &&
			    !stream->wants_room && !stream->about.expects_continue;

	if (stream->response <= UPSTREAM_H2_INTERIM && client_sends)
		return false;
	return !stream->held_back && stream->response < UPSTREAM_H2_LAST;
}

void upstream_stream_arm(struct upstream_stream *stream)
{
	const struct upstream_timeouts *timeouts = NULL;

	if (!stream->conn || stream->id == 0)
		return;
	timeouts = stream->conn->place->timeouts;
	bool takes_all = buf_size(&stream->out) == 0 && !stream->wants_room;
	bool awaits_answer = stream->response <= UPSTREAM_H2_INTERIM && takes_all;
	if (waits_for_upstream(stream))
		deadline_set(&stream->deadline, awaits_answer ? timeouts->first_byte_ms : timeouts->idle_ms);
	else
		deadline_clear(&stream->deadline);
}

static void on_deadline(struct deadline *deadline)
{
	upstream_stream_fail(loop_owner(deadline, struct upstream_stream, deadline), UPSTREAM_TIMEOUT);
}

/* ---- end */

/* The request or the response is not over for the upstream: it is told to stop. */
static void cancel(struct upstream_stream *stream)
{
	nghttp2_session *session = stream->conn->session;

	if (stream->id == 0 || stream->is_closed)
		return;
	nghttp2_session_set_stream_user_data(session, stream->id, NULL);
	nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	upstream_h2_kick(stream->conn);
}

void upstream_stream_leave(struct upstream_stream *stream)
{
	struct upstream_h2 *conn = stream->conn;

	if (!conn)
		return;
	cancel(stream);
	if (stream->is_touched)
		TAILQ_REMOVE(&conn->touched, stream, touched);
	stream->is_touched = false;
	stream->was_used = conn->was_used;
	TAILQ_REMOVE(&conn->streams, stream, entry);
	stream->conn = NULL;
	deadline_clear(&stream->deadline);
	upstream_stream_left(conn);
}

void upstream_stream_fail(struct upstream_stream *stream, enum upstream_failure failure)
{
	upstream_stream_leave(stream);
	stream->user->on_failed(stream->arg, failure);
}

/* ---- a call */

static void attach(struct upstream_call *call, const struct upstream_user *user, void *arg)
{
	upstream_stream_from(call)->user = user;
	upstream_stream_from(call)->arg = arg;
}

/* A body that may have been looked at is never sent twice. */
static enum result recover(struct upstream_call *call, struct buf *out)
{
	struct upstream_stream *stream = upstream_stream_from(call);
	bool is_untouched = stream->is_unprocessed || !stream->was_sent;

	if (stream->response != UPSTREAM_H2_AWAITED || !stream->is_at_rest)
		return R_NONE;
	if (!is_untouched && stream->about.body != HTTP_BODY_NONE)
		return R_NONE;
	buf_fini(out);
	*out = stream->rest;
	buf_init(&stream->rest, UPSTREAM_OUT_MAX);
	stream->is_at_rest = false;
	return is_untouched ? R_OK : R_LOST;
}

static void close_call(struct upstream_call *call)
{
	struct upstream_stream *stream = upstream_stream_from(call);
	struct loop *loop = stream->deadline.loop;

	stream->was_left = true;
	upstream_stream_leave(stream);
	deadline_fini(&stream->deadline);
	buf_fini(&stream->out);
	buf_fini(&stream->trailers);
	buf_fini(&stream->rest);
	buf_fini(&stream->in);
	buf_fini(&stream->last_lines);
	loop_defer(loop, &stream->free_task);
}

static bool was_used(const struct upstream_call *call)
{
	const struct upstream_stream *stream = stream_from(call);

	return stream->conn ? stream->conn->was_used : stream->was_used;
}

static int64_t connect_us(const struct upstream_call *call)
{
	return stream_from(call)->connect_us;
}

static uint32_t reset_code(const struct upstream_call *call)
{
	return stream_from(call)->close_code;
}

static const struct upstream_call_kind h2_kind = {
    .attach = attach,
    .start = upstream_stream_start,
    .send = upstream_stream_send,
    .send_end = upstream_stream_send_end,
    .flush = upstream_stream_flush,
    .has_sent_all = upstream_stream_has_sent_all,
    .resume = upstream_stream_resume,
    .recover = recover,
    .close = close_call,
    .was_used = was_used,
    .connect_us = connect_us,
    .reset_code = reset_code,
};

struct upstream_call *upstream_h2_open(struct upstream_h2 *conn, int64_t connect_us_taken)
{
	struct upstream_stream *stream = mem_alloc(sizeof *stream);

	tally_add(TALLY_BUFFER_BYTES, sizeof *stream);
	assert(conn->state == UPSTREAM_H2_OPEN);
	stream->call.kind = &h2_kind;
	stream->conn = conn;
	stream->connect_us = connect_us_taken;
	stream->free_task.run = on_free;
	deadline_init(&stream->deadline, conn->place->loop, on_deadline);
	buf_init(&stream->out, UPSTREAM_SEND_BUFFER + H1_HEAD_ROOM);
	buf_init(&stream->trailers, H1_TRAILERS_MAX + 64);
	buf_init(&stream->rest, UPSTREAM_OUT_MAX);
	buf_init(&stream->in, UPSTREAM_H2_WINDOW_FAST);
	TAILQ_INSERT_TAIL(&conn->streams, stream, entry);
	conn->stream_count++;
	conn->was_started = true;
	return &stream->call;
}
