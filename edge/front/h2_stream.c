/*
 * One stream: a request in HTTP/2 and its response. Its callbacks are the front end of struct request; what
 * the upstream offers is framed at once or refused, so that nothing is kept here but what the client has sent
 * within its window.
 */
#include "edge/front/h2_conn_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/tally.h"

static const struct request_front front_callbacks;

static struct h2_stream *stream_of(struct request *request)
{
	return loop_owner(request, struct h2_stream, request);
}

/* ---- life */

struct h2_stream *h2_stream_new(struct h2_conn *conn, int32_t id, struct h2_fields *fields, int refusal)
{
	struct h2_stream *stream = mem_alloc(sizeof *stream);

	tally_add(TALLY_BUFFER_BYTES, sizeof *stream);
	stream->conn = conn;
	stream->id = id;
	stream->urgency = H2_URGENCY_DEFAULT;
	stream->incremental = true;
	stream->refusal = refusal;
	stream->left = UINT64_MAX;
	stream->window = H2_WINDOW;
	stream->arrival = (struct request_arrival){
	    .size = conn->head_bytes, .head_us = clock_monotonic_us() - conn->head_began_us, .stream = id};
	buf_init(&stream->in, H2_WINDOW_MAX);
	buf_init(&stream->own, SIZE_MAX / 8);
	if (fields) {
		stream->fields = *fields;
		stream->has_fields = true;
		stream->has_length = fields->body == HTTP_BODY_LENGTH;
		stream->body_left = fields->content_length;
		stream->awaits_100 = fields->expects_continue;
		stream->asks_tunnel = fields->asks_websocket;
	}
	TAILQ_INSERT_TAIL(&conn->streams, stream, entry);
	conn->stream_count++;
	stream->queue = H2_QUEUE_FRESH;
	TAILQ_INSERT_TAIL(&conn->fresh, stream, turn);
	return stream;
}

static void forget_fields(struct h2_stream *stream)
{
	if (stream->has_fields)
		h2_fields_fini(&stream->fields);
	stream->has_fields = false;
}

static void forget_body(struct h2_stream *stream)
{
	if (buf_size(&stream->in) > 0)
		nghttp2_session_consume_connection(stream->conn->session, buf_size(&stream->in));
	buf_fini(&stream->in);
}

void h2_stream_free(struct h2_stream *stream)
{
	tally_add(TALLY_BUFFER_BYTES, -(int64_t)sizeof *stream);
	free(stream);
}

void h2_stream_over(struct h2_stream *stream)
{
	struct h2_conn *conn = stream->conn;

	if (stream->is_over)
		return;
	stream->is_over = true;
	if (!stream->is_closed)
		nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
	if (stream->request.state == REQUEST_EXCHANGE && !stream->is_whole)
		h2_limits_hold_slot(&conn->limits, h2_now(conn));
	request_end(&stream->request, stream->is_whole);
	h2_turns_leave(stream);
	if (stream->is_fed)
		TAILQ_REMOVE(&conn->fed, stream, fed_entry);
	forget_fields(stream);
	forget_body(stream);
	buf_fini(&stream->own);
	if (stream->has_trailers)
		h2_fields_fini(&stream->trailers);
	if (conn->turn == stream)
		conn->turn = NULL;
	TAILQ_REMOVE(&conn->streams, stream, entry);
	conn->stream_count--;
	TAILQ_INSERT_TAIL(&conn->over, stream, entry);
	h2_conn_wake(conn);
}

/* Its response is framed to the end, which the upstream may have told us already, or will with its next
 * word: its connection is then good for another. The slot is taken until then. */
void h2_stream_closed(struct h2_stream *stream)
{
	stream->is_closed = true;
	if (!stream->is_whole || stream->request.state != REQUEST_EXCHANGE)
		h2_stream_over(stream);
	else
		h2_tunnel_settle(stream);
}

