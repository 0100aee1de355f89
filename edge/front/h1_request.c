#include "edge/front/h1_conn_state.h"

#include <assert.h>

#include "common/base/clock.h"
#include "edge/http/h1_parse.h"

bool h1_request_wants_body(const struct h1_conn *conn)
{
	return conn->state == H1_EXCHANGE && !conn->message.sent && !conn->message.body_blocked;
}

void h1_request_end(struct h1_conn *conn, bool whole)
{
	if (conn->request.state != REQUEST_NONE)
		conn->request.bytes_out = conn->stream.bytes_out - conn->message.bytes_before;
	request_end(&conn->request, whole);
}

static struct h1_conn *conn_of(struct request *request)
{
	return loop_owner(request, struct h1_conn, request);
}

/* It is dealt with: what follows it in `in` is another's, or its body. */
static void let_head_go(struct h1_conn *conn)
{
	buf_consume(&conn->in, conn->message.head_size);
	conn->message.head_size = 0;
}

/* ---- what the response says of the connection */

/* Who pipelines and then shuts his side still gets his answers. */
static bool may_hold_another(const struct h1_conn *conn)
{
	return !conn->read_eof || buf_size(&conn->in) > 0;
}

/* May another request follow this one's response? Decided when the response's head is written. */
static bool goes_on(struct h1_conn *conn)
{
	return conn->message.keep_alive && h1_body_is_done(&conn->message.body) && may_hold_another(conn) &&
	       !conn->draining && client_may_stay(&conn->client);
}

/* The value of Connection for this response; NULL: none. */
static const char *connection_field(const struct h1_conn *conn)
{
	if (!conn->message.keep_alive)
		return "close";
	return conn->request.version == HTTP_1_0 ? "keep-alive" : NULL;
}

/* ---- the response of an upstream */

static enum http_body framing_to_client(const struct h1_conn *conn, enum http_body body)
{
	if (body != HTTP_BODY_CHUNKED && body != HTTP_BODY_UNTIL_CLOSE)
		return body;
	return conn->request.version > HTTP_1_0 ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE;
}

/* Interim responses help or do not matter: a client that is slow to read gets none. */
static void write_interim(struct h1_conn *conn, const struct http_head *head)
{
	conn->message.awaits_100 = conn->message.awaits_100 && head->status != 100;
	if (conn->request.version > HTTP_1_0 && buf_size(&conn->out.buf) < H1_OUT_GATHER)
		h1_write_response(&conn->out.buf, head, HTTP_BODY_NONE, NULL);
}

static void on_head(struct request *request, struct http_head *head, bool interim)
{
	struct h1_conn *conn = conn_of(request);
	struct h1_message *message = &conn->message;

	if (interim) {
		write_interim(conn, head);
		return;
	}
	message->awaits_100 = false;
	if (head->body == HTTP_BODY_TUNNEL) {
		h1_tunnel_open(conn, head);
		return;
	}
	message->response = H1_RESPONSE_BEGUN;
	message->framing = framing_to_client(conn, head->body);
	message->keep_alive = goes_on(conn) && message->framing != HTTP_BODY_UNTIL_CLOSE;
	h1_write_response(&conn->out.buf, head, message->framing, connection_field(conn));
}

static size_t on_body(struct request *request, const char *bytes, size_t size)
{
	struct h1_conn *conn = conn_of(request);
	/* Until on_pause or on_end: what arrived together leaves together. A tunnel's does so by itself. */
	stream_expect_more(&conn->stream, conn->message.framing != HTTP_BODY_TUNNEL);
	size_t taken = h1_out_body(&conn->out, bytes, size, conn->message.framing);

	conn->message.response_blocked = taken < size;
	return taken;
}

static void on_trailers(struct request *request, struct http_head *trailers)
{
	struct h1_conn *conn = conn_of(request);

	if (conn->message.framing != HTTP_BODY_CHUNKED)
		return;
	h1_write_last_chunk(&conn->out.buf, trailers);
	conn->message.response = H1_RESPONSE_LAST_CHUNK;
}

static void flush(struct h1_conn *conn)
{
	conn->message.response = H1_RESPONSE_WHOLE;
	if (conn->state != H1_TUNNEL)
		conn->state = H1_FLUSH;
	h1_conn_drive(conn);
}

static void on_end(struct request *request)
{
	struct h1_conn *conn = conn_of(request);

	if (conn->message.framing == HTTP_BODY_CHUNKED && conn->message.response != H1_RESPONSE_LAST_CHUNK)
		h1_write_last_chunk(&conn->out.buf, NULL);
	flush(conn);
}

static void on_pause(struct request *request)
{
	h1_conn_drive(conn_of(request));
}

static void on_room(struct request *request)
{
	struct h1_conn *conn = conn_of(request);

	conn->message.body_blocked = false;
	h1_request_pump(conn);
	h1_conn_drive(conn);
}

static void on_reply(
    struct request *request, struct reply *reply, struct http_head *head, struct http_slice body)
{
	struct h1_conn *conn = conn_of(request);

	let_head_go(conn);
	conn->message.keep_alive = !reply->ends_connection && goes_on(conn);
	reply->connection = connection_field(conn);
	reply_write(&conn->out.buf, reply, head, body);
	flush(conn);
}

