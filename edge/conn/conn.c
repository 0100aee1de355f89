#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "edge/admission.h"
#include "edge/conn/client_counts.h"
#include "edge/conn/conn_internal.h"
#include "edge/conn/conn_table.h"
#include "edge/edge_metrics.h"
#include "edge/pass/pass_conn.h"
#include "edge/site/handshakes.h"

static void on_waiting_client_left(struct conn *conn, uint32_t events);
static void on_closing_ready(struct conn *conn, uint32_t events);
static void on_hello_deadline(struct conn *conn);
static void on_challenge_deadline(struct conn *conn);
static void on_resuming_deadline(struct conn *conn);

/* What may happen in each state. NULL: cannot happen there, and ends the process if it does. */
static const struct {
	const char *name;
	void (*on_ready)(struct conn *conn, uint32_t events);
	void (*on_deadline)(struct conn *conn);
} states[CONN_STATES] = {
    [CONN_PROXY] = {"proxy", conn_proxy_on_ready, conn_proxy_on_deadline},
    [CONN_HELLO] = {"hello", conn_hello_on_ready, on_hello_deadline},
    [CONN_WAIT_CHALLENGE] = {"wait_challenge", on_waiting_client_left, on_challenge_deadline},
    [CONN_WAIT_CERT] = {"wait_cert", on_waiting_client_left, NULL},
    [CONN_RESUMING] = {"resuming", on_waiting_client_left, on_resuming_deadline},
    [CONN_HANDSHAKE] = {"handshake", conn_handshake_on_ready, conn_handshake_on_deadline},
    [CONN_HTTP] = {"http", NULL, NULL},
    [CONN_PASS] = {"passthrough", NULL, NULL},
    [CONN_CLOSING] = {"closing", on_closing_ready, conn_free},
};

static struct metric *state_gauge(enum conn_state state)
{
	static _Atomic(struct metric *) gauges[CONN_STATES];
	struct metric *gauge = atomic_load_explicit(&gauges[state], memory_order_acquire);
	char label[64];

	if (gauge)
		return gauge;
	gauge = metrics_gauge("postern_edge_connections",
	    metrics_label(label, sizeof label, "state", states[state].name),
	    "Connections held now, by state.");
	atomic_store_explicit(&gauges[state], gauge, memory_order_release);
	return gauge;
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct conn *conn = loop_owner(io, struct conn, stream.io);

	assert(states[conn->state].on_ready);
	states[conn->state].on_ready(conn, events);
}

static void on_deadline(struct loop_timer *timer)
{
	struct conn *conn = loop_owner(timer, struct conn, deadline);

	assert(states[conn->state].on_deadline);
	states[conn->state].on_deadline(conn);
}

void conn_enter(struct conn *conn, enum conn_state state, int64_t deadline_ms)
{
	metric_add(state_gauge(conn->state), -1);
	metric_add(state_gauge(state), 1);
	conn->state = state;
	if (deadline_ms > 0)
		loop_timer_set(conn->worker->loop, &conn->deadline, deadline_ms);
	else
		loop_timer_clear(conn->worker->loop, &conn->deadline);
}

static struct conn_opening *opening_new(struct conn *conn)
{
	struct conn_opening *opening = mem_alloc(sizeof *opening);

	opening->conn = conn;
	opening->phase_began_us = clock_monotonic_us();
	opening->times = (struct conn_times){.hello = -1, .certificate = -1, .handshake = -1};
	opening->session = (struct tls_session){
	    .name = opening->name.text, .hello = &opening->hello, .http2 = conn->worker->config->http->http2};
	buf_init(&opening->received, CLIENT_HELLO_WIRE_MAX);
	return opening;
}

void conn_end_opening(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;

	if (!opening)
		return;
	conn_wait_leave(conn);
	client_hello_fini(&opening->hello);
	buf_fini(&opening->received);
	free(opening);
	conn->opening = NULL;
}

static struct metric *accepted(const struct edge_metrics *metrics, enum listen_kind kind)
{
	switch (kind) {
	case LISTEN_HTTP: return metrics->accepted_http;
	case LISTEN_HTTPS: return metrics->accepted_https;
	case LISTEN_PASS: return metrics->accepted_passthrough;
	}
	abort();
}

