#include "edge/front/h1_conn_state.h"

#include "common/clock.h"
#include "edge/admission.h"
#include "edge/front/shared_host.h"
#include "edge/http/h1_parse.h"
#include "edge/http/http_date.h"
#include "edge/site/site_cache.h"

bool h1_request_wants_body(const struct h1_conn *conn)
{
	return conn->state == H1_EXCHANGE && !conn->request.sent && !conn->request.body_blocked;
}

static void start_request(struct h1_conn *conn, const struct http_head *head, size_t used)
{
	int64_t now = clock_monotonic_us();

	conn->request_count++;
	conn->request = (struct h1_request){
	    .minor_version = head->minor_version,
	    .to_head = http_slice_equal(head->method, "HEAD"),
	    .keep_alive = head->keep_alive,
	    .awaits_100 = head->expects_continue,
	    .started_us = now,
	    .head_us = conn->head_began_us ? now - conn->head_began_us : 0,
	    .first_byte_us = -1,
	    .connect_us = -1,
	    .bytes_in = used,
	    .bytes_before = conn->stream.bytes_out,
	    .entry = h1_config(conn)->access_log ? access_entry_new(head) : NULL,
	};
	conn->head_began_us = 0;
	identity_request_id(conn->request.id, head);
	if (conn->behind_cdn)
		identity_client(conn->request.client, head, &conn->peer.client, &h1_trust(conn)->cdns);
	h1_body_init(&conn->request.body, head);
	if (head->body == HTTP_BODY_CHUNKED || head->content_length > H1_READ_BODY)
		stream_expect_long_input(&conn->stream);
}

/* Who sent the request, as the app and the log are to know him. */
static const char *client_of(const struct h1_conn *conn)
{
	return conn->request.client[0] ? conn->request.client : conn->client;
}

static void write_access_line(struct h1_conn *conn, int64_t took_us)
{
	struct h1_request *request = &conn->request;
	bool is_first = conn->request_count == 1;
	const struct conn_times *times = &conn->peer.times;

	access_entry_end(request->entry, conn->worker->edge->access_log,
	    &(struct access_outcome){
		.client = client_of(conn),
		.request_id = request->id[0] ? request->id : NULL,
		.status = request->status,
		.minor_version = request->minor_version,
		.bytes_in = request->bytes_in,
		.bytes_out = conn->stream.bytes_out - request->bytes_before,
		.served_before = conn->request_count - 1,
		.retries = request->retries,
		.ssl = conn->stream.ssl,
		.sni = conn->peer.sni,
		.hello_us = is_first ? times->hello : -1,
		.certificate_us = is_first ? times->certificate : -1,
		.handshake_us = is_first ? times->handshake : -1,
		.head_us = request->head_us,
		.connect_us = request->connect_us,
		.first_byte_us = request->first_byte_us,
		.total_us = took_us,
	    });
	request->entry = NULL;
}

void h1_request_end(struct h1_conn *conn)
{
	struct h1_request *request = &conn->request;
	const struct http_metrics *metrics = &h1_config(conn)->metrics;

	if (request->started_us == 0)
		return;
	int64_t took_us = clock_monotonic_us() - request->started_us;
	metric_add(metrics->requests[request->status / 100], 1);
	metric_add(metrics->bytes_in, (int64_t)request->bytes_in);
	metric_add(metrics->bytes_out, (int64_t)(conn->stream.bytes_out - request->bytes_before));
	histogram_observe_us(metrics->head_seconds, request->head_us);
	histogram_observe_us(metrics->request_seconds, took_us);
	if (request->connect_us >= 0)
		histogram_observe_us(metrics->connect_seconds, request->connect_us);
	if (request->first_byte_us >= 0)
		histogram_observe_us(metrics->first_byte_seconds, request->first_byte_us);
	if (request->entry)
		write_access_line(conn, took_us);
	site_unref(request->shared);
	request->shared = NULL;
	request->started_us = 0;
}

/* ---- the response of an upstream */

static enum http_body framing_to_client(const struct h1_conn *conn, enum http_body body)
{
	if (body != HTTP_BODY_CHUNKED && body != HTTP_BODY_UNTIL_CLOSE)
		return body;
	return conn->request.minor_version > 0 ? HTTP_BODY_CHUNKED : HTTP_BODY_UNTIL_CLOSE;
}