static void on_cut(struct request *request)
{
	h1_conn_cut(conn_of(request));
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

/* ---- the request's body on its way */

void h1_request_time_out(struct h1_conn *conn)
{
	request_break_off(&conn->request, 408);
}

static void send_end(struct h1_conn *conn, struct http_head *trailers)
{
	conn->message.sent = true;
	exchange_send_end(conn->request.exchange, trailers);
}

static enum result end_chunked(struct h1_conn *conn)
{
	struct http_slice section = conn->message.body.trailers;
	struct http_head trailers HTTP_HEAD_UNSET;

	if (section.size > 0 && h1_read_trailers(&trailers, section, H1_REQUEST) != R_OK)
		return R_INVALID;
	send_end(conn, section.size > 0 ? &trailers : NULL);
	return R_OK;
}

/* One step; R_OK: there may be another. */
static enum result pump_once(struct h1_conn *conn)
{
	struct h1_body *body = &conn->message.body;
	size_t framing = 0;
	size_t data = 0;
	enum result result = h1_body_next(body, buf_bytes(&conn->in), buf_size(&conn->in), &framing, &data);

	if (result == R_EOF && body->kind == HTTP_BODY_CHUNKED)
		result = end_chunked(conn) == R_OK ? R_EOF : R_INVALID;
	else if (result == R_EOF)
		send_end(conn, NULL);
	if (result == R_INVALID)
		return R_INVALID;
	buf_consume(&conn->in, framing);
	conn->request.bytes_in += framing;
	if (result != R_OK)
		return result;
	size_t taken = 0;
	if (request_send(&conn->request, buf_bytes(&conn->in), data, &taken) != R_OK)
		return R_LIMIT;
	if (taken > 0)
		h1_body_take(body, taken);
	buf_consume(&conn->in, taken);
	conn->request.bytes_in += taken;
	conn->message.awaits_100 = false;
	conn->message.body_blocked = taken < data;
	return R_OK;
}

void h1_request_pump(struct h1_conn *conn)
{
	enum result result = R_OK;

	while (result == R_OK && h1_request_wants_body(conn))
		result = pump_once(conn);
	if (result == R_INVALID)
		request_break_off(&conn->request, 400);
	else if (result == R_LIMIT)
		request_break_off(&conn->request, 413);
	else if (conn->state == H1_EXCHANGE)
		exchange_flush(conn->request.exchange);
}

/* ---- from the head to what becomes of it */

/* An answer has put the connection where it belongs already. */
static void follow(struct h1_conn *conn)
{
	switch (conn->request.state) {
	case REQUEST_EXCHANGE:
		conn->state = H1_EXCHANGE;
		let_head_go(conn);
		h1_request_pump(conn);
		return;
	case REQUEST_CHALLENGE:
	case REQUEST_NOTICE: conn->state = H1_LOOKUP; return;
	case REQUEST_NONE:
	case REQUEST_ANSWERED: break;
	}
}

static void start_message(struct h1_conn *conn, const struct http_head *head, size_t used)
{
	conn->message = (struct h1_message){
	    .head_size = used,
	    .keep_alive = head->keep_alive,
	    .awaits_100 = head->expects_continue,
	    .bytes_before = conn->stream.bytes_out,
	};
	h1_body_init(&conn->message.body, head);
	if (head->body == HTTP_BODY_CHUNKED || head->content_length > H1_READ_BODY)
		stream_expect_long_input(&conn->stream);
}

void h1_request_begin(struct h1_conn *conn, struct http_head *head, size_t used)
{
	const struct request_arrival arrival = {
	    .size = used, .head_us = conn->head_began_us ? clock_monotonic_us() - conn->head_began_us : 0};

	conn->head_began_us = 0;
	start_message(conn, head, used);
	request_begin(&conn->request, &conn->client, &front_callbacks, head, &arrival);
	follow(conn);
}

void h1_request_refuse(struct h1_conn *conn, int status)
{
	const struct request_arrival arrival = {.size = buf_size(&conn->in)};

	conn->message = (struct h1_message){.bytes_before = conn->stream.bytes_out};
	request_refuse(&conn->request, &conn->client, &front_callbacks, status, &arrival);
}

/* ---- look-ups */

/* The head has waited in `in`, which may have moved. */
static void read_again(struct h1_conn *conn, struct http_head *head)
{
	struct h1_scan scan = {0};
	size_t used = 0;
	int status = 0;
	enum result result =
	    h1_parse_request(head, &scan, buf_bytes(&conn->in), buf_size(&conn->in), &used, &status);

	assert(result == R_OK && used == conn->message.head_size);
	(void)result;
}

void h1_request_challenge(struct h1_conn *conn, const struct challenge_reply *reply)
{
	struct http_head head HTTP_HEAD_UNSET;

	read_again(conn, &head);
	request_challenge(&conn->request, &head, reply);
	follow(conn);
}

void h1_request_notice(struct h1_conn *conn, const struct notice_reply *reply)
{
	struct http_head head HTTP_HEAD_UNSET;

	read_again(conn, &head);
	request_notice(&conn->request, &head, reply);
	follow(conn);
}

void h1_request_lookup_over(struct h1_conn *conn)
{
	struct http_head head HTTP_HEAD_UNSET;

	read_again(conn, &head);
	request_wait_over(&conn->request, &head);
	follow(conn);
}
