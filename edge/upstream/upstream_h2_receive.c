#include "edge/upstream/upstream_h2_state.h"

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
	if (stream->close_code == NGHTTP2_REFUSED_STREAM || stream->close_code == NGHTTP2_ENHANCE_YOUR_CALM)
		conn->refused_ms = loop_now(conn->place->loop);
	if (stream->close_code == NGHTTP2_HTTP_1_1_REQUIRED && conn->place->address->tls)
		stream->is_unprocessed = true;
}

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
	if (!interim || head->status == 100)
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

/* False: the stream may not be there any more. */
static bool tell_room(struct upstream_stream *stream)
{
	if (!stream->wants_room ||
	    (upstream_stream_send_room(stream) == 0 && stream->sending == UPSTREAM_H2_SENDING))
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
	bool is_cut = stream->is_closed && stream->response < UPSTREAM_H2_LAST;

	stream->has_news = false;
	if (stream->is_closed && stream->sending == UPSTREAM_H2_SENDING)
		stream->sending = UPSTREAM_H2_UNHEARD;
	if (is_cut)
		judge_close(stream);
	if (stream->is_malformed || stream->is_unprocessed || is_cut) {
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
void upstream_stream_resume(struct upstream_call *call)
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
