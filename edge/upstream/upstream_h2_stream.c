#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "edge/http/h1_body.h"
#include "edge/upstream/upstream_h2_state.h"

static void on_free(struct loop_task *task)
{
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

	if (stream->response == UPSTREAM_H2_AWAITED && client_sends)
		return false;
	return !stream->held_back && stream->response < UPSTREAM_H2_LAST;
}

void upstream_stream_arm(struct upstream_stream *stream)
{
	const struct upstream_timeouts *timeouts = NULL;

	if (!stream->conn || stream->id == 0)
		return;
	timeouts = stream->conn->place->timeouts;
	bool awaits_answer = stream->response == UPSTREAM_H2_AWAITED && buf_size(&stream->out) == 0;
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

static enum upstream_failure failure_of(const struct upstream_stream *stream)
{
	if (stream->is_unprocessed)
		return UPSTREAM_UNPROCESSED;
	return stream->is_malformed || stream->we_reset ? UPSTREAM_MALFORMED : UPSTREAM_RESET;
}

/* RFC 9113 section 8.7: what was refused, or is above the last stream of a GOAWAY (nghttp2 closes these as
 * refused), was not looked at; HTTP_1_1_REQUIRED says the same, and more. */
static void judge_close(struct upstream_stream *stream)
{
	struct upstream_h2 *conn = stream->conn;
	bool is_new = stream->response == UPSTREAM_H2_AWAITED;

	if (stream->was_not_sent || (is_new && stream->close_code == NGHTTP2_REFUSED_STREAM))
		stream->is_unprocessed = true;
	if (stream->was_not_sent || !is_new)
		return;
	if (stream->close_code == NGHTTP2_REFUSED_STREAM)
		conn->refused_ms = loop_now(conn->place->loop);
	if (stream->close_code != NGHTTP2_HTTP_1_1_REQUIRED || !conn->place->address->tls)
		return;
	stream->is_unprocessed = true;
	atomic_store_explicit(&conn->place->address->speaks, UPSTREAM_SPEAKS_HTTP1, memory_order_relaxed);
	upstream_h2_retire(conn);
}

/* ---- what comes */

bool upstream_stream_take_head(struct upstream_stream *stream, struct http_head *head, bool is_last)
{
	bool is_head = stream->response == UPSTREAM_H2_AWAITED || stream->response == UPSTREAM_H2_INTERIM;

	stream->has_news = true;
	upstream_stream_touch(stream);
	if (!is_head) {
		buf_init(&stream->last_lines, HTTP_HEAD_MAX + 16);
		h1_write_last_chunk(&stream->last_lines, head);
		return true;
	}
	if (upstream_h2_head_judge_response(head, stream->about.to_head, is_last) != R_OK)
		return false;
	buf_fini(&stream->rest);
	stream->is_at_rest = false;
	bool interim = head->status < 200;
	if (interim && ++stream->interim_count > UPSTREAM_INTERIM_MAX)
		return false;
	stream->response = interim ? UPSTREAM_H2_INTERIM : UPSTREAM_H2_BODY;
	stream->about.expects_continue = false;
	stream->user->on_head(stream->arg, head, interim);
	return true;
}

/* The client keeps up: more may be on its way. */
static void count_taken(struct upstream_stream *stream, size_t size)
{
	if (!stream->conn || size == 0)
		return;
	nghttp2_session *session = stream->conn->session;
	nghttp2_session_consume_stream(session, stream->id, size);
	if (stream->client_is_slow || stream->taken > UPSTREAM_H2_WINDOW)
		return;
	stream->taken += size;
	if (stream->taken > UPSTREAM_H2_WINDOW)
		nghttp2_session_set_local_window_size(
		    session, NGHTTP2_FLAG_NONE, stream->id, UPSTREAM_H2_WINDOW_FAST);
}

static void keep_in(struct upstream_stream *stream, const char *bytes, size_t size)
{
	stream->held_back = stream->client_is_slow = true;
	if (buf_append(&stream->in, bytes, size) != R_OK)
		stream->is_malformed = true;
}

void upstream_stream_take_data(struct upstream_stream *stream, const char *bytes, size_t size)
{
	size_t taken = 0;

	if (size == 0)
		return;
	stream->has_news = true;
	upstream_stream_touch(stream);
	if (!stream->held_back)
		taken = stream->user->on_body(stream->arg, bytes, size);
	if (stream->was_left)
		return;
	count_taken(stream, taken);
	if (taken < size)
		keep_in(stream, bytes + taken, size - taken);
}

void upstream_stream_take_end(struct upstream_stream *stream)
{
	stream->response = UPSTREAM_H2_LAST;
	upstream_stream_touch(stream);
}

static bool hand_trailers(struct upstream_stream *stream)
{
	struct http_slice lines = {buf_bytes(&stream->last_lines), buf_size(&stream->last_lines)};
	struct http_head trailers;

	if (lines.size <= 5)
		return true;
	lines.bytes += 3; /* `0` and its line's end */
	lines.size -= 3;
	if (h1_read_trailers(&trailers, lines, H1_RESPONSE) != R_OK)
		return false;
	stream->user->on_trailers(stream->arg, &trailers);
	return true;
}

static void end_response(struct upstream_stream *stream)
{
	if (!hand_trailers(stream)) {
		upstream_stream_fail(stream, UPSTREAM_MALFORMED);
		return;
	}
	if (stream->was_left)
		return;
	stream->response = UPSTREAM_H2_OVER;
	if (stream->conn)
		stream->conn->was_used = true;
	deadline_clear(&stream->deadline);
	stream->user->on_end(stream->arg);
}

static size_t send_room(const struct upstream_stream *stream)
{
	size_t waiting = buf_size(&stream->out);

	return waiting < UPSTREAM_SEND_BUFFER ? UPSTREAM_SEND_BUFFER - waiting : 0;
}

/* False: the stream may not be there any more. */
static bool tell_room(struct upstream_stream *stream)
{
	if (!stream->wants_room || (send_room(stream) == 0 && stream->sending == UPSTREAM_H2_SENDING))
		return true;
	stream->wants_room = false;
	stream->user->on_room(stream->arg);
	return false;
}

/* Calls one of its user's callbacks, so that it may be gone afterwards; where there is more to tell it is
 * touched again. */
void upstream_stream_settle(struct upstream_stream *stream)
{
	bool has_news = stream->has_news;

	stream->has_news = false;
	if (stream->is_closed && stream->sending == UPSTREAM_H2_SENDING)
		stream->sending = UPSTREAM_H2_UNHEARD;
	if (stream->is_closed && stream->response < UPSTREAM_H2_LAST)
		judge_close(stream);
	if (stream->is_malformed || (stream->is_closed && stream->response < UPSTREAM_H2_LAST)) {
		upstream_stream_fail(stream, failure_of(stream));
		return;
	}
	if (stream->response == UPSTREAM_H2_LAST && buf_size(&stream->in) == 0) {
		end_response(stream);
		return;
	}
	upstream_stream_arm(stream);
	if (has_news && stream->wants_room)
		upstream_stream_touch(stream);
	if (has_news)
		stream->user->on_pause(stream->arg);
	else
		tell_room(stream);
}

/* What is left may outlive the connection. */
static void resume(struct upstream_call *call)
{
	struct upstream_stream *stream = upstream_stream_from(call);

	if (!stream->held_back || stream->was_left)
		return;
	stream->held_back = false;
	size_t size = buf_size(&stream->in);
	size_t taken = stream->user->on_body(stream->arg, buf_bytes(&stream->in), size);
	if (stream->was_left)
		return;
	buf_consume(&stream->in, taken);
	stream->held_back = taken < size;
	count_taken(stream, taken);
	if (!stream->held_back)
		buf_fini(&stream->in);
	if (stream->response == UPSTREAM_H2_LAST && !stream->held_back) {
		end_response(stream);
		return;
	}
	if (stream->conn)
		upstream_h2_kick(stream->conn);
	upstream_stream_arm(stream);
	stream->user->on_pause(stream->arg);
}

/* ---- what goes */

static bool send_trailers(struct upstream_stream *stream)
{
	nghttp2_nv fields[UPSTREAM_H2_FIELDS_SENT_MAX];
	struct http_slice lines = {buf_bytes(&stream->trailers), buf_size(&stream->trailers)};

	if (lines.size <= 5)
		return false;
	size_t count = upstream_h2_head_read_lines(fields, lines.bytes + 3, lines.size - 3);
	return nghttp2_submit_trailer(stream->conn->session, stream->id, fields, count) == 0;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t room, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	struct upstream_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)bytes, (void)source, (void)arg;
	if (!stream)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	size_t waiting = buf_size(&stream->out);
	size_t size = waiting < room ? waiting : room;
	if (waiting == 0 && stream->sending != UPSTREAM_H2_SENT)
		return NGHTTP2_ERR_DEFERRED;
	if (size > 0)
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (size < waiting || stream->sending != UPSTREAM_H2_SENT)
		return (ssize_t)size;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (send_trailers(stream))
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return (ssize_t)size;
}

