#include "edge/pass/pass_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "edge/edge_metrics.h"
#include "edge/http_config.h"
#include "edge/loop/deadline.h"
#include "edge/loop/name_hash.h"
#include "edge/pass/pass_choice.h"
#include "edge/pass/pass_flow.h"
#include "edge/pass/pass_groups.h"
#include "edge/pass/pass_log.h"
#include "edge/pass/pass_sessions.h"
#include "edge/pass/server_hello.h"
#include "edge/tls/client_hello.h"
#include "edge/tls/tls_alert.h"
#include "edge/upstream/proxy_protocol_write.h"
#include "edge/upstream/upstream_socket.h"

/* A name's first look-up takes milliseconds. */
enum { LOOK_UP_STEP_MS = 10 };

enum pass_state {
	PASS_LOOKING,    /* the servers' names are looked up for the first time */
	PASS_CONNECTING, /* to one of them */
	PASS_OPEN,
	PASS_GONE, /* before it began: its task frees it */
};

struct pass_conn {
	struct worker *worker;
	enum pass_state state;
	struct upstream_group *group;
	struct upstream_address *address;               /* the one in use or tried just now; a reference */
	struct upstream_address *tried[PASS_TRIES_MAX]; /* references */
	size_t tried_count;
	int64_t give_up_ms; /* PASS_LOOKING */

	struct loop_io client, upstream;
	struct pass_flow in, out; /* from the client, to it */
	struct deadline deadline; /* to connect; then of silence */
	struct loop_task begin;

	bool proxy_v2, is_tls;
	enum passthrough_affinity affinity;
	struct server_hello server_hello; /* PASSTHROUGH_BY_SESSION */
	struct pass_session session;      /* the client's; id points to the next */
	uint8_t session_id[PASS_SESSION_ID_MAX];

	struct net_address peer, local;
	struct pass_metrics metrics;
	struct pass_line line;
	void (*on_closed)(void *owner);
	void *owner;
};

static void connect_next(struct pass_conn *conn);

/* ---- the end */

static void leave_address(struct pass_conn *conn)
{
	if (!conn->address)
		return;
	atomic_fetch_sub_explicit(&conn->address->outstanding, 1, memory_order_relaxed);
	upstream_address_unref(conn->address);
	conn->address = NULL;
}

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

/* `cut`: one side ended in disorder, or we do not wait for its end; the other sees a reset, not an end that
 * looks like the sender's own. */
static void end(struct pass_conn *conn, const char *cause, bool cut)
{
	void (*on_closed)(void *owner) = conn->on_closed;
	void *owner = conn->owner;

	write_line(conn, cause);
	metric_add(conn->metrics.open, -1);
	close_io(conn, &conn->client, cut);
	close_io(conn, &conn->upstream, cut);
	deadline_fini(&conn->deadline);
	leave_address(conn);
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
static void refuse(struct pass_conn *conn, const char *cause)
{
	unsigned char record[TLS_ALERT_RECORD_SIZE];

	tls_alert_record(record, TLS_ALERT_INTERNAL_ERROR);
	if (conn->is_tls && send(conn->client.fd, record, sizeof record, MSG_NOSIGNAL) < 0)
		cause = "client_left";
	end(conn, cause, false);
}

void pass_conn_abort(struct pass_conn *conn)
{
	end(conn, "drain_timeout", true);
}

/* ---- passing on */

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
		end(conn, step == PASS_SOURCE_BROKE ? from : to, true);
		return false;
	}
	return true;
}

static void run(struct pass_conn *conn)
{
	if (!run_flow(conn, &conn->in, "client_reset", "upstream_reset") ||
	    !run_flow(conn, &conn->out, "upstream_reset", "client_reset"))
		return;
	if (pass_flow_is_over(&conn->in) && pass_flow_is_over(&conn->out)) {
		end(conn, "closed", false);
		return;
	}
	deadline_set(&conn->deadline, conn->worker->config->pass->idle_ms);
	watch(conn, &conn->client, &conn->in, &conn->out);
	watch(conn, &conn->upstream, &conn->out, &conn->in);
}

/* ---- connecting */

static void leave_hello(struct pass_conn *conn)
{
	if (conn->affinity == PASSTHROUGH_BY_SESSION)
		server_hello_init(&conn->server_hello);
}

static void put_proxy_header(struct pass_conn *conn)
{
	unsigned char header[PROXY_V2_MAX + PROXY_V2_AUTHORITY_MAX];

	if (!conn->proxy_v2)
		return;
	if (conn->local.size == 0)
		net_local_address(conn->client.fd, &conn->local, NULL);
	size_t size = proxy_v2_write(header, &conn->peer, &conn->local);
	size = proxy_v2_add_authority(header, size, conn->line.name);
	pass_flow_put_first(&conn->in, header, size);
}

static void open_link(struct pass_conn *conn)
{
	upstream_address_succeeded(conn->address, loop_now(conn->worker->loop));
	conn->line.connect_us = clock_monotonic_us() - conn->line.connect_began_us;
	conn->state = PASS_OPEN;
	put_proxy_header(conn);
	leave_hello(conn);
	run(conn);
}

static void fail_address(struct pass_conn *conn, enum upstream_failure failure)
{
	int64_t now = loop_now(conn->worker->loop);

	/* What is wanting on our side says nothing of the server. */
	if (failure != UPSTREAM_LOCAL && upstream_address_failed(conn->address, now))
		metric_add(upstreams_metrics(conn->worker->edge->upstreams)->ejections, 1);
	close_io(conn, &conn->upstream, false);
	leave_address(conn);
	if (conn->tried_count == PASS_TRIES_MAX)
		refuse(conn, upstream_failure_name(failure));
	else
		connect_next(conn);
}