/* Interim responses help or do not matter: a client that is slow to read gets none. */
static void write_interim(struct h1_conn *conn, const struct http_head *head)
{
	conn->request.awaits_100 = false;
	if (conn->request.minor_version > 0 && buf_size(&conn->out.buf) < H1_OUT_GATHER)
		h1_write_response(&conn->out.buf, head, HTTP_BODY_NONE, NULL);
}

/* Who gets a response without Date writes one (RFC 9110 section 6.6.1). */
static void complete_head(struct h1_conn *conn, struct http_head *head)
{
	bool has_date = false;
	bool has_id = false;

	for (size_t i = 0; i < head->field_count; i++) {
		has_date = has_date || head->fields[i].id == HTTP_DATE;
		has_id = has_id || head->fields[i].id == HTTP_REQUEST_ID;
	}
	h1_site_complete(conn, head);
	if (!has_date)
		http_head_add(head, http_slice_of("Date"), http_slice_of(http_date_now()), HTTP_DATE);
	if (!has_id)
		http_head_add(
		    head, http_slice_of("X-Request-Id"), http_slice_of(conn->request.id), HTTP_REQUEST_ID);
}

static void on_head(void *front, struct http_head *head, bool interim)
{
	struct h1_conn *conn = front;
	struct h1_request *request = &conn->request;

	if (interim) {
		write_interim(conn, head);
		return;
	}
	request->awaits_100 = false;
	request->status = head->status;
	request->first_byte_us = clock_monotonic_us() - request->started_us;
	request->response = H1_RESPONSE_BEGUN;
	request->framing = framing_to_client(conn, head->body);
	request->keep_alive = h1_answer_goes_on(conn) && request->framing != HTTP_BODY_UNTIL_CLOSE;
	access_entry_set_upstream(request->entry, exchange_upstream(conn->exchange));
	complete_head(conn, head);
	h1_write_response(&conn->out.buf, head, request->framing, h1_answer_connection(conn));
}

static size_t on_body(void *front, const char *bytes, size_t size)
{
	struct h1_conn *conn = front;
	/* Until on_pause or on_end: what arrived together leaves together. */
	stream_expect_more(&conn->stream, true);
	size_t taken = h1_out_body(&conn->out, bytes, size, conn->request.framing);

	conn->request.response_blocked = taken < size;
	return taken;
}

static void on_trailers(void *front, struct http_head *trailers)
{
	struct h1_conn *conn = front;

	if (conn->request.framing != HTTP_BODY_CHUNKED)
		return;
	h1_write_last_chunk(&conn->out.buf, trailers);
	conn->request.response = H1_RESPONSE_LAST_CHUNK;
}

static void drop_exchange(struct h1_conn *conn)
{
	if (!conn->exchange)
		return;
	conn->request.retries = exchange_retries(conn->exchange);
	conn->request.connect_us = exchange_connect_us(conn->exchange);
	exchange_free(conn->exchange);
	conn->exchange = NULL;
}

static void on_end(void *front)
{
	struct h1_conn *conn = front;

	drop_exchange(conn);
	if (conn->request.framing == HTTP_BODY_CHUNKED && conn->request.response != H1_RESPONSE_LAST_CHUNK)
		h1_write_last_chunk(&conn->out.buf, NULL);
	conn->request.response = H1_RESPONSE_WHOLE;
	conn->state = H1_FLUSH;
	h1_conn_drive(conn);
}

static void on_pause(void *front)
{
	h1_conn_drive(front);
}

static void on_room(void *front)
{
	struct h1_conn *conn = front;

	conn->request.body_blocked = false;
	h1_request_pump(conn);
	h1_conn_drive(conn);
}

static void on_failed(void *front, int status)
{
	struct h1_conn *conn = front;

	drop_exchange(conn);
	if (conn->request.response == H1_RESPONSE_NONE)
		h1_answer_failure(conn, status);
	else
		h1_conn_cut(conn);
}

static const struct exchange_front front_callbacks = {
    .on_head = on_head,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_pause = on_pause,
    .on_room = on_room,
    .on_failed = on_failed,
};

/* ---- the request on its way to the upstream */

