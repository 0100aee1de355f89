/*
 * What nghttp2 calls back: frames that came, header blocks field by field, bytes of bodies in both
 * directions. It keeps the protocol's state and flow control; what a message is, and how much of anything a
 * client may send, is decided here and in h2_limits.
 */
#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "edge/admission.h"
#include "edge/front/h2_conn_state.h"

enum {
	EARNED_BY_REQUEST = 8,
	/* Of a response. Libraries give windows back by 4 KiB and more as their apps read, the stream's and
	 * the connection's. */
	BYTES_EARNING = 2048,
	/* nghttp2 compares what fields may become at worst, a dozen bytes more each, and sends no head beyond
	 * it. */
	HEAD_SENT_MAX = HTTP_HEAD_MAX + DOMAIN_OPTIONS_MAX + 8 * 1024,
};

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id > 0 ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

void h2_session_spend(struct h2_conn *conn, enum h2_limit limit)
{
	if (!h2_limits_spend(&conn->limits, limit, h2_now(conn)))
		h2_conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, h2_limit_end(limit));
}

/* ---- frames as they begin */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
	struct h2_conn *conn = arg;
	struct h2_stream *stream = NULL;

	h2_rules_frame_begins(conn, hd);
	switch (hd->type) {
	case NGHTTP2_HEADERS:
		conn->head_bytes = H2_FRAME_HEADER + hd->length;
		conn->continuations = 0;
		break;
	case NGHTTP2_CONTINUATION:
		conn->head_bytes += H2_FRAME_HEADER + hd->length;
		if (++conn->continuations > H2_CONTINUATIONS_MAX)
			h2_conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, H2_END_CONTINUATIONS);
		return 0;
	case NGHTTP2_DATA:
		stream = stream_of(session, hd->stream_id);
		if (stream)
			h2_stream_count_in(stream, H2_FRAME_HEADER + hd->length);
		break;
	default: break;
	}
	/* DATA earns it back with its bytes, a head with its request: one for a stream that is over has none.
	 */
	h2_session_spend(conn, H2_LIMIT_IDLE_FRAMES);
	return 0;
}

/* ---- header blocks */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *conn = arg;
	bool is_request = frame->headers.cat == NGHTTP2_HCAT_REQUEST;

	(void)session;
	h2_head_begin(&conn->head, is_request ? H2_BLOCK_REQUEST : H2_BLOCK_TRAILERS);
	conn->head_began_us = clock_monotonic_us();
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *arg)
{
	struct h2_conn *conn = arg;

	(void)session, (void)frame, (void)flags;
	h2_head_add(&conn->head, (struct http_slice){(const char *)name, name_size},
	    (struct http_slice){(const char *)value, value_size});
	if (conn->head.size > H2_HEAD_WORK_MAX)
		h2_conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, H2_END_HEAD_WORK);
	return 0;
}

static void malformed(struct h2_conn *conn, int32_t id)
{
	metric_add(h2_config(conn)->metrics.h2_malformed, 1);
	nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR);
}

static void malformed_stream(struct h2_stream *stream)
{
	metric_add(h2_config(stream->conn)->metrics.h2_malformed, 1);
	h2_stream_reset(stream, NGHTTP2_PROTOCOL_ERROR);
}

static bool has_slot(struct h2_conn *conn)
{
	return (int64_t)conn->stream_count + h2_limits_held_slots(&conn->limits, h2_now(conn)) < H2_SLOTS_MAX;
}

static void take_request(struct h2_conn *conn, int32_t id, bool is_last)
{
	struct h2_fields fields;
	enum result result = h2_head_end(&conn->head, is_last, &fields);

	if (result == R_INVALID) {
		malformed(conn, id);
		return;
	}
	if (!has_slot(conn)) {
		if (result == R_OK)
			h2_fields_fini(&fields);
		metric_add(h2_config(conn)->metrics.h2_refused, 1);
		nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
		return;
	}
	h2_limits_earn(&conn->limits, EARNED_BY_REQUEST);
	struct h2_stream *stream =
	    h2_stream_new(conn, id, result == R_OK ? &fields : NULL, result == R_OK ? 0 : conn->head.status);
	stream->received_end = is_last;
	nghttp2_session_set_stream_user_data(conn->session, id, stream);
}

