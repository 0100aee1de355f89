/*
 * A stream's response: the front end of struct request. What the upstream offers is framed at once, as far as
 * the client's windows, the socket and the other streams let it, or left with the upstream.
 */
#include "edge/front/h2_conn_state.h"

#include "edge/http/http_number.h"

static struct h2_stream *stream_of(struct request *request)
{
	return loop_owner(request, struct h2_stream, request);
}

/* ---- the response's head */

enum { FIELDS_MOST = HTTP_FIELDS_MAX + HTTP_FIELDS_OWN + 2 };

static void put(nghttp2_nv *nv, struct http_slice name, struct http_slice value, uint8_t flags)
{
	*nv = (nghttp2_nv){(uint8_t *)(uintptr_t)name.bytes, (uint8_t *)(uintptr_t)value.bytes, name.size,
	    value.size, flags};
}

/* What no other response has would only push out what others share, and a table full of it is slow to search
 * (a tenth of a request); a cookie is nobody's to guess by its length (RFC 7541 section 7.1.3). */
static uint8_t flags_of(const struct http_field *field)
{
	bool is_unique = field->id == HTTP_REQUEST_ID || http_slice_is(field->name, "set-cookie");

	return is_unique ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
}

/* nghttp2 copies, and makes names lower case with it. */
static size_t put_fields(nghttp2_nv *nv, const struct http_head *head)
{
	size_t count = 0;

	for (size_t i = 0; i < head->field_count; i++)
		put(&nv[count++], head->fields[i].name, head->fields[i].value, flags_of(&head->fields[i]));
	return count;
}

/* Status, and the length that forward has taken out as framing. */
struct head_text {
	char status[HTTP_NUMBER_DIGITS];
	char length[HTTP_NUMBER_DIGITS];
};

static size_t put_head(nghttp2_nv *nv, struct head_text *text, const struct http_head *head)
{
	put(nv, http_slice_of(":status"), http_number(text->status, (uint64_t)head->status),
	    NGHTTP2_NV_FLAG_NONE);
	size_t count = 1 + put_fields(nv + 1, head);
	if (head->body == HTTP_BODY_LENGTH && head->status >= 200)
		put(&nv[count++], http_slice_of("content-length"),
		    http_number(text->length, head->content_length), NGHTTP2_NV_FLAG_NONE);
	return count;
}

/* nghttp2 asks for the next piece of a response: what is offered now, else it is told to wait. */
static ssize_t read_source(nghttp2_session *session, int32_t id, uint8_t *room, size_t length,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)room, (void)source, (void)arg;
	if (!stream)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	size_t own = buf_size(&stream->own);
	size_t has = own > 0 ? own : stream->offered;
	bool is_end = stream->is_given && has <= length;
	/* nghttp2 asks for one frame after the other before it returns. */
	if (has > 0 &&
	    (h2_conn_is_full(stream->conn) || buf_size(&stream->conn->out) >= stream->conn->out_most)) {
		if (own > 0)
			h2_turns_wait(stream);
		return NGHTTP2_ERR_DEFERRED;
	}
	if (has == 0 && !is_end)
		return NGHTTP2_ERR_DEFERRED;
	size_t size = has < length ? has : length;
	*flags = NGHTTP2_DATA_FLAG_NO_COPY;
	if (is_end || stream->left == size)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)size;
}

static void submit_head(struct h2_stream *stream, const struct http_head *head, bool has_body)
{
	const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_source};
	nghttp2_nv fields[FIELDS_MOST] HTTP_HEAD_UNSET;
	struct head_text text;
	size_t count = put_head(fields, &text, head);

	stream->has_source = has_body;
	stream->awaits_100 = false;
	nghttp2_submit_response(
	    stream->conn->session, stream->id, fields, count, has_body ? &provider : NULL);
	if (!client_may_stay(&stream->conn->client) || !h2_config(stream->conn)->http2)
		h2_conn_retire(stream->conn);
}