void h1_request_pass_on(struct h1_conn *conn, struct http_head *head, size_t used)
{
	int status = 503;
	const struct trust *trust = h1_trust(conn);
	const char *sni = conn->peer.sni;
	const char *client = client_of(conn);
	char forwarded[IDENTITY_FORWARDED_SIZE];
	struct http_slice host = head->host.size > 0 ? head->host : http_slice_of(sni);
	const struct forward_identity identity = {
	    .client = client,
	    .sni = sni,
	    .port = conn->port,
	    .forwarded = identity_forwarded(forwarded, client, host, conn->peer.tls),
	    .request_id = conn->request.id,
	    .via = trust->via[head->minor_version],
	    .tls = conn->peer.tls,
	};
	const struct exchange_route route = {.target = h1_target_find(conn),
	    .identity = &identity,
	    .client = {.client = &conn->peer.client, .local = h1_target_local(conn)}};

	conn->state = H1_EXCHANGE;
	if (route.target)
		conn->exchange =
		    exchange_start(conn->worker->upstreams, head, &route, &front_callbacks, conn, &status);
	upstream_target_unref(route.target);
	buf_consume(&conn->in, used);
	if (!conn->exchange) {
		h1_answer_failure(conn, status);
		return;
	}
	h1_request_pump(conn);
}

/* After a body that breaks its own framing or does not come, nothing can be told from a request any more. */
static void break_off(struct h1_conn *conn, int status)
{
	drop_exchange(conn);
	if (conn->request.response == H1_RESPONSE_NONE)
		h1_answer_and_close(conn, status);
	else
		h1_conn_cut(conn);
}

void h1_request_time_out(struct h1_conn *conn)
{
	if (conn->state == H1_NOTICE)
		h1_answer_with_notice(conn, NULL);
	else
		break_off(conn, conn->state == H1_CHALLENGE ? 503 : 408);
}

static void send_end(struct h1_conn *conn, struct http_head *trailers)
{
	conn->request.sent = true;
	exchange_send_end(conn->exchange, trailers);
}

static enum result end_chunked(struct h1_conn *conn)
{
	struct http_slice section = conn->request.body.trailers;
	struct http_head trailers;

	if (section.size > 0 && h1_read_trailers(&trailers, section, H1_REQUEST) != R_OK)
		return R_INVALID;
	send_end(conn, section.size > 0 ? &trailers : NULL);
	return R_OK;
}

/* One step; R_OK: there may be another. */
static enum result pump_once(struct h1_conn *conn)
{
	struct h1_body *body = &conn->request.body;
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
	size_t taken = exchange_send(conn->exchange, buf_bytes(&conn->in), data);
	if (taken > 0)
		h1_body_take(body, taken);
	buf_consume(&conn->in, taken);
	conn->request.bytes_in += taken;
	conn->request.awaits_100 = false;
	conn->request.body_blocked = taken < data;
	return R_OK;
}

void h1_request_pump(struct h1_conn *conn)
{
	enum result result = R_OK;

	while (result == R_OK && h1_request_wants_body(conn))
		result = pump_once(conn);
	if (result == R_INVALID)
		break_off(conn, 400);
	else if (conn->state == H1_EXCHANGE)
		exchange_flush(conn->exchange);
}

static void pass_on_shared(struct h1_conn *conn, struct http_head *head, size_t used, const char *host)
{
	conn->request.shared =
	    shared_host_find(conn->worker->edge->sites, conn->peer.sni, host, conn->stream.ssl);
	if (conn->request.shared) {
		h1_request_pass_on(conn, head, used);
		return;
	}
	buf_consume(&conn->in, used);
	h1_answer_status(conn, 421);
}

void h1_request_begin(struct h1_conn *conn, struct http_head *head, size_t used)
{
	struct route route;

	start_request(conn, head, used);
	route_request(&route, head, conn->peer.tls ? conn->peer.sni : NULL);
	if (route.action != ROUTE_ANSWER && identity_is_loop(head, h1_trust(conn)))
		route = (struct route){.action = ROUTE_ANSWER, .status = 508};
	if (route.action != ROUTE_ANSWER && admission_is_short_of_memory(conn->worker)) {
		metric_add(h1_config(conn)->metrics.shed, 1);
		conn->request.keep_alive = false;
		route = (struct route){.action = ROUTE_ANSWER, .status = 503};
	}
	switch (route.action) {
	case ROUTE_UPSTREAM: h1_request_pass_on(conn, head, used); return;
	case ROUTE_SHARED: pass_on_shared(conn, head, used, route.host.text); return;
	case ROUTE_CHALLENGE: h1_answer_challenge(conn, head, used, &route); return;
	case ROUTE_REDIRECT: h1_answer_plain(conn, head, used, &route); return;
	case ROUTE_ANSWER: break;
	}
	buf_consume(&conn->in, used);
	h1_answer_status(conn, route.status);
}