/* The body's first bytes, and maybe its end, as they rest behind the head. */
static void take_rested_body(struct upstream_stream *stream, const struct upstream_h2_request *head)
{
	struct http_head framing = {.body = stream->about.body, .content_length = head->content_length};
	const char *at = buf_bytes(&stream->rest) + head->size;
	size_t left = buf_size(&stream->rest) - head->size;
	struct h1_body body;
	size_t skip = 0;
	size_t data = 0;

	h1_body_init(&body, &framing);
	enum result result = R_OK;
	while (!h1_body_is_done(&body) && (result = h1_body_next(&body, at, left, &skip, &data)) == R_OK) {
		buf_append(&stream->out, at + skip, data);
		h1_body_take(&body, data);
		at += skip + data;
		left -= skip + data;
	}
	assert(result != R_INVALID);
	if (result == R_EOF && body.trailers.size > 0) {
		buf_append(&stream->trailers, "0\r\n", 3);
		buf_append(&stream->trailers, body.trailers.bytes, body.trailers.size);
	}
}

static void submit(struct upstream_stream *stream, const struct upstream_h2_request *head)
{
	struct upstream_h2 *conn = stream->conn;
	const nghttp2_data_provider body = {.read_callback = on_read};
	bool has_none =
	    stream->about.is_whole && buf_size(&stream->out) == 0 && buf_size(&stream->trailers) == 0;
	int32_t id = nghttp2_submit_request(
	    conn->session, NULL, head->fields, head->count, has_none ? NULL : &body, stream);

	if (id > 0)
		stream->id = id;
	else
		stream->was_not_sent = stream->is_closed = true;
	upstream_stream_touch(stream);
}