void conn_accept(struct worker *worker, int fd, const struct net_address *client, struct listen_point point)
{
	bool tls = point.kind != LISTEN_HTTP;
	const char *refused = admission_take(worker);

	if (refused) {
		admission_turn_away(worker, fd, tls, refused);
		return;
	}
	metric_add(accepted(worker->metrics, point.kind), 1);
	struct conn *conn = mem_alloc(sizeof *conn);
	conn->worker = worker;
	conn->tls = tls;
	conn->point = point;
	conn->client = *client;
	conn->deadline.on_expire = on_deadline;
	conn->opening = opening_new(conn);
	stream_init(&conn->stream, worker->loop, fd, NULL);
	conn->stream.io.on_ready = on_ready;
	conn->id = conn_table_add(worker->conns, conn);
	metric_add(state_gauge(conn->state), 1);
	if (worker->config->trust.proxy_required)
		conn_proxy_begin(conn);
	else
		conn_start_client(conn);
}

/* Only here is it known who the client is. */
static bool count_client(struct conn *conn)
{
	struct edge *edge = conn->worker->edge;
	int64_t max = conn->worker->config->limits.max_connections_per_client;

	conn->is_counted = max > 0 && client_counts_take(edge->clients, &conn->client, max);
	return max == 0 || conn->is_counted;
}

/* The connection's end, as the client of a full house sees it: the socket moves out, and is closed there. */
static void turn_away(struct conn *conn, const char *cause)
{
	int fd = conn->stream.io.fd;

	loop_unwatch(conn->worker->loop, &conn->stream.io);
	conn->stream.io.fd = -1;
	admission_turn_away(conn->worker, fd, conn->tls, cause);
	conn_free(conn);
}

void conn_start_client(struct conn *conn)
{
	struct worker *worker = conn->worker;

	if (!count_client(conn)) {
		turn_away(conn, "max_connections_per_client");
		return;
	}
	if (!conn->tls) {
		conn_start_http(conn);
		return;
	}
	conn_enter(conn, CONN_HELLO, worker->config->limits.hello_timeout_ms);
	if (loop_watch(worker->loop, &conn->stream.io, EPOLLIN) != R_OK)
		conn_free(conn);
}

void conn_free(struct conn *conn)
{
	struct worker *worker = conn->worker;

	assert(!conn->http && !conn->pass);
	conn_end_opening(conn);
	loop_timer_clear(worker->loop, &conn->deadline);
	stream_fini(&conn->stream);
	conn_table_remove(worker->conns, conn->id);
	metric_add(state_gauge(conn->state), -1);
	admission_give(worker);
	if (conn->is_counted)
		client_counts_give(worker->edge->clients, &conn->client);
	free(conn->name);
	free(conn);
	worker_connection_ended(worker);
}

/* A default certificate's name is not the one that was asked for. */
void conn_note_end(struct conn *conn, int alert, const char *cause, bool is_ours)
{
	const struct conn_opening *opening = conn->opening;

	if (opening->want == WANT_DEFAULT || opening->is_validation)
		return;
	handshakes_refused(conn->worker->edge->handshakes, (size_t)conn->worker->index, opening->name.text,
	    &(struct handshake_refusal){.cause = opening->remembered ? opening->remembered : cause,
		.alert = alert,
		.is_ours = is_ours});
}

void conn_refuse(struct conn *conn, enum tls_alert alert, const char *cause)
{
	unsigned char record[TLS_ALERT_RECORD_SIZE];

	assert(!conn->stream.ssl);
	cause_counter_add(&conn->worker->metrics->refused, cause);
	conn_note_end(conn, alert, cause, false);
	tls_alert_record(record, alert);
	/* The first bytes on an empty socket: if they do not fit, there is nobody to read them. */
	if (send(conn->stream.io.fd, record, sizeof record, MSG_NOSIGNAL) != (ssize_t)sizeof record) {
		conn_free(conn);
		return;
	}
	conn_close_gently(conn);
}

void conn_close_gently(struct conn *conn)
{
	struct stream *stream = &conn->stream;

	stream_shutdown(stream);
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	conn_end_opening(conn);
	conn->closing_left = CONN_CLOSING_BYTES;
	conn_enter(conn, CONN_CLOSING, CONN_CLOSING_MS);
	loop_watch(conn->worker->loop, &stream->io, EPOLLIN);
	on_closing_ready(conn, EPOLLIN);
}