void h2_stream_reset(struct h2_stream *stream, uint32_t error)
{
	struct h2_conn *conn = stream->conn;

	if (!stream->is_closed)
		nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, stream->id, error);
	h2_stream_over(stream);
}

/* ---- the request's body */

/* The window grows while the upstream keeps up: a client far away is not held to one window a round trip. */
static void grow_window(struct h2_stream *stream, size_t size)
{
	struct h2_conn *conn = stream->conn;

	stream->drained += (int64_t)size;
	conn->drained += (int64_t)size;
	if (buf_size(&stream->in) > 0 || stream->received_end)
		return;
	if (stream->drained >= 2 * stream->window && stream->window < H2_WINDOW_MAX / 2) {
		stream->window *= 2;
		stream->drained = 0;
		nghttp2_session_set_local_window_size(
		    conn->session, NGHTTP2_FLAG_NONE, stream->id, stream->window);
	}
	if (conn->drained >= 2 * conn->window && conn->window < H2_WINDOW_MAX / 2) {
		conn->window *= 2;
		conn->drained = 0;
		nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, conn->window);
	}
}

/* So much of the body is no longer here. */
static void give_window(struct h2_stream *stream, size_t size)
{
	nghttp2_session *session = stream->conn->session;

	if (size == 0)
		return;
	if (stream->is_closed) {
		nghttp2_session_consume_connection(session, size);
		return;
	}
	nghttp2_session_consume(session, stream->id, size);
	grow_window(stream, size);
}

static void feed(struct h2_stream *stream)
{
	if (stream->is_fed || stream->is_over)
		return;
	stream->is_fed = true;
	TAILQ_INSERT_TAIL(&stream->conn->fed, stream, fed_entry);
}

/* False: the request got another answer. */
static bool send_some(struct h2_stream *stream, const char *bytes, size_t size, size_t *taken)
{
	stream->awaits_100 = false;
	if (request_send(&stream->request, bytes, size, taken) == R_OK) {
		if (stream->request.tunnel)
			request_tunnel_moved(&stream->request, *taken, 0);
		return !stream->is_over;
	}
	request_break_off(&stream->request, 413);
	return false;
}

enum result h2_stream_receive(struct h2_stream *stream, const char *bytes, size_t size)
{
	size_t taken = 0;

	if (stream->has_length && size > stream->body_left) {
		nghttp2_session_consume_connection(stream->conn->session, size);
		return R_INVALID;
	}
	stream->body_left -= stream->has_length ? size : 0;
	stream->got += size;
	if (stream->request.state == REQUEST_ANSWERED || stream->refusal) {
		give_window(stream, size);
		return R_OK;
	}
	if (h2_tunnel_may_send(stream) && buf_size(&stream->in) == 0 &&
	    !send_some(stream, bytes, size, &taken)) {
		nghttp2_session_consume_connection(stream->conn->session, size);
		return R_OK;
	}
	/* nghttp2 keeps clients to their windows. */
	buf_append(&stream->in, bytes + taken, size - taken);
	give_window(stream, taken);
	feed(stream);
	return R_OK;
}

enum result h2_stream_receive_end(struct h2_stream *stream)
{
	stream->received_end = true;
	feed(stream);
	return stream->has_length && stream->body_left > 0 ? R_INVALID : R_OK;
}

static void send_end(struct h2_stream *stream)
{
	struct http_head trailers HTTP_HEAD_UNSET;

	stream->sent_end = true;
	if (stream->has_trailers)
		h2_fields_read(&stream->trailers, &trailers);
	exchange_send_end(stream->request.exchange, stream->has_trailers ? &trailers : NULL);
}

static bool is_passing(const struct h2_stream *stream)
{
	return !stream->is_over && stream->request.state == REQUEST_EXCHANGE;
}

