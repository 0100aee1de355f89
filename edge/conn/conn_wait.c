/*
 * Connections that wait for a certificate or a challenge: how many may, what they hold meanwhile (their
 * ClientHello and this struct), and how they go on.
 */
#include "edge/conn/conn_internal.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "edge/edge_metrics.h"
#include "edge/tls/hot_site.h"

static void give_place_back(struct conn *conn)
{
	struct edge *edge = conn->worker->edge;

	if (conn->opening->waiting_since_us == 0)
		return;
	atomic_fetch_sub_explicit(&edge->waiting, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(
	    &edge->waiting_bytes, (int64_t)conn->opening->waiting_bytes, memory_order_relaxed);
	metric_add(conn->worker->metrics->waiters, -1);
	conn->opening->waiting_since_us = 0;
}

/* The newest is turned away, those who wait keep their places. */
static bool take_place(struct conn *conn)
{
	const struct edge_limits *limits = &conn->worker->config->limits;
	struct edge *edge = conn->worker->edge;
	int64_t bytes = (int64_t)(sizeof *conn + sizeof *conn->opening + buf_size(&conn->opening->received));
	int64_t waiting = atomic_fetch_add_explicit(&edge->waiting, 1, memory_order_relaxed);
	int64_t held = atomic_fetch_add_explicit(&edge->waiting_bytes, bytes, memory_order_relaxed);

	conn->opening->waiting_since_us = clock_monotonic_us();
	conn->opening->waiting_bytes = (size_t)bytes;
	metric_add(conn->worker->metrics->waiters, 1);
	if (waiting < limits->max_waiting && held + bytes <= limits->max_waiting_bytes)
		return true;
	give_place_back(conn);
	return false;
}

/* EPOLLIN would fire for ever on what the client has sent already. */
static bool begin(struct conn *conn, enum conn_state state, int64_t deadline_ms)
{
	if (!take_place(conn)) {
		conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "max_waiting");
		return false;
	}
	conn_enter(conn, state, deadline_ms);
	loop_watch(conn->worker->loop, &conn->stream.io, EPOLLRDHUP);
	return true;
}

void conn_wait_leave(struct conn *conn)
{
	cert_wait_leave(conn->worker->waits, &conn->opening->waiter);
	if (conn->state == CONN_RESUMING)
		TAILQ_REMOVE(&conn->worker->resuming, conn, resuming);
	give_place_back(conn);
}

void conn_wait_for_challenge(struct conn *conn)
{
	struct worker *worker = conn->worker;

	if (!begin(conn, CONN_WAIT_CHALLENGE, CONN_CHALLENGE_MS))
		return;
	enum result result = challenges_find(worker->edge->challenges, worker->mailbox,
	    conn_deliver_challenge, conn->id, 0, CHALLENGE_TLS_ALPN, conn->opening->name.text, NULL);
	if (result != R_OK)
		conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "challenge_limit");
}

void conn_wait_on_challenge(struct conn *conn, const struct challenge_reply *reply)
{
	switch (reply->result) {
	case R_OK:
		give_place_back(conn);
		conn->opening->challenge_id = reply->id;
		conn_handshake_with_challenge(conn, reply->key_authorization);
		return;
	case R_NONE:
		give_place_back(conn);
		conn->opening->want = WANT_CA_ROUTE;
		conn_wait_for_cert(conn);
		return;
	default: conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "challenge_down"); return;
	}
}

/* A name's certificate may free hundreds at once: their handshakes are begun a few each round, so that those
 * of other names keep their latency. */
static void queue_handshake(struct conn *conn)
{
	struct worker *worker = conn->worker;

	conn_enter(conn, CONN_RESUMING, worker->config->limits.handshake_timeout_ms);
	TAILQ_INSERT_TAIL(&worker->resuming, conn, resuming);
	loop_defer(worker->loop, &worker->resume_task);
}

static void on_cert_done(
    struct cert_waiter *waiter, enum cert_outcome outcome, struct site *site, const char *cause)
{
	struct conn *conn = loop_owner(waiter, struct conn_opening, waiter)->conn;

	(void)site;
	conn->opening->times.certificate = clock_monotonic_us() - conn->opening->waiting_since_us;
	histogram_observe_us(conn->worker->metrics->certificate_wait, conn->opening->times.certificate);
	switch (outcome) {
	case CERT_READY: queue_handshake(conn); return;
	case CERT_DENIED:
		give_place_back(conn);
		conn_find_nothing(conn, cause);
		return;
	case CERT_TEMPORARY: conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, cause); return;
	}
}

void conn_wait_for_cert(struct conn *conn)
{
	if (!begin(conn, CONN_WAIT_CERT, 0))
		return;
	conn->opening->waiter.on_done = on_cert_done;
	cert_wait_join(conn->worker->waits, &conn->opening->waiter, &conn->opening->name,
	    conn->opening->want != WANT_SITE);
}

static void resume(struct conn *conn)
{
	TAILQ_REMOVE(&conn->worker->resuming, conn, resuming);
	conn_enter(conn, CONN_HANDSHAKE, conn->worker->config->limits.handshake_timeout_ms);
	give_place_back(conn);
	if (!conn_find_site(conn))
		conn_refuse(conn, TLS_ALERT_INTERNAL_ERROR, "unusable_certificate");
}

void conn_resume_some(struct loop_task *task)
{
	struct worker *worker = loop_owner(task, struct worker, resume_task);

	for (int i = 0; i < CONN_RESUMED_AT_ONCE && !TAILQ_EMPTY(&worker->resuming); i++)
		resume(TAILQ_FIRST(&worker->resuming));
	if (!TAILQ_EMPTY(&worker->resuming))
		loop_defer(worker->loop, task);
}

void conn_deliver_site(struct message *message, void *receiver)
{
	struct broker_reply *reply = loop_owner(message, struct broker_reply, message);
	struct worker *worker = receiver;

	cert_wait_deliver(worker->waits, reply);
	if (reply->site)
		site_unref(reply->site);
	free(reply);
}
