#include <assert.h>
#include <stdlib.h>

#include "edge/http/h2_memory.h"
#include "edge/upstream/upstream_h2_state.h"

/* nghttp2 numbers what it calls: 0 goes on, this resets the stream, CALLBACK_FAILURE ends the connection. */
static int refuse_stream(nghttp2_session *session, struct upstream_stream *stream, int32_t id)
{
	if (stream) {
		stream->is_malformed = true;
		upstream_stream_touch(stream);
	}
	nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static struct upstream_stream *find(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- what comes */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *frame, void *arg)
{
	struct upstream_h2 *conn = arg;
	bool is_awaited = find(session, frame->stream_id);

	if (upstream_h2_flood_allows(&conn->flood, frame, is_awaited, loop_now(conn->place->loop)))
		return 0;
	conn->broke_rules = true;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	(void)session, (void)frame;
	upstream_h2_fields_begin(&((struct upstream_h2 *)arg)->fields);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
    nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
	struct upstream_h2 *conn = arg;

	(void)flags;
	if (upstream_h2_fields_add(&conn->fields, name, value))
		return 0;
	return refuse_stream(session, find(session, frame->hd.stream_id), frame->hd.stream_id);
}

static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *arg)
{
	(void)name, (void)name_size, (void)value, (void)value_size, (void)flags, (void)arg;
	return refuse_stream(session, find(session, frame->hd.stream_id), frame->hd.stream_id);
}

static void take_headers(struct upstream_h2 *conn, const nghttp2_frame *frame)
{
	struct upstream_stream *stream = find(conn->session, frame->hd.stream_id);
	bool is_last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	if (stream && !upstream_stream_take_head(stream, &conn->fields.head, is_last))
		refuse_stream(conn->session, find(conn->session, frame->hd.stream_id), frame->hd.stream_id);
	upstream_h2_fields_drop(&conn->fields);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct upstream_h2 *conn = arg;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS: take_headers(conn, frame); break;
	case NGHTTP2_SETTINGS: upstream_h2_take_settings(conn); break;
	case NGHTTP2_GOAWAY: upstream_h2_retire(conn); break;
	case NGHTTP2_PING: return 0;
	default: break;
	}
	conn->was_asked = false;
	struct upstream_stream *stream = find(session, frame->hd.stream_id);
	if (stream && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		upstream_stream_take_end(stream);
	return 0;
}

static int on_data(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size, void *arg)
{
	struct upstream_stream *stream = find(session, id);

	(void)flags, (void)arg;
	nghttp2_session_consume_connection(session, size);
	if (stream)
		upstream_stream_take_data(stream, (const char *)bytes, size);
	return 0;
}

/* nghttp2 resets the stream itself. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
	struct upstream_stream *stream = find(session, frame->hd.stream_id);

	(void)code, (void)arg;
	if (stream) {
		stream->is_malformed = true;
		upstream_stream_touch(stream);
	}
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct upstream_stream *stream = find(session, id);

	(void)arg;
	if (!stream)
		return 0;
	stream->is_closed = true;
	stream->close_code = code;
	upstream_stream_touch(stream);
	return 0;
}

/* Extensions (RFC 9113 section 5.5) are not read, but on_begin_frame hears only of those that might be. */
static int on_extension(
    nghttp2_session *session, const nghttp2_frame_hd *frame, const uint8_t *bytes, size_t size, void *arg)
{
	(void)session, (void)frame, (void)bytes, (void)size, (void)arg;
	return NGHTTP2_ERR_CANCEL;
}

static int on_unpack(nghttp2_session *session, void **payload, const nghttp2_frame_hd *frame, void *arg)
{
	(void)session, (void)payload, (void)frame, (void)arg;
	return NGHTTP2_ERR_CANCEL;
}

/* ---- what goes */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct upstream_h2 *conn = arg;
	struct upstream_stream *stream = find(session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_HEADERS && stream)
		stream->was_sent = true;
	if (frame->hd.type == NGHTTP2_RST_STREAM && stream)
		stream->we_reset = true;
	if (frame->hd.type == NGHTTP2_RST_STREAM && ++conn->resets == UPSTREAM_H2_RESETS_MAX)
		upstream_h2_retire(conn);
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		conn->broke_rules = true;
	upstream_h2_flood_sent(&conn->flood, frame->hd.type);
	return 0;
}

static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
	struct upstream_stream *stream = find(session, frame->hd.stream_id);

	(void)code, (void)arg;
	if (stream && frame->hd.type == NGHTTP2_HEADERS) {
		stream->was_not_sent = true;
		upstream_stream_touch(stream);
	}
	return 0;
}

/* The bytes stay where they are: nghttp2 adds the frame's header only. */
static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t size,
    nghttp2_data_source *source, void *arg)
{
	struct upstream_h2 *conn = arg;
	struct upstream_stream *stream = find(session, frame->hd.stream_id);

	(void)source;
	bool fits = buf_append(&conn->out, header, 9) == R_OK &&
		    buf_append(&conn->out, buf_bytes(&stream->out), size) == R_OK;
	assert(fits);
	buf_consume(&stream->out, size);
	upstream_stream_touch(stream);
	return buf_size(&conn->out) < UPSTREAM_H2_WRITE_AT_ONCE ? 0 : NGHTTP2_ERR_PAUSE;
}

/* ---- start */

static nghttp2_session_callbacks *make_callbacks(void)
{
	nghttp2_session_callbacks *callbacks = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
	nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(callbacks, on_extension);
	nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unpack);
	return callbacks;
}

/* Windows are ours to open: as fast as clients take. */
static nghttp2_option *make_options(void)
{
	nghttp2_option *options = NULL;

	if (nghttp2_option_new(&options) != 0)
		return NULL;
	nghttp2_option_set_no_auto_window_update(options, 1);
	nghttp2_option_set_peer_max_concurrent_streams(options, UPSTREAM_H2_STREAMS_MAX);
	nghttp2_option_set_max_send_header_block_length(options, 2 * HTTP_HEAD_MAX);
	nghttp2_option_set_max_reserved_remote_streams(options, 0);
	nghttp2_option_set_no_closed_streams(options, 1);
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		nghttp2_option_set_user_recv_extension_type(options, (uint8_t)type);
	return options;
}

static void say_settings(nghttp2_session *session)
{
	const nghttp2_settings_entry entries[] = {
	    {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UPSTREAM_H2_WINDOW},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
	};

	nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, entries, sizeof entries / sizeof *entries);
	nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, UPSTREAM_H2_WINDOW_ALL);
}

nghttp2_session *upstream_h2_session_new(struct upstream_h2 *conn)
{
	nghttp2_session_callbacks *callbacks = make_callbacks();
	nghttp2_option *options = make_options();
	nghttp2_session *session = NULL;

	if (!callbacks || !options ||
	    nghttp2_session_client_new3(&session, callbacks, conn, options, h2_memory()) != 0)
		abort(); /* out of memory, as in mem_alloc */
	nghttp2_option_del(options);
	nghttp2_session_callbacks_del(callbacks);
	say_settings(session);
	return session;
}
