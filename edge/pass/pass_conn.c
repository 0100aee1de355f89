#include "edge/pass/pass_conn_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "edge/edge_metrics.h"
#include "edge/http_config.h"
#include "edge/loop/name_hash.h"
#include "edge/pass/pass_circles.h"
#include "edge/pass/pass_groups.h"
#include "edge/tls/tls_alert.h"

/* ---- the end */

static void close_io(struct pass_conn *conn, struct loop_io *io, bool reset)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (io->fd < 0)
		return;
	if (reset)
		setsockopt(io->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	loop_close(conn->worker->loop, io);
}

static void write_line(struct pass_conn *conn, const char *cause)
{
	struct worker *worker = conn->worker;

	cause_counter_add(&worker->metrics->passthrough_ends, cause);
	conn->line.end = cause;
	conn->line.bytes_in = conn->in.bytes;
	conn->line.bytes_out = conn->out.bytes;
	conn->line.retries = conn->tried_count > 0 ? (int)conn->tried_count - 1 : 0;
	pass_line_end(
	    &conn->line, worker->config->http->access_log ? worker->edge->access_log : NULL, &conn->peer);
}

void pass_conn_end(struct pass_conn *conn, const char *cause, bool cut)
{
	void (*on_closed)(void *owner) = conn->on_closed;
	void *owner = conn->owner;

	write_line(conn, cause);
	metric_add(conn->metrics.open, -1);
	close_io(conn, &conn->client, cut);
	close_io(conn, &conn->upstream, cut);
	deadline_fini(&conn->deadline);
	pass_connect_leave(conn);
	pass_circles_leave(conn->worker->edge->pass_circles, conn->circle);
	for (size_t i = 0; i < conn->tried_count; i++)
		upstream_address_unref(conn->tried[i]);
	if (conn->group)
		upstreams_group_unref(conn->worker->edge->upstreams, conn->group);
	pass_flow_fini(&conn->in);
	pass_flow_fini(&conn->out);
	if (conn->begin.queued)
		conn->state = PASS_GONE;
	else
		free(conn);
	on_closed(owner);
}

/* Nobody took the connection. All that its client sent has been read, so that nothing overtakes the alert. */
void pass_conn_refuse(struct pass_conn *conn, const char *cause)
{
	unsigned char record[TLS_ALERT_RECORD_SIZE];

	tls_alert_record(record, TLS_ALERT_INTERNAL_ERROR);
	if (conn->is_tls && send(conn->client.fd, record, sizeof record, MSG_NOSIGNAL) < 0)
		cause = "client_left";
	pass_conn_end(conn, cause, false);
}

void pass_conn_abort(struct pass_conn *conn)
{
	pass_conn_end(conn, "drain_timeout", true);
}

/* ---- passing on */

/* It has reached a server that speaks, or ends: whoever comes with the same hello now is somebody else. */
static void arrive(struct pass_conn *conn)
{
	pass_circles_leave(conn->worker->edge->pass_circles, conn->circle);
	conn->circle = 0;
}

static void learn(struct pass_conn *conn, const void *bytes, size_t count)
{
	const uint8_t *id = NULL;
	size_t size = 0;

	if (conn->affinity != PASSTHROUGH_BY_SESSION || conn->server_hello.result != R_AGAIN ||
	    server_hello_feed(&conn->server_hello, bytes, count, &id, &size) != R_OK)
		return;
	/* The client's own id comes back where a session is resumed, and in TLS 1.3 always. */
	if (size == conn->session.size && memcmp(id, conn->session_id, size) == 0)
		return;
	const struct pass_session session = {.group = conn->session.group, .id = id, .size = size};
	pass_sessions_learn(conn->worker->edge->pass_sessions, &session, loop_now(conn->worker->loop),
	    &conn->address->address);
}

static void watch(
    struct pass_conn *conn, struct loop_io *io, const struct pass_flow *from, const struct pass_flow *to)
{
	uint32_t events =
	    (pass_flow_wants_read(from) ? EPOLLIN : 0) | (pass_flow_wants_write(to) ? EPOLLOUT : 0);

	/* With nothing to wait for, the end of the connection would be reported for ever. */
	if (events)
		loop_watch(conn->worker->loop, io, events);
	else
		loop_unwatch(conn->worker->loop, io);
}

/* False: the connection has ended. */
static bool run_flow(struct pass_conn *conn, struct pass_flow *flow, const char *from, const char *to)
{
	char *scratch = conn->worker->scratch;
	uint64_t before = flow->bytes;
	size_t got = 0;
	enum pass_step step = PASS_MOVED;

	for (int reads = 0; reads < PASS_READS_AT_ONCE && step == PASS_MOVED; reads++) {
		step = pass_flow_step(flow, scratch, WORKER_SCRATCH, &got);
		if (flow == &conn->out && got > 0)
			learn(conn, scratch, got);
	}
	metric_add(flow == &conn->in ? conn->metrics.bytes_in : conn->metrics.bytes_out,
	    (int64_t)(flow->bytes - before));
	if (step == PASS_SOURCE_BROKE || step == PASS_SINK_BROKE) {
		pass_conn_end(conn, step == PASS_SOURCE_BROKE ? from : to, true);
		return false;
	}
	if (flow == &conn->out && (flow->bytes > 0 || flow->has_ended))
		arrive(conn);
	return true;
}