static void on_upstream_ready(struct loop_io *io, uint32_t events)
{
	struct pass_conn *conn = loop_owner(io, struct pass_conn, upstream);

	(void)events;
	if (conn->state == PASS_OPEN) {
		run(conn);
		return;
	}
	enum upstream_failure failure = upstream_socket_failure(conn->upstream.fd);
	if (failure == UPSTREAM_FAILURE_COUNT)
		open_link(conn);
	else
		fail_address(conn, failure);
}

/* Until there is a server only the client's disappearance is heard of. */
static void on_client_ready(struct loop_io *io, uint32_t events)
{
	struct pass_conn *conn = loop_owner(io, struct pass_conn, client);

	(void)events;
	if (conn->state == PASS_OPEN)
		run(conn);
	else
		end(conn, "client_left", false);
}

static const struct net_address *session_server(struct pass_conn *conn, struct net_address *room)
{
	if (conn->affinity != PASSTHROUGH_BY_SESSION || conn->session.size == 0)
		return NULL;
	bool is_known = pass_sessions_find(
	    conn->worker->edge->pass_sessions, &conn->session, loop_now(conn->worker->loop), room);
	conn->line.session = is_known ? "known" : "unknown";
	return is_known ? room : NULL;
}

/* A reference in `address`, counted as outstanding; false: none is left. */
static bool choose(struct pass_conn *conn)
{
	struct upstreams *upstreams = conn->worker->edge->upstreams;
	struct net_address room;
	unsigned version = 0;
	struct upstream_members *members = upstreams_members(upstreams, conn->group, &version);
	int index = pass_choose(members, &(struct pass_choice){
					     .affinity = conn->affinity,
					     .client = &conn->peer,
					     .session = session_server(conn, &room),
					     .turn = upstream_group_turn(conn->group),
					     .now_ms = loop_now(conn->worker->loop),
					     .tried = (const struct upstream_address *const *)conn->tried,
					     .tried_count = conn->tried_count,
					 });

	if (index != UPSTREAM_CHOICE_NONE) {
		conn->address = upstream_address_ref(members->addresses[index]);
		conn->tried[conn->tried_count++] = upstream_address_ref(conn->address);
		atomic_fetch_add_explicit(&conn->address->outstanding, 1, memory_order_relaxed);
	}
	upstream_members_unref(members);
	return conn->address;
}

static void connect_next(struct pass_conn *conn)
{
	enum upstream_failure failure = UPSTREAM_LOCAL;

	if (!choose(conn)) {
		refuse(conn, conn->tried_count > 0 ? "connect" : "no_server");
		return;
	}
	conn->state = PASS_CONNECTING;
	memcpy(conn->line.upstream, conn->address->text, sizeof conn->line.upstream);
	conn->line.connect_began_us = clock_monotonic_us();
	conn->upstream.fd = upstream_socket_open(&conn->address->address, &failure);
	if (conn->upstream.fd < 0 || loop_watch(conn->worker->loop, &conn->upstream, EPOLLOUT) != R_OK) {
		fail_address(conn, failure);
		return;
	}
	deadline_set(&conn->deadline, conn->worker->config->pass->connect_ms);
}

static void look_again(struct pass_conn *conn)
{
	int64_t now = loop_now(conn->worker->loop);

	if (upstream_group_is_pending(conn->group) && now < conn->give_up_ms)
		deadline_set(&conn->deadline, LOOK_UP_STEP_MS);
	else
		connect_next(conn);
}

static void on_deadline(struct deadline *deadline)
{
	struct pass_conn *conn = loop_owner(deadline, struct pass_conn, deadline);

	switch (conn->state) {
	case PASS_LOOKING: look_again(conn); return;
	case PASS_CONNECTING: fail_address(conn, UPSTREAM_CONNECT_TIMEOUT); return;
	case PASS_OPEN: end(conn, "idle_timeout", true); return;
	case PASS_GONE: abort();
	}
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
		refuse(conn, "no_room");
		return;
	}
	/* No events: only an error or the end of both directions. */
	if (loop_watch(conn->worker->loop, &conn->client, 0) != R_OK) {
		end(conn, "local", false);
		return;
	}
	conn->give_up_ms = loop_now(conn->worker->loop) + conn->worker->config->pass->connect_ms;
	look_again(conn);
}

static void take_way(struct pass_conn *conn, const struct pass_way *way)
{
	conn->group = pass_group_of(conn->worker->edge->upstreams, way->target);
	conn->affinity = way->target->affinity;
	conn->proxy_v2 = way->target->proxy_v2;
	conn->metrics = *way->metrics;
	conn->session.group = name_hash(way->target->key);
	pass_line_begin(&conn->line, way->label);
}

static void take_peer(struct pass_conn *conn, const struct pass_peer *peer)
{
	conn->peer = peer->client;
	conn->local = peer->local;
	conn->is_tls = peer->is_tls;
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
	pass_flow_init(&conn->in, &conn->client, &conn->upstream);
	pass_flow_init(&conn->out, &conn->upstream, &conn->client);
	take_way(conn, way);
	take_peer(conn, peer); /* its session id is among the bytes that move */
	pass_flow_begin_with(&conn->in, received);
	metric_add(conn->metrics.connections, 1);
	metric_add(conn->metrics.open, 1);
	loop_unwatch(worker->loop, &conn->client);
	loop_defer(worker->loop, &conn->begin);
	return conn;
}