/* Interim responses help or do not matter: a client that is slow to read gets none but the one 100 that it
 * waits for. */
static void submit_interim(struct h2_stream *stream, const struct http_head *head)
{
	nghttp2_nv fields[FIELDS_MOST] HTTP_HEAD_UNSET;
	struct head_text text;
	size_t count = put_head(fields, &text, head);
	bool is_awaited = stream->awaits_100 && head->status == 100;

	stream->awaits_100 = stream->awaits_100 && !is_awaited;
	if (is_awaited || !h2_conn_is_full(stream->conn))
		nghttp2_submit_headers(
		    stream->conn->session, NGHTTP2_FLAG_NONE, stream->id, NULL, fields, count, NULL);
}

void h2_response_take_priority(
    struct h2_stream *stream, const struct http_head *head, enum h2_priority_source source)
{
	const struct http_field *field = http_head_find(head, "priority", NULL);

	if (field)
		h2_turns_set_priority(stream, field->value, source);
}

static void on_head(struct request *request, struct http_head *head, bool interim)
{
	struct h2_stream *stream = stream_of(request);
	/* From HTTP/2 trailers may follow a body of known length: then its end is what the app says it is. */
	bool ends_by_length = head->body == HTTP_BODY_LENGTH && head->version != HTTP_2;
	bool is_empty =
	    head->body == HTTP_BODY_NONE || (head->body == HTTP_BODY_LENGTH && head->content_length == 0);

	if (stream->is_over || stream->is_closed)
		return;
	if (interim) {
		submit_interim(stream, head);
	} else {
		if (head->body == HTTP_BODY_TUNNEL)
			h2_tunnel_open(stream, head);
		h2_response_take_priority(stream, head, H2_PRIORITY_OF_APP);
		if (ends_by_length)
			stream->left = head->content_length;
		submit_head(stream, head, !is_empty);
		if (stream->asks_tunnel)
			h2_stream_feed(stream); /* what has waited for the answer */
	}
	h2_conn_wake(stream->conn);
}

/* ---- the response's body */

static void resume(struct h2_stream *stream)
{
	if (!stream->is_closed)
		nghttp2_session_resume_data(stream->conn->session, stream->id);
}

bool h2_response_has_window(const struct h2_stream *stream)
{
	nghttp2_session *session = stream->conn->session;

	return nghttp2_session_get_remote_window_size(session) > 0 &&
	       nghttp2_session_get_stream_remote_window_size(session, stream->id) > 0;
}

/* Frames as much as the client, the socket and the others let through: a record of TLS at a time, which is
 * encrypted while it is at hand. What does not fill one waits for what follows, or for the end of the step.
 */
static void write_offer(struct h2_stream *stream)
{
	struct h2_conn *conn = stream->conn;

	while (stream->offered > 0 && !stream->is_closed) {
		resume(stream);
		h2_conn_fill(conn, H2_RECORD);
		if (buf_size(&conn->out) < H2_RECORD || h2_conn_flush(conn, H2_RECORD - 1) != R_OK)
			return;
	}
}

/* With others waiting whose responses are incremental too, a turn is short. */
static size_t size_of_turn(const struct h2_stream *stream, size_t size)
{
	const struct h2_conn *conn = stream->conn;

	if (conn->turn != stream || !stream->priority.incremental || conn->ready_count == 0)
		return size;
	return size < H2_TURN ? size : H2_TURN;
}

static void wait_on(struct h2_stream *stream)
{
	if (h2_response_has_window(stream))
		h2_turns_wait(stream);
	else
		stream->queue = H2_QUEUE_WINDOW;
}

