#include "edge/pass/pass_conn_internal.h"

#include <string.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "edge/pass/pass_choice.h"
#include "edge/upstream/proxy_protocol_write.h"
#include "edge/upstream/upstream_socket.h"

/* A name's first look-up takes milliseconds. */
enum { LOOK_UP_STEP_MS = 10 };

static void connect_next(struct pass_conn *conn);

void pass_connect_leave(struct pass_conn *conn)
{
	if (!conn->address)
		return;
	atomic_fetch_sub_explicit(&conn->address->outstanding, 1, memory_order_relaxed);
	upstream_address_unref(conn->address);
	conn->address = NULL;
}

static void close_upstream(struct pass_conn *conn)
{
	if (conn->upstream.fd >= 0)
		loop_close(conn->worker->loop, &conn->upstream);
}

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
	metric_add(conn->metrics.bytes_in, (int64_t)conn->in.bytes); /* the hello */
	put_proxy_header(conn);
	leave_hello(conn);
	pass_stay_begin(conn);
	pass_conn_run(conn);
}

static void fail_address(struct pass_conn *conn, enum upstream_failure failure)
{
	int64_t now = loop_now(conn->worker->loop);

	/* What is wanting on our side says nothing of the server. */
	if (failure != UPSTREAM_LOCAL && upstream_address_failed(conn->address, now))
		metric_add(upstreams_metrics(conn->worker->edge->upstreams)->ejections, 1);
	close_upstream(conn);
	pass_connect_leave(conn);
	if (conn->tried_count == PASS_TRIES_MAX)
		pass_conn_refuse(conn, upstream_failure_name(failure));
	else
		connect_next(conn);
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
		pass_conn_refuse(conn, conn->tried_count > 0 ? "connect" : "no_server");
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

void pass_connect_begin(struct pass_conn *conn)
{
	conn->give_up_ms = loop_now(conn->worker->loop) + conn->worker->config->pass->connect_ms;
	look_again(conn);
}

void pass_connect_on_ready(struct pass_conn *conn)
{
	enum upstream_failure failure = upstream_socket_failure(conn->upstream.fd);

	if (failure == UPSTREAM_FAILURE_COUNT)
		open_link(conn);
	else
		fail_address(conn, failure);
}

void pass_connect_on_deadline(struct pass_conn *conn)
{
	if (conn->state == PASS_LOOKING)
		look_again(conn);
	else
		fail_address(conn, UPSTREAM_CONNECT_TIMEOUT);
}