static void start(struct upstream_call *call, struct buf *request, const struct upstream_request *about)
{
	struct upstream_stream *stream = upstream_stream_from(call);
	struct upstream_h2_request head;

	assert(stream->conn && stream->id == 0);
	stream->rest = *request;
	buf_init(request, UPSTREAM_OUT_MAX);
	stream->is_at_rest = true;
	stream->about = *about;
	stream->sending = about->is_whole ? UPSTREAM_H2_SENT : UPSTREAM_H2_SENDING;
	stream->wants_room = about->was_elsewhere && !about->is_whole;
	upstream_h2_head_read_request(
	    &head, buf_bytes(&stream->rest), buf_size(&stream->rest), stream->conn->stream.ssl != NULL);
	take_rested_body(stream, &head);
	submit(stream, &head);
}

/* While the upstream may say that it has not looked at it, the start of a body is kept. */
static void keep_at_rest(struct upstream_stream *stream, const char *bytes, size_t size)
{
	if (!stream->is_at_rest)
		return;
	if (buf_size(&stream->rest) + size > UPSTREAM_H2_REPLAY_MAX) {
		stream->is_at_rest = false;
		buf_fini(&stream->rest);
	} else if (stream->about.body == HTTP_BODY_CHUNKED) {
		h1_write_chunk(&stream->rest, bytes, size);
	} else {
		buf_append(&stream->rest, bytes, size);
	}
}

static void go_on(struct upstream_stream *stream)
{
	if (!stream->conn || stream->is_closed)
		return;
	nghttp2_session_resume_data(stream->conn->session, stream->id);
	upstream_h2_kick(stream->conn);
}

static size_t send_some(struct upstream_call *call, const char *bytes, size_t size)
{
	struct upstream_stream *stream = upstream_stream_from(call);
	size_t room = send_room(stream);
	size_t some = size < room ? size : room;

	stream->about.expects_continue = false;
	if (!stream->conn || stream->is_closed || stream->sending == UPSTREAM_H2_UNHEARD)
		return size;
	stream->wants_room = some < size;
	if (some == 0)
		return 0;
	buf_append(&stream->out, bytes, some);
	keep_at_rest(stream, bytes, some);
	go_on(stream);
	return some;
}

static void send_end(struct upstream_call *call, const struct http_head *trailers)
{
	struct upstream_stream *stream = upstream_stream_from(call);

	if (stream->sending != UPSTREAM_H2_SENDING)
		return;
	stream->sending = UPSTREAM_H2_SENT;
	stream->about.is_whole = true;
	if (trailers)
		h1_write_last_chunk(&stream->trailers, trailers);
	if (stream->is_at_rest && stream->about.body == HTTP_BODY_CHUNKED)
		h1_write_last_chunk(&stream->rest, trailers);
	go_on(stream);
}

static void flush(struct upstream_call *call)
{
	struct upstream_stream *stream = upstream_stream_from(call);

	if (!stream->conn)
		return;
	upstream_stream_arm(stream);
	upstream_h2_kick(stream->conn);
}

static bool has_sent_all(const struct upstream_call *call)
{
	const struct upstream_stream *stream = stream_from(call);

	return stream->sending != UPSTREAM_H2_SENDING && buf_size(&stream->out) == 0;
}

/* ---- the rest of a call */

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
    .start = start,
    .send = send_some,
    .send_end = send_end,
    .flush = flush,
    .has_sent_all = has_sent_all,
    .resume = resume,
    .recover = recover,
    .close = close_call,
    .was_used = was_used,
    .connect_us = connect_us,
    .reset_code = reset_code,
};

struct upstream_call *upstream_h2_open(struct upstream_h2 *conn, int64_t connect_us_taken)
{
	struct upstream_stream *stream = mem_alloc(sizeof *stream);

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