static void take_trailers(struct h2_conn *conn, struct h2_stream *stream, bool is_last)
{
	struct h2_fields fields;
	enum result result = h2_head_end(&conn->head, is_last, &fields);

	if (result == R_OK && stream && !stream->has_trailers) {
		stream->trailers = fields;
		stream->has_trailers = true;
	} else if (result == R_OK)
		h2_fields_fini(&fields);
	/* A tunnel has none (RFC 9113 section 8.5). */
	if (stream && (result != R_OK || stream->asks_tunnel || h2_stream_receive_end(stream) != R_OK))
		malformed_stream(stream);
}

static void take_block(struct h2_conn *conn, const nghttp2_frame *frame)
{
	bool is_last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	int32_t id = frame->hd.stream_id;

	if (conn->state == H2_OPEN && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		take_request(conn, id, is_last);
	else if (conn->state == H2_OPEN)
		take_trailers(conn, stream_of(conn->session, id), is_last);
	conn->head_began_us = 0;
}

/* ---- frames that are whole */

static void take_reset(struct h2_conn *conn, const struct h2_stream *stream)
{
	if (stream && !stream->is_whole)
		h2_session_spend(conn, H2_LIMIT_RESETS);
}

static void take_priority(struct h2_conn *conn, const nghttp2_ext_priority_update *update)
{
	struct h2_stream *stream = stream_of(conn->session, update->stream_id);
	struct http_slice value = {(const char *)update->field_value, update->field_value_len};

	h2_rules_priority_update(conn, update->stream_id);
	if (stream)
		h2_turns_set_priority(stream, value, H2_PRIORITY_OF_UPDATE);
	else if (update->stream_id > 0)
		h2_turns_set_early_priority(conn, update->stream_id, value);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *conn = arg;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS: take_block(conn, frame); break;
	case NGHTTP2_DATA:
		if (stream && frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
		    h2_stream_receive_end(stream) != R_OK)
			malformed_stream(stream);
		break;
	case NGHTTP2_RST_STREAM: take_reset(conn, stream); break;
	case NGHTTP2_WINDOW_UPDATE:
		if (stream || frame->hd.stream_id == 0)
			h2_turns_window(conn, stream);
		break;
	case NGHTTP2_SETTINGS:
		h2_rules_settings(conn, &frame->settings);
		h2_turns_window(conn, NULL);
		break;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK)
			h2_conn_say_last(conn);
		break;
	case NGHTTP2_GOAWAY: h2_conn_retire(conn); break;
	case NGHTTP2_PRIORITY_UPDATE: take_priority(conn, frame->ext.payload); break;
	default: break;
	}
	return 0;
}

/* The connection's window comes back, but for what waits here while memory is short: that is owed. */
static void give_back(struct h2_conn *conn, size_t came, size_t kept)
{
	if (kept > 0 && !admission_is_short_of_memory(conn->worker))
		kept = 0;
	conn->owed += kept;
	nghttp2_session_consume_connection(conn->session, came - kept);
}

static int on_data_chunk(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size, void *arg)
{
	struct h2_conn *conn = arg;
	struct h2_stream *stream = stream_of(session, id);
	enum result result = R_OK;
	size_t kept = 0;

	(void)flags;
	if (size > 0)
		h2_limits_earn(&conn->limits, 1);
	if (stream && conn->state == H2_OPEN)
		result = h2_stream_receive(stream, (const char *)bytes, size, &kept);
	give_back(conn, size, kept);
	if (result != R_OK)
		malformed_stream(stream);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
	struct h2_stream *stream = stream_of(session, id);

	(void)error, (void)arg;
	if (stream)
		h2_stream_closed(stream);
	return 0;
}

/* ---- frames that we send */

/* What the client made us reset, as opposed to what went wrong behind us, or took too long. */
static bool is_clients_doing(uint32_t error)
{
	return error != NGHTTP2_NO_ERROR && error != NGHTTP2_INTERNAL_ERROR && error != NGHTTP2_CANCEL;
}

