#include <assert.h>

#include "edge/http/h1_body.h"
#include "edge/upstream/upstream_h2_state.h"

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

void upstream_stream_start(
    struct upstream_call *call, struct buf *request, const struct upstream_request *about)
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

size_t upstream_stream_send(struct upstream_call *call, const char *bytes, size_t size)
{
	struct upstream_stream *stream = upstream_stream_from(call);
	size_t room = upstream_stream_send_room(stream);
	size_t some = size < room ? size : room;

	stream->about.expects_continue = false;
	if (!stream->conn || stream->is_closed || stream->sending == UPSTREAM_H2_UNHEARD) {
		/* Its user may hear at the end of the round that it was not looked at. */
		keep_at_rest(stream, bytes, size);
		return size;
	}
	stream->wants_room = some < size;
	if (some == 0)
		return 0;
	buf_append(&stream->out, bytes, some);
	keep_at_rest(stream, bytes, some);
	go_on(stream);
	return some;
}

void upstream_stream_send_end(struct upstream_call *call, const struct http_head *trailers)
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

void upstream_stream_flush(struct upstream_call *call)
{
	struct upstream_stream *stream = upstream_stream_from(call);

	if (!stream->conn)
		return;
	upstream_stream_arm(stream);
	upstream_h2_kick(stream->conn);
}

bool upstream_stream_has_sent_all(const struct upstream_call *call)
{
	const struct upstream_stream *stream = (const struct upstream_stream *)(const void *)call;

	return stream->sending != UPSTREAM_H2_SENDING && buf_size(&stream->out) == 0;
}