void pass_conn_run(struct pass_conn *conn)
{
	if (!run_flow(conn, &conn->in, "client_reset", "upstream_reset") ||
	    !run_flow(conn, &conn->out, "upstream_reset", "client_reset"))
		return;
	if (pass_flow_is_over(&conn->in) && pass_flow_is_over(&conn->out)) {
		pass_conn_end(conn, "closed", false);
		return;
	}
	conn->moved_ms = loop_now(conn->worker->loop);
	watch(conn, &conn->client, &conn->in, &conn->out);
	watch(conn, &conn->upstream, &conn->out, &conn->in);
}

/* ---- events */

static void on_upstream_ready(struct loop_io *io, uint32_t events)
{
	struct pass_conn *conn = loop_owner(io, struct pass_conn, upstream);

	(void)events;
	if (conn->state == PASS_OPEN)
		pass_conn_run(conn);
	else
		pass_connect_on_ready(conn);
}

/* Until there is a server only the client's disappearance is heard of. */
static void on_client_ready(struct loop_io *io, uint32_t events)
{
	struct pass_conn *conn = loop_owner(io, struct pass_conn, client);

	(void)events;
	if (conn->state == PASS_OPEN)
		pass_conn_run(conn);
	else
		pass_conn_end(conn, "client_left", false);
}

static void on_deadline(struct deadline *deadline)
{
	struct pass_conn *conn = loop_owner(deadline, struct pass_conn, deadline);

	if (conn->state == PASS_OPEN)
		pass_stay_on_deadline(conn);
	else
		pass_connect_on_deadline(conn);
}

/* ---- the beginning */

/* Not within pass_conn_new: its caller does not have the connection yet that may end here. */
static void on_begin(struct loop_task *task)
{
	struct pass_conn *conn = loop_owner(task, struct pass_conn, begin);

	if (conn->state == PASS_GONE) {
		free(conn);
		return;
	}
	if (!conn->group) {
		pass_conn_refuse(conn, "no_room");
		return;
	}
	/* No events: only an error or the end of both directions. */
	if (loop_watch(conn->worker->loop, &conn->client, 0) != R_OK) {
		pass_conn_end(conn, "local", false);
		return;
	}
	pass_connect_begin(conn);
}

static void take_way(struct pass_conn *conn, const struct pass_way *way)
{
	conn->group = pass_group_of(conn->worker->edge->upstreams, way->target);
	conn->affinity = way->target->affinity;
	conn->proxy_v2 = way->target->proxy_v2;
	conn->metrics = *way->metrics;
	conn->of_domain = way->of_domain;
	conn->session.group = name_hash(way->target->key);
	pass_line_begin(&conn->line, way->label);
}

static void take_peer(struct pass_conn *conn, const struct pass_peer *peer)
{
	conn->peer = peer->client;
	conn->local = peer->local;
	conn->is_tls = peer->is_tls;
	conn->circle = peer->circle;
	conn->line.name = peer->name;
	conn->line.began_us = peer->began_us;
	conn->line.hello_us = clock_monotonic_us() - peer->began_us;
	if (peer->session_id_size > PASS_SESSION_ID_MAX)
		return;
	if (peer->session_id_size > 0)
		memcpy(conn->session_id, peer->session_id, peer->session_id_size);
	conn->session.id = conn->session_id;
	conn->session.size = peer->session_id_size;
}

struct pass_conn *pass_conn_new(struct worker *worker, struct stream *stream, struct buf *received,
    const struct pass_way *way, const struct pass_peer *peer, void (*on_closed)(void *owner), void *owner)
{
	struct pass_conn *conn = mem_alloc(sizeof *conn);

	conn->worker = worker;
	conn->client = stream->io;
	conn->client.on_ready = on_client_ready;
	conn->upstream = (struct loop_io){.fd = -1, .on_ready = on_upstream_ready};
	conn->on_closed = on_closed;
	conn->owner = owner;
	conn->begin.run = on_begin;
	deadline_init(&conn->deadline, worker->loop, on_deadline);
	pass_flow_init(&conn->in, &conn->client, &conn->upstream, worker->pass_pipes);
	pass_flow_init(&conn->out, &conn->upstream, &conn->client, worker->pass_pipes);
	take_way(conn, way);
	take_peer(conn, peer); /* its session id is among the bytes that move */
	pass_flow_begin_with(&conn->in, received);
	metric_add(conn->metrics.connections, 1);
	metric_add(conn->metrics.open, 1);
	loop_unwatch(worker->loop, &conn->client);
	loop_defer(worker->loop, &conn->begin);
	return conn;
}
