/*
 * How long a client may take for what: each thing that is waited for has a deadline, and who goes on slowly
 * keeps it off only as long as he brings and takes min-rate.
 */
#include "edge/front/h1_conn_state.h"

static enum h1_wait what_is_awaited(const struct h1_conn *conn)
{
	switch (conn->state) {
	case H1_IDLE: return H1_WAIT_REQUEST;
	case H1_HEAD: return H1_WAIT_HEAD;
	case H1_LOOKUP: return H1_WAIT_LOOKUP;
	case H1_LINGER: return H1_WAIT_END;
	case H1_EXCHANGE: break;
	case H1_TUNNEL:
	case H1_FLUSH:
	case H1_CLOSED: return H1_WAIT_NOTHING;
	}
	return h1_request_wants_body(conn) && !conn->message.awaits_100 ? H1_WAIT_BODY : H1_WAIT_NOTHING;
}

static int64_t longest_wait(const struct h1_conn *conn, enum h1_wait wait)
{
	switch (wait) {
	case H1_WAIT_REQUEST: return conn->draining ? H1_DRAIN_MS : h1_config(conn)->idle_timeout_ms;
	case H1_WAIT_HEAD: return h1_config(conn)->header_timeout_ms;
	case H1_WAIT_BODY: return h1_config(conn)->body_timeout_ms;
	case H1_WAIT_LOOKUP: return request_wait_ms(&conn->request);
	case H1_WAIT_END: return H1_LINGER_MS;
	case H1_WAIT_NOTHING: break;
	}
	return 0;
}

static void begin_body_window(struct h1_conn *conn)
{
	conn->body_since_ms = loop_now(conn->worker->loop);
	conn->body_mark = conn->stream.bytes_in;
}

/* Who sends something now and then keeps the deadline off, but has to bring min-rate all the same, over any
 * stretch of body-timeout. */
static bool is_body_too_slow(struct h1_conn *conn)
{
	const struct http_config *config = h1_config(conn);
	int64_t took_ms = loop_now(conn->worker->loop) - conn->body_since_ms;
	int64_t got = (int64_t)(conn->stream.bytes_in - conn->body_mark);

	if (took_ms < config->body_timeout_ms)
		return false;
	if (got < config->min_rate * took_ms / 1000)
		return true;
	begin_body_window(conn);
	return false;
}

/* Only a body moves its deadline with each byte: everything else is allowed so much time in all. */
static void arm_read(struct h1_conn *conn)
{
	enum h1_wait wait = what_is_awaited(conn);
	bool moves = wait == H1_WAIT_BODY && conn->stream.bytes_in != conn->wait_mark;

	if (wait == conn->wait && !moves)
		return;
	if (wait == H1_WAIT_BODY && wait != conn->wait)
		begin_body_window(conn);
	conn->wait = wait;
	conn->wait_mark = conn->stream.bytes_in;
	if (wait == H1_WAIT_NOTHING)
		deadline_clear(&conn->read_deadline);
	else
		deadline_set(&conn->read_deadline,
		    wait == H1_WAIT_BODY && is_body_too_slow(conn) ? 0 : longest_wait(conn, wait));
}

void h1_deadlines_arm(struct h1_conn *conn, bool wants_write)
{
	arm_read(conn);
	/* A tunnel's client may rest: tunnel-idle-timeout is for both directions. */
	write_deadline_arm(
	    &conn->write_deadline, &conn->stream, h1_config(conn), wants_write && conn->state != H1_TUNNEL);
}

static void on_read_deadline(struct deadline *deadline)
{
	struct h1_conn *conn = loop_owner(deadline, struct h1_conn, read_deadline);

	switch (conn->wait) {
	case H1_WAIT_HEAD: h1_request_refuse(conn, 408); return;
	case H1_WAIT_BODY: h1_request_time_out(conn); return;
	case H1_WAIT_LOOKUP: h1_request_lookup_over(conn); return;
	case H1_WAIT_NOTHING:
	case H1_WAIT_REQUEST:
	case H1_WAIT_END: break;
	}
	h1_conn_close(conn);
}

static void on_write_deadline(struct deadline *deadline)
{
	struct h1_conn *conn = loop_owner(deadline, struct h1_conn, write_deadline.deadline);

	if (write_deadline_renew(&conn->write_deadline, &conn->stream, h1_config(conn)))
		return;
	metric_add(h1_config(conn)->metrics.cuts[CUT_SLOW_CLIENT], 1);
	h1_conn_cut(conn);
}

void h1_deadlines_init(struct h1_conn *conn)
{
	deadline_init(&conn->read_deadline, conn->worker->loop, on_read_deadline);
	deadline_init(&conn->write_deadline.deadline, conn->worker->loop, on_write_deadline);
}