static void on_closing_ready(struct conn *conn, uint32_t events)
{
	size_t got = 0;
	enum result result = R_OK;

	(void)events;
	while (result == R_OK && conn->closing_left > 0) {
		result = stream_read(&conn->stream, conn->worker->scratch, WORKER_SCRATCH, &got);
		if (result == R_OK)
			conn->closing_left -= got < conn->closing_left ? got : conn->closing_left;
	}
	if (result != R_AGAIN)
		conn_free(conn);
}

/* Nobody reads from the socket meanwhile, so more bytes do not wake us; an end does. */
static void on_waiting_client_left(struct conn *conn, uint32_t events)
{
	assert(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	cause_counter_add(&conn->worker->metrics->refused, "client_left");
	conn_note_end(conn, TLS_ALERT_NONE, "client_left", false);
	conn_free(conn);
}

/* Who has said nothing may wait for the server to speak first (STARTTLS). */
static void on_hello_deadline(struct conn *conn)
{
	if (buf_size(&conn->opening->received) == 0 && conn->point.kind == LISTEN_PASS &&
	    conn_pass_by_default(conn))
		return;
	cause_counter_add(&conn->worker->metrics->refused, "hello_timeout");
	conn_free(conn);
}

static void on_challenge_deadline(struct conn *conn)
{
	conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "challenge_deadline");
}

static void on_resuming_deadline(struct conn *conn)
{
	conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "overload");
}

static void on_http_closed(void *owner)
{
	struct conn *conn = owner;

	conn->http = NULL;
	conn_free(conn);
}

struct stream conn_give_stream(struct conn *conn, enum conn_state state)
{
	struct stream stream = conn->stream;

	conn_enter(conn, state, 0);
	/* What is left here has no descriptor, and stream_fini leaves it alone. */
	conn->stream = (struct stream){.loop = conn->worker->loop, .io = {.fd = -1}};
	return stream;
}

void conn_start_http(struct conn *conn)
{
	conn->name = mem_string(conn->opening->name.text);
	struct conn_peer peer = {.id = conn->id,
	    .client = conn->client,
	    .local = conn->opening->local,
	    .tls = conn->tls,
	    .by_default = conn->opening->want == WANT_DEFAULT,
	    .sni = conn->name,
	    .times = conn->opening->times};

	conn_end_opening(conn);
	struct stream stream = conn_give_stream(conn, CONN_HTTP);
	conn->http = http_conn_new(conn->worker, &stream, &peer, on_http_closed, conn);
}

static void drain_one(struct conn *conn)
{
	if (conn->state == CONN_HTTP)
		http_conn_drain(conn->http);
	else if (conn->state <= CONN_HELLO)
		loop_timer_set(conn->worker->loop, &conn->deadline, CONN_DRAIN_MS);
}

void conn_drain_all(struct worker *worker)
{
	conn_table_each(worker->conns, drain_one);
}

static void abort_one(struct conn *conn)
{
	if (conn->state == CONN_HTTP)
		http_conn_abort(conn->http);
	else if (conn->state == CONN_PASS)
		pass_conn_abort(conn->pass);
	else
		conn_free(conn);
}

void conn_abort_all(struct worker *worker)
{
	conn_table_each(worker->conns, abort_one);
}

void conn_deliver_challenge(struct message *message, void *receiver)
{
	struct challenge_reply *reply = loop_owner(message, struct challenge_reply, message);
	struct worker *worker = receiver;
	struct conn *conn = conn_table_find(worker->conns, reply->connection);

	if (conn && conn->state == CONN_HTTP)
		http_conn_challenge(conn->http, reply);
	else if (conn && conn->state == CONN_WAIT_CHALLENGE)
		conn_wait_on_challenge(conn, reply);
	OPENSSL_cleanse(reply->key_authorization, sizeof reply->key_authorization);
	free(reply);
}

void conn_deliver_notice(struct message *message, void *receiver)
{
	struct notice_reply *reply = loop_owner(message, struct notice_reply, message);
	struct worker *worker = receiver;
	struct conn *conn = conn_table_find(worker->conns, reply->connection);

	if (conn && conn->state == CONN_HTTP)
		http_conn_notice(conn->http, reply);
	free(reply);
}