void h2_stream_pump(struct h2_stream *stream)
{
	size_t taken = 1;

	while (h2_tunnel_may_send(stream) && taken > 0 && buf_size(&stream->in) > 0) {
		if (!send_some(stream, buf_bytes(&stream->in), buf_size(&stream->in), &taken))
			break;
		buf_consume(&stream->in, taken);
		give_window(stream, taken);
	}
	if (h2_tunnel_may_send(stream) && buf_size(&stream->in) == 0) {
		buf_fini(&stream->in);
		if (stream->received_end && !stream->sent_end)
			send_end(stream);
	}
	if (is_passing(stream))
		exchange_flush(stream->request.exchange);
	else if (!stream->is_over && stream->request.state == REQUEST_ANSWERED)
		forget_body(stream);
	h2_tunnel_settle(stream);
}

/* The request begins to count with its head, which may come together with some of its body. */
void h2_stream_count_in(struct h2_stream *stream, size_t size)
{
	if (stream->request.state == REQUEST_NONE)
		stream->arrival.size += size;
	else
		stream->request.bytes_in += size;
}

/* ---- the response's head */

enum { FIELDS_MOST = HTTP_FIELDS_MAX + HTTP_FIELDS_OWN + 2 };

static void put(nghttp2_nv *nv, struct http_slice name, struct http_slice value)
{
	*nv = (nghttp2_nv){(uint8_t *)(uintptr_t)name.bytes, (uint8_t *)(uintptr_t)value.bytes, name.size,
	    value.size, NGHTTP2_NV_FLAG_NONE};
}

/* nghttp2 copies, and makes names lower case with it. */
static size_t put_fields(nghttp2_nv *nv, const struct http_head *head)
{
	size_t count = 0;

	for (size_t i = 0; i < head->field_count; i++)
		put(&nv[count++], head->fields[i].name, head->fields[i].value);
	return count;
}

/* Status, and the length that forward has taken out as framing. */
struct head_text {
	char status[8];
	char length[24];
};

static size_t put_head(nghttp2_nv *nv, struct head_text *text, const struct http_head *head)
{
	snprintf(text->status, sizeof text->status, "%d", head->status);
	put(nv, http_slice_of(":status"), http_slice_of(text->status));
	size_t count = 1 + put_fields(nv + 1, head);
	if (head->body == HTTP_BODY_LENGTH && head->status >= 200) {
		snprintf(text->length, sizeof text->length, "%llu", (unsigned long long)head->content_length);
		put(&nv[count++], http_slice_of("content-length"), http_slice_of(text->length));
	}
	return count;
}

