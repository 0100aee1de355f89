/*
 * One stream from its head to its end: the request in HTTP/2, its body, its windows. Nothing is kept here but
 * what the client has sent within its window.
 */
#include "edge/front/h2_conn_state.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/tally.h"

/* ---- life */

struct h2_stream *h2_stream_new(struct h2_conn *conn, int32_t id, struct h2_fields *fields, int refusal)
{
	struct h2_stream *stream = mem_alloc(sizeof *stream);

	tally_add(TALLY_BUFFER_BYTES, sizeof *stream);
	stream->conn = conn;
	stream->id = id;
	stream->priority = (struct h2_priority){H2_URGENCY_DEFAULT, .incremental = true};
	h2_turns_take_early_priority(stream);
	stream->refusal = refusal;
	stream->left = UINT64_MAX;
	stream->window = H2_WINDOW;
	stream->arrival = (struct request_arrival){.size = conn->head_bytes,
	    .head_us = clock_monotonic_us() - conn->head_began_us,
	    .stream = id,
	    .to_head = conn->head.is_head};
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

void h2_stream_free(struct h2_stream *stream)
{
	tally_add(TALLY_BUFFER_BYTES, -(int64_t)sizeof *stream);
	free(stream);
}

/* So much of what waited here does no longer. */
static void let_go(struct h2_conn *conn, size_t size)
{
	size_t paid = size < conn->owed ? size : conn->owed;

	conn->owed -= paid;
	if (paid > 0)
		nghttp2_session_consume_connection(conn->session, paid);
}

void h2_stream_forget_body(struct h2_stream *stream)
{
	let_go(stream->conn, buf_size(&stream->in));
	buf_fini(&stream->in);
}

/* By others than us: the app, or the database for a CA's challenge. */
static bool is_worked_on(const struct h2_stream *stream)
{
	return stream->request.state == REQUEST_EXCHANGE || stream->request.state == REQUEST_CHALLENGE;
}

void h2_stream_over(struct h2_stream *stream)
{
	struct h2_conn *conn = stream->conn;

	if (stream->is_over)
		return;
	stream->is_over = true;
	if (!stream->is_closed)
		nghttp2_session_set_stream_user_data(conn->session, stream->id, NULL);
	if (is_worked_on(stream) && !stream->is_whole)
		h2_limits_hold_slot(&conn->limits, h2_now(conn));
	request_end(&stream->request, stream->is_whole);
	h2_turns_leave(stream);
	if (stream->is_fed)
		TAILQ_REMOVE(&conn->fed, stream, fed_entry);
	forget_fields(stream);
	h2_stream_forget_body(stream);
	buf_fini(&stream->own);
	if (stream->has_trailers)
		h2_fields_fini(&stream->trailers);
	if (conn->turn == stream)
		conn->turn = NULL;
	TAILQ_REMOVE(&conn->streams, stream, entry);
	conn->stream_count--;
	conn->grown -= stream->window - H2_WINDOW;
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
static void count_drained(struct h2_stream *stream, size_t size)
{
	struct h2_conn *conn = stream->conn;

	stream->drained += (int64_t)size;
	if (buf_size(&stream->in) > 0 || stream->received_end || stream->drained < 2 * stream->window ||
	    stream->window >= H2_WINDOW_MAX / 2 || conn->grown + stream->window > H2_GROWN_MAX)
		return;
	stream->drained = 0;
	conn->grown += stream->window;
	stream->window *= 2;
	nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, stream->id, stream->window);
	if (nghttp2_session_get_local_window_size(conn->session) < H2_WINDOW_ALL + conn->grown)
		nghttp2_session_set_local_window_size(
		    conn->session, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_ALL + conn->grown);
}

/* So much of the body is no longer here. */
static void give_window(struct h2_stream *stream, size_t size)
{
	if (size == 0 || stream->is_closed)
		return;
	nghttp2_session_consume_stream(stream->conn->session, stream->id, size);
	count_drained(stream, size);
}

void h2_stream_feed(struct h2_stream *stream)
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

enum result h2_stream_receive(struct h2_stream *stream, const char *bytes, size_t size, size_t *kept)
{
	size_t taken = 0;

	if (stream->has_length && size > stream->body_left)
		return R_INVALID;
	stream->body_left -= stream->has_length ? size : 0;
	stream->got += size;
	if (stream->request.state == REQUEST_ANSWERED || stream->refusal || h2_stream_is_early(stream)) {
		give_window(stream, size);
		return R_OK;
	}
	if (h2_tunnel_may_send(stream) && buf_size(&stream->in) == 0 &&
	    !send_some(stream, bytes, size, &taken))
		return R_OK;
	/* nghttp2 keeps clients to their windows. */
	*kept = size - taken;
	buf_append(&stream->in, bytes + taken, *kept);
	give_window(stream, taken);
	h2_stream_feed(stream);
	return R_OK;
}

enum result h2_stream_receive_end(struct h2_stream *stream)
{
	stream->received_end = true;
	h2_stream_feed(stream);
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

bool h2_stream_is_passing(const struct h2_stream *stream)
{
	return !stream->is_over && stream->request.state == REQUEST_EXCHANGE;
}

/* The rest of the request is no use to anybody (RFC 9113 section 8.1), and the request over; the stream is
 * open until the client has ended it, or had time to. */
static void end_early(struct h2_stream *stream)
{
	h2_stream_forget_body(stream);
	if (stream->is_given)
		request_end(&stream->request, true);
}

bool h2_stream_is_early(const struct h2_stream *stream)
{
	return stream->is_whole && !stream->received_end && !stream->is_closed && !stream->is_over &&
	       !stream->request.tunnel;
}

void h2_stream_pump(struct h2_stream *stream)
{
	size_t taken = 1;

	while (h2_tunnel_may_send(stream) && taken > 0 && buf_size(&stream->in) > 0) {
		if (!send_some(stream, buf_bytes(&stream->in), buf_size(&stream->in), &taken))
			break;
		buf_consume(&stream->in, taken);
		let_go(stream->conn, taken);
		give_window(stream, taken);
	}
	if (h2_tunnel_may_send(stream) && buf_size(&stream->in) == 0) {
		buf_fini(&stream->in);
		if (stream->received_end && !stream->sent_end)
			send_end(stream);
	}
	if (h2_stream_is_passing(stream))
		exchange_flush(stream->request.exchange);
	else if (!stream->is_over && stream->request.state == REQUEST_ANSWERED)
		h2_stream_forget_body(stream);
	h2_tunnel_settle(stream);
	if (h2_stream_is_early(stream))
		end_early(stream);
}

/* The request begins to count with its head, which may come together with some of its body. */
void h2_stream_count_in(struct h2_stream *stream, size_t size)
{
	if (stream->request.state == REQUEST_NONE)
		stream->arrival.size += size;
	else
		stream->request.bytes_in += size;
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
	if (h2_stream_is_early(stream))
		return H2_AWAITS_END;
	if (stream->queue == H2_QUEUE_WINDOW ||
	    (buf_size(&stream->own) > 0 && !h2_response_has_window(stream)))
		return H2_AWAITS_WINDOW;
	return awaits_body(stream) ? H2_AWAITS_BODY : H2_AWAITS_NOTHING;
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
		request_refuse(
		    &stream->request, client, &h2_response_front, stream->refusal, &stream->arrival);
		return;
	}
	h2_fields_read(&stream->fields, &head);
	h2_response_take_priority(stream, &head, H2_PRIORITY_OF_HEAD);
	request_begin(&stream->request, client, &h2_response_front, &head, &stream->arrival);
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