static void end_framed(struct h2_stream *stream)
{
	stream->is_whole = true;
	h2_stream_feed(stream);
}

/* Its answer says that the first GOAWAY was heard. Asked for together, nghttp2 would send it first. */
static void ping_behind_notice(struct h2_conn *conn)
{
	if (conn->state == H2_OPEN && conn->retiring == H2_NOTICE)
		nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, NULL);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2_conn *conn = arg;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_RST_STREAM && is_clients_doing(frame->rst_stream.error_code))
		h2_session_spend(conn, H2_LIMIT_OWN_RESETS);
	if (frame->hd.type == NGHTTP2_GOAWAY)
		ping_behind_notice(conn);
	if (!stream || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	stream->request.bytes_out += H2_FRAME_HEADER + frame->hd.length;
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		end_framed(stream);
	return 0;
}

/* The header comes ready made, the bytes from where they are: no copy but the one into `out`. */
static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *header, size_t size,
    nghttp2_data_source *source, void *arg)
{
	struct h2_conn *conn = arg;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

	(void)source;
	buf_append(&conn->out, header, H2_FRAME_HEADER);
	if (buf_size(&stream->own) > 0) {
		buf_append(&conn->out, buf_bytes(&stream->own), size);
		buf_consume(&stream->own, size);
	} else {
		buf_append(&conn->out, stream->offer, size);
		stream->offer += size;
		stream->offered -= size;
	}
	stream->sent += size;
	if (stream->left != UINT64_MAX)
		stream->left -= size;
	/* A frame that the client's window has cut short is paid for by the update that it will send. */
	bool is_cut_short = size < H2_TURN && stream->offered > 0;
	h2_limits_earn(&conn->limits, (is_cut_short ? 0 : 2) + (int)(size / BYTES_EARNING));
	return 0;
}

/* The client would wait for it for ever. */
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

	(void)error, (void)arg;
	if (frame->hd.type == NGHTTP2_HEADERS && stream)
		h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;

/* ---- frames that nobody knows: to be counted they must be asked for */

enum { FIRST_UNKNOWN_TYPE = 10, LAST_TYPE = 255 };

static int on_unknown_frame(nghttp2_session *session, void **payload, const nghttp2_frame_hd *hd, void *arg)
{
	(void)session, (void)payload, (void)hd, (void)arg;
	return NGHTTP2_ERR_CANCEL;
}

static void ask_for_unknown_frames(void)
{
	nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unknown_frame);
	for (int type = FIRST_UNKNOWN_TYPE; type <= LAST_TYPE; type++)
		if (type != NGHTTP2_PRIORITY_UPDATE)
			nghttp2_option_set_user_recv_extension_type(options, (uint8_t)type);
}

/* ---- one session */

static void make_shared(void)
{
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
	nghttp2_option_new(&options);
	/* Windows open when the upstream has taken what came, and h2_head judges messages. */
	nghttp2_option_set_no_auto_window_update(options, 1);
	nghttp2_option_set_no_http_messaging(options, 1);
	nghttp2_option_set_no_closed_streams(options, 1);
	nghttp2_option_set_max_outbound_ack(options, H2_ACKS_MAX);
	nghttp2_option_set_max_send_header_block_length(options, HEAD_SENT_MAX);
	nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
	ask_for_unknown_frames();
}

/* RFC 7540's tree of priorities is declined: RFC 9218 has replaced it. */
nghttp2_session *h2_session_new(struct h2_conn *conn)
{
	static const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
	    {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	    {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
	};
	nghttp2_session *session = NULL;
	nghttp2_mem mem;

	pthread_once(&once, make_shared);
	h2_memory_init(&conn->memory, conn->worker->h2_slots, &mem);
	if (!callbacks || !options ||
	    nghttp2_session_server_new3(&session, callbacks, conn, options, &mem) != 0)
		abort();
	h2_memory_made(&conn->memory);
	nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
	nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_ALL);
	return session;
}