static bool is_full(const struct h2_conn *conn)
{
	return buf_size(&conn->out) >= H2_OUT_GATHER;
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
	if (has > 0 && is_full(stream->conn)) {
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
	if (!client_may_stay(&stream->conn->client))
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
	if (is_awaited || !is_full(stream->conn))
		nghttp2_submit_headers(
		    stream->conn->session, NGHTTP2_FLAG_NONE, stream->id, NULL, fields, count, NULL);
}

static void take_priority(struct h2_stream *stream, const struct http_head *head, enum h2_priority source)
{
	const struct http_field *field = http_head_find(head, "priority", NULL);

	if (field)
		h2_turns_set_priority(stream, field->value, source);
}

static void on_head(struct request *request, struct http_head *head, bool interim)
{
	struct h2_stream *stream = stream_of(request);
	bool is_empty =
	    head->body == HTTP_BODY_NONE || (head->body == HTTP_BODY_LENGTH && head->content_length == 0);

	if (stream->is_over || stream->is_closed)
		return;
	if (interim) {
		submit_interim(stream, head);
	} else {
		if (head->body == HTTP_BODY_TUNNEL)
			h2_tunnel_open(stream, head);
		take_priority(stream, head, H2_PRIORITY_OF_APP);
		if (head->body == HTTP_BODY_LENGTH)
			stream->left = head->content_length;
		submit_head(stream, head, !is_empty);
		if (stream->asks_tunnel)
			feed(stream); /* what has waited for the answer */
	}
	h2_conn_wake(stream->conn);
}

/* ---- the response's body */

static void resume(struct h2_stream *stream)
{
	if (!stream->is_closed)
		nghttp2_session_resume_data(stream->conn->session, stream->id);
}

static bool has_window(const struct h2_stream *stream)
{
	nghttp2_session *session = stream->conn->session;

	return nghttp2_session_get_remote_window_size(session) > 0 &&
	       nghttp2_session_get_stream_remote_window_size(session, stream->id) > 0;
}

/* Once the response has begun both sides may have pauses, gRPC's for one: then the upstream's silence ends
 * it.
 */
static bool awaits_body(const struct h2_stream *stream)
{
	return stream->request.state == REQUEST_EXCHANGE && stream->request.status == 0 &&
	       !stream->received_end && !stream->awaits_100 && !stream->asks_tunnel &&
	       buf_size(&stream->in) == 0;
}

/* An answer of ours waits with nghttp2, in no queue; a tunnel has a deadline of its own. */
enum h2_awaited h2_stream_awaited(const struct h2_stream *stream)
{
	if (stream->request.tunnel)
		return H2_AWAITS_NOTHING;
	if (stream->queue == H2_QUEUE_WINDOW || (buf_size(&stream->own) > 0 && !has_window(stream)))
		return H2_AWAITS_WINDOW;
	return awaits_body(stream) ? H2_AWAITS_BODY : H2_AWAITS_NOTHING;
}

/* Frames as much as the client, the socket and the others let through. */
static void write_offer(struct h2_stream *stream)
{
	struct h2_conn *conn = stream->conn;
	bool goes_on = true;

	while (goes_on && stream->offered > 0 && !stream->is_closed) {
		resume(stream);
		h2_conn_fill(conn);
		goes_on = is_full(conn) && h2_conn_flush(conn) == R_OK;
	}
}

/* With others waiting whose responses are incremental too, a turn is short. */
static size_t size_of_turn(const struct h2_stream *stream, size_t size)
{
	const struct h2_conn *conn = stream->conn;

	if (conn->turn != stream || !stream->incremental || conn->ready_count == 0)
		return size;
	return size < H2_TURN ? size : H2_TURN;
}

static void wait_on(struct h2_stream *stream)
{
	if (has_window(stream))
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
	if (has_window(stream))
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
	forget_body(stream);
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

static const struct request_front front_callbacks = {
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
void h2_stream_write(struct h2_stream *stream)
{
	if (buf_size(&stream->own) > 0 || stream->is_given)
		resume(stream);
	else if (is_passing(stream))
		exchange_resume(stream->request.exchange);
}

/* ---- from the head to what becomes of it */

static void follow(struct h2_stream *stream)
{
	if (stream->request.state == REQUEST_CHALLENGE)
		return;
	forget_fields(stream);
	h2_stream_pump(stream);
}

void h2_stream_begin(struct h2_stream *stream)
{
	struct client *client = &stream->conn->client;
	struct http_head head HTTP_HEAD_UNSET;

	h2_turns_leave(stream);
	if (stream->refusal) {
		request_refuse(&stream->request, client, &front_callbacks, stream->refusal, &stream->arrival);
		return;
	}
	h2_fields_read(&stream->fields, &head);
	take_priority(stream, &head, H2_PRIORITY_OF_HEAD);
	request_begin(&stream->request, client, &front_callbacks, &head, &stream->arrival);
	follow(stream);
}

void h2_stream_challenge(struct h2_stream *stream, const struct challenge_reply *reply)
{
	struct http_head head HTTP_HEAD_UNSET;

	if (stream->request.state != REQUEST_CHALLENGE)
		return;
	h2_fields_read(&stream->fields, &head);
	request_challenge(&stream->request, &head, reply);
	follow(stream);
}

void h2_stream_lookup_over(struct h2_stream *stream)
{
	struct http_head head HTTP_HEAD_UNSET;

	h2_fields_read(&stream->fields, &head);
	request_wait_over(&stream->request, &head);
	follow(stream);
}