static size_t on_body(struct request *request, const char *bytes, size_t size)
{
	struct h2_stream *stream = stream_of(request);
	struct h2_conn *conn = stream->conn;
	size_t some = size_of_turn(stream, size);

	if (stream->is_over || stream->is_closed)
		return size;
	h2_conn_wake(conn);
	if (conn->in_session || h2_turns_others_first(stream)) {
		h2_turns_wait(stream);
		return 0;
	}
	stream->offer = bytes;
	stream->offered = some;
	write_offer(stream);
	size_t taken = some - stream->offered;
	stream->offered = 0;
	if (taken < size && !stream->is_over && !stream->is_closed)
		wait_on(stream);
	return taken;
}

/* Nothing of the body waits any more, so trailers cannot overtake it. They end the stream. */
static void on_trailers(struct request *request, struct http_head *trailers)
{
	struct h2_stream *stream = stream_of(request);
	nghttp2_nv fields[FIELDS_MOST] HTTP_HEAD_UNSET;
	size_t count = put_fields(fields, trailers);

	if (stream->is_over || stream->is_closed || stream->left != UINT64_MAX)
		return;
	stream->has_trailed = true;
	nghttp2_submit_trailer(stream->conn->session, stream->id, fields, count);
}

/* An end without bytes needs no window, but nghttp2 waits for one before any DATA: no trailers say the same.
 */
static void end_stream(struct h2_stream *stream)
{
	if (!stream->has_source || stream->has_trailed || stream->is_whole)
		return;
	if (h2_response_has_window(stream))
		resume(stream);
	else if (stream->request.tunnel)
		stream->queue = H2_QUEUE_WINDOW; /* nothing but DATA is allowed there (section 8.5) */
	else if (stream->left == UINT64_MAX)
		nghttp2_submit_trailer(stream->conn->session, stream->id, NULL, 0);
}

static void on_end(struct request *request)
{
	struct h2_stream *stream = stream_of(request);

	if (stream->is_over)
		return;
	stream->is_given = true;
	if (stream->is_closed)
		h2_stream_over(stream);
	else if (h2_stream_is_early(stream))
		h2_stream_feed(stream);
	else
		end_stream(stream);
	h2_conn_wake(stream->conn);
}

static void on_pause(struct request *request)
{
	h2_conn_wake(stream_of(request)->conn);
}

static void on_room(struct request *request)
{
	struct h2_stream *stream = stream_of(request);

	h2_stream_pump(stream);
	h2_conn_wake(stream->conn);
}

static void on_reply(
    struct request *request, struct reply *reply, struct http_head *head, struct http_slice body)
{
	struct h2_stream *stream = stream_of(request);
	bool has_body = !reply->to_head && body.size > 0;

	if (stream->is_over || stream->is_closed)
		return;
	h2_stream_forget_body(stream);
	if (has_body)
		buf_append(&stream->own, body.bytes, body.size);
	stream->is_given = true;
	submit_head(stream, head, has_body);
	h2_conn_wake(stream->conn);
}

/* What an app says of itself passes (gRPC has a status for each); what it says of its peer, us, does not. A
 * tunnel's reset is CANCEL (RFC 8441 section 5). */
static void on_cut(struct request *request)
{
	bool passes =
	    request->reset_code == NGHTTP2_CANCEL || request->reset_code == NGHTTP2_ENHANCE_YOUR_CALM;
	uint32_t code = passes ? request->reset_code : NGHTTP2_INTERNAL_ERROR;

	h2_stream_reset(stream_of(request), request->tunnel ? NGHTTP2_CANCEL : code);
}

const struct request_front h2_response_front = {
    .on_head = on_head,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_pause = on_pause,
    .on_room = on_room,
    .on_reply = on_reply,
    .on_cut = on_cut,
};

/* What it has to write: a piece of our own answer, or what the upstream offers again. */
void h2_response_write(struct h2_stream *stream)
{
	if (buf_size(&stream->own) > 0 || stream->is_given)
		resume(stream);
	else if (h2_stream_is_passing(stream))
		exchange_resume(stream->request.exchange);
}
