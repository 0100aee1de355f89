/*
 * How long a client may take for what: the same settings as over HTTP/1.1. The connection's own deadlines are
 * for silence and for a socket that takes nothing; streams are looked at once a second or so, those that wait
 * for the client's body, or for its window to open.
 */
#include "common/base/clock.h"
#include "edge/front/h2_conn_state.h"

enum { SWEEP_LEAST_MS = 10, SWEEPS_PER_TIMEOUT = 4 };

/* ---- the connection */

static enum h2_wait what_is_awaited(const struct h2_conn *conn)
{
	if (conn->state == H2_LINGER)
		return H2_WAIT_END;
	if (conn->state != H2_OPEN)
		return H2_WAIT_NOTHING;
	if (conn->head_began_us > 0)
		return H2_WAIT_HEAD;
	if (conn->retiring == H2_NOTICE)
		return H2_WAIT_GOAWAY;
	return conn->stream_count == 0 ? H2_WAIT_REQUEST : H2_WAIT_NOTHING;
}

static int64_t longest_wait(const struct h2_conn *conn, enum h2_wait wait)
{
	switch (wait) {
	case H2_WAIT_REQUEST: return h2_config(conn)->idle_timeout_ms;
	case H2_WAIT_HEAD: return h2_config(conn)->header_timeout_ms;
	case H2_WAIT_GOAWAY: return H2_GOAWAY_MS;
	case H2_WAIT_END: return H2_LINGER_MS;
	case H2_WAIT_NOTHING: break;
	}
	return 0;
}

static void arm_read(struct h2_conn *conn)
{
	enum h2_wait wait = what_is_awaited(conn);

	if (wait == conn->wait)
		return;
	conn->wait = wait;
	if (wait == H2_WAIT_NOTHING)
		deadline_clear(&conn->read_deadline);
	else
		deadline_set(&conn->read_deadline, longest_wait(conn, wait));
}

/* The head that arrives may be a later one than that of which the deadline was set. */
static void end_slow_head(struct h2_conn *conn)
{
	int64_t took_ms = (clock_monotonic_us() - conn->head_began_us) / 1000;
	int64_t left_ms = h2_config(conn)->header_timeout_ms - took_ms;

	if (left_ms > 0)
		deadline_set(&conn->read_deadline, left_ms);
	else
		h2_conn_end(conn, NGHTTP2_ENHANCE_YOUR_CALM, H2_END_HEADER_TIMEOUT);
}

static void on_read_deadline(struct deadline *deadline)
{
	struct h2_conn *conn = loop_owner(deadline, struct h2_conn, read_deadline);

	switch (conn->wait) {
	case H2_WAIT_REQUEST: h2_conn_retire(conn); break;
	case H2_WAIT_HEAD: end_slow_head(conn); break;
	case H2_WAIT_GOAWAY: h2_conn_say_last(conn); break;
	case H2_WAIT_NOTHING:
	case H2_WAIT_END: h2_conn_close(conn); return;
	}
	h2_conn_drive(conn);
}

static void on_write_deadline(struct deadline *deadline)
{
	struct h2_conn *conn = loop_owner(deadline, struct h2_conn, write_deadline.deadline);

	if (write_deadline_renew(&conn->write_deadline, &conn->stream, h2_config(conn)))
		return;
	h2_conn_end(conn, NGHTTP2_NO_ERROR, H2_END_WRITE_TIMEOUT);
	h2_conn_close(conn);
}

/* ---- its streams */

static int64_t smaller(int64_t one, int64_t other)
{
	return one < other ? one : other;
}

static int64_t sweep_ms(const struct h2_conn *conn)
{
	const struct http_config *config = h2_config(conn);
	int64_t shortest = smaller(config->body_timeout_ms, config->write_timeout_ms) / SWEEPS_PER_TIMEOUT;

	shortest = smaller(shortest, H2_SWEEP_MS);
	return shortest > SWEEP_LEAST_MS ? shortest : SWEEP_LEAST_MS;
}

static void begin_stretch(struct h2_stream *stream, uint64_t moved)
{
	stream->since_ms = h2_now(stream->conn);
	stream->mark = moved;
}

/* Has the client been waited for so long and brought, or taken, so little? Each stretch of `timeout_ms`
 * counts for itself. */
static bool is_too_slow(struct h2_stream *stream, uint64_t moved, int64_t timeout_ms)
{
	int64_t took_ms = h2_now(stream->conn) - stream->since_ms;

	if (took_ms < timeout_ms)
		return false;
	if ((int64_t)(moved - stream->mark) < http_config_least(h2_config(stream->conn), took_ms))
		return true;
	begin_stretch(stream, moved);
	return false;
}

static void look_at_client(struct h2_stream *stream)
{
	const struct http_config *config = h2_config(stream->conn);
	enum h2_awaited awaited = h2_stream_awaited(stream);
	uint64_t moved = awaited == H2_AWAITS_BODY ? stream->got : stream->sent;

	if (stream->awaited != awaited) {
		stream->awaited = awaited;
		begin_stretch(stream, moved);
	} else if (awaited == H2_AWAITS_END) {
		if (h2_now(stream->conn) - stream->since_ms >= H2_EARLY_MS)
			h2_stream_reset(stream, NGHTTP2_NO_ERROR);
	} else if (awaited == H2_AWAITS_BODY) {
		if (is_too_slow(stream, moved, config->body_timeout_ms))
			request_break_off(&stream->request, 408);
	} else if (awaited == H2_AWAITS_WINDOW && is_too_slow(stream, moved, config->write_timeout_ms)) {
		metric_add(config->metrics.cuts[CUT_SLOW_CLIENT], 1);
		h2_stream_reset(stream, NGHTTP2_CANCEL);
	}
}

static void look_at(struct h2_stream *stream)
{
	int64_t took_ms = (clock_monotonic_us() - stream->request.started_us) / 1000;

	if (stream->request.state != REQUEST_CHALLENGE)
		look_at_client(stream);
	else if (took_ms >= request_wait_ms(&stream->request))
		h2_stream_lookup_over(stream);
}

static void on_sweep(struct deadline *deadline)
{
	struct h2_conn *conn = loop_owner(deadline, struct h2_conn, sweep);
	struct h2_stream *stream = TAILQ_FIRST(&conn->streams);

	while (stream) {
		struct h2_stream *next = TAILQ_NEXT(stream, entry);

		look_at(stream);
		stream = next;
	}
	h2_conn_rest(conn);
	h2_conn_drive(conn);
}

/* ---- both */

void h2_deadlines_arm(struct h2_conn *conn, bool wants_write)
{
	arm_read(conn);
	write_deadline_arm(&conn->write_deadline, &conn->stream, h2_config(conn), wants_write);
	if (!conn->is_resting && !deadline_is_set(&conn->sweep))
		deadline_set(&conn->sweep, sweep_ms(conn));
}

void h2_deadlines_init(struct h2_conn *conn)
{
	deadline_init(&conn->read_deadline, conn->worker->loop, on_read_deadline);
	deadline_init(&conn->write_deadline.deadline, conn->worker->loop, on_write_deadline);
	deadline_init(&conn->sweep, conn->worker->loop, on_sweep);
}

void h2_deadlines_fini(struct h2_conn *conn)
{
	deadline_fini(&conn->read_deadline);
	deadline_fini(&conn->write_deadline.deadline);
	deadline_fini(&conn->sweep);
}
