#include "edge/front/h1_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "edge/front/h1_conn_state.h"
#include "edge/http/h1_parse.h"

/* Then the other connections have their turn. A step may be four reads: about a mebibyte in all. */
enum { READS_PER_EVENT = 4, STEPS_AT_ONCE = 16 };

static void run_closed(struct loop_task *task)
{
	struct h1_conn *conn = loop_owner(task, struct h1_conn, closed_task);

	conn->on_closed(conn->owner);
	client_fini(&conn->client);
	free(conn);
}

void h1_conn_close(struct h1_conn *conn)
{
	if (conn->state == H1_CLOSED)
		return;
	conn->state = H1_CLOSED;
	h1_request_end(conn, false);
	client_leave_upstream(&conn->client);
	deadline_fini(&conn->read_deadline);
	deadline_fini(&conn->write_deadline.deadline);
	stream_fini(&conn->stream);
	buf_fini(&conn->in);
	h1_out_fini(&conn->out);
	loop_defer(conn->worker->loop, &conn->closed_task);
}

/* A tunnel behind TLS is not reset: what its client has been sent, a farewell maybe, is to arrive. */
static bool ends_with_connection(const struct h1_conn *conn)
{
	enum http_body framing = conn->message.framing;

	return framing == HTTP_BODY_UNTIL_CLOSE || (framing == HTTP_BODY_TUNNEL && !conn->stream.ssl);
}

/* Chunks and lengths show by themselves that something is missing, TLS by the close_notify that is; a body
 * that ends with the connection shows it by a reset only. */
void h1_conn_cut(struct h1_conn *conn)
{
	const struct linger reset = {.l_onoff = 1};

	if (conn->state == H1_CLOSED)
		return;
	h1_out_flush(&conn->out);
	conn->stream.failed = true;
	if (ends_with_connection(conn))
		setsockopt(conn->stream.io.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	h1_conn_close(conn);
}

/* ---- what is waited for */

static bool has_exchange(const struct h1_conn *conn)
{
	return conn->state == H1_EXCHANGE || conn->state == H1_TUNNEL;
}

static bool wants_read(const struct h1_conn *conn)
{
	if (conn->read_eof)
		return false;
	if (has_exchange(conn) && !conn->message.sent)
		return !conn->message.body_blocked;
	if (conn->state == H1_IDLE || conn->state == H1_HEAD || conn->state == H1_LINGER)
		return true;
	return buf_size(&conn->in) < H1_PIPELINED_MAX;
}

static bool wants_write(const struct h1_conn *conn)
{
	bool blocked = has_exchange(conn) && conn->message.response_blocked;

	return blocked || buf_size(&conn->out.buf) > 0;
}

static void settle(struct h1_conn *conn)
{
	bool write = wants_write(conn);

	h1_deadlines_arm(conn, write);
	stream_watch(&conn->stream, wants_read(conn), write);
}

/* ---- reading */

static size_t read_size(const struct h1_conn *conn)
{
	size_t room = conn->in.max - buf_size(&conn->in);
	size_t wanted = has_exchange(conn) && !conn->message.sent ? H1_READ_BODY : H1_READ_SMALL;

	return room < wanted ? room : wanted;
}

/* False: nothing more for now. A full buffer means a head that is too long, which its parser says. */
static bool read_some(struct h1_conn *conn)
{
	char *space = NULL;
	size_t got = 0;
	size_t room = buf_reserve(&conn->in, read_size(conn), &space);
	size_t filled = 0;
	enum result result = R_OK;

	if (room == 0)
		return false;
	/* TLS gives a record at a time; the upstream gets together what has come together. */
	do {
		result = stream_read(&conn->stream, space + filled, room - filled, &got);
		if (result == R_OK)
			filled += got;
	} while (result == R_OK && filled < room && stream_has_buffered(&conn->stream));
	buf_commit(&conn->in, filled);
	if (filled == H1_READ_BODY)
		stream_expect_long_input(&conn->stream);
	if (result == R_OK)
		return filled == room;
	if (result == R_EOF)
		conn->read_eof = true;
	if (result == R_ERROR)
		h1_conn_close(conn);
	return false;
}

static void discard(struct h1_conn *conn)
{
	char bytes[4096];
	size_t got = 0;
	enum result result = stream_read(&conn->stream, bytes, sizeof bytes, &got);

	if (result == R_EOF || result == R_ERROR)
		h1_conn_close(conn);
}

static void on_readable(struct h1_conn *conn)
{
	bool more = true;

	for (int i = 0; i < READS_PER_EVENT && more && wants_read(conn); i++) {
		more = read_some(conn);
		if (conn->state == H1_EXCHANGE)
			h1_request_pump(conn);
		else if (conn->state == H1_TUNNEL)
			h1_tunnel_pump(conn);
		if (conn->state == H1_CLOSED)
			return;
	}
}

/* ---- the way of a connection */

static void linger(struct h1_conn *conn)
{
	conn->state = H1_LINGER;
	buf_fini(&conn->in);
	stream_shutdown(&conn->stream);
}

static bool has_unread_rest(const struct h1_conn *conn)
{
	return !h1_body_is_done(&conn->message.body) || buf_size(&conn->in) > 0 ||
	       stream_has_buffered(&conn->stream);
}

/* The response is with the socket. */
static void after_response(struct h1_conn *conn)
{
	h1_request_end(conn, true);
	/* Of the next request's wait nothing has passed yet, even if it begins before we settle. */
	conn->wait = H1_WAIT_NOTHING;
	deadline_clear(&conn->read_deadline);
	if (conn->message.keep_alive) {
		stream_release(&conn->stream);
		conn->state = H1_IDLE;
		conn->scan = (struct h1_scan){0};
		return;
	}
	if (conn->read_eof || !has_unread_rest(conn))
		h1_conn_close(conn);
	else
		linger(conn);
}

/* A step returns true where another one may be possible. */
static bool step_flush(struct h1_conn *conn)
{
	stream_expect_more(&conn->stream, !conn->message.keep_alive);
	enum result result = h1_out_flush(&conn->out);

	if (result == R_AGAIN)
		return false;
	if (result == R_OK)
		after_response(conn);
	else
		h1_conn_close(conn);
	return true;
}

static bool step_head_incomplete(struct h1_conn *conn)
{
	if (wants_read(conn) && stream_has_buffered(&conn->stream) && read_size(conn) > 0) {
		read_some(conn);
		return true;
	}
	if (conn->read_eof ||
	    (conn->draining && conn->client.request_count > 0 && buf_size(&conn->in) == 0)) {
		h1_conn_close(conn);
		return false;
	}
	if (buf_size(&conn->in) > 0) {
		if (conn->state == H1_IDLE)
			conn->head_began_us = clock_monotonic_us();
		conn->state = H1_HEAD;
		return false;
	}
	buf_fini(&conn->in);
	buf_fini(&conn->out.buf);
	return false;
}

static bool step_head(struct h1_conn *conn)
{
	struct http_head head HTTP_HEAD_UNSET;
	size_t used = 0;
	int status = 0;

	if (buf_size(&conn->in) == 0)
		return step_head_incomplete(conn);
	enum result result =
	    h1_parse_request(&head, &conn->scan, buf_bytes(&conn->in), buf_size(&conn->in), &used, &status);
	if (result == R_AGAIN)
		return step_head_incomplete(conn);
	if (result == R_OK)
		h1_request_begin(conn, &head, used);
	else
		h1_request_refuse(conn, status);
	return true;
}

/* What TLS holds decrypted raises no event. */
static bool step_exchange(struct h1_conn *conn)
{
	if (h1_request_wants_body(conn) && !conn->read_eof && stream_has_buffered(&conn->stream)) {
		on_readable(conn);
		return true;
	}
	if (h1_request_wants_body(conn) && conn->read_eof) {
		h1_conn_close(conn);
		return false;
	}
	stream_expect_more(&conn->stream, false);
	if (h1_out_flush(&conn->out) == R_ERROR)
		h1_conn_close(conn);
	else if (conn->message.response != H1_RESPONSE_NONE)
		stream_release(&conn->stream);
	return false;
}

static bool step_tunnel(struct h1_conn *conn)
{
	bool more = h1_tunnel_step(conn);

	if (more)
		on_readable(conn);
	return more;
}

static bool step(struct h1_conn *conn)
{
	switch (conn->state) {
	case H1_IDLE:
	case H1_HEAD: return step_head(conn);
	case H1_EXCHANGE: return step_exchange(conn);
	case H1_TUNNEL: return step_tunnel(conn);
	case H1_FLUSH: return step_flush(conn);
	case H1_LOOKUP:
	case H1_LINGER:
	case H1_CLOSED: break;
	}
	return false;
}

void h1_conn_drive(struct h1_conn *conn)
{
	bool more = true;

	if (conn->driving || conn->state == H1_CLOSED)
		return;
	conn->driving = true;
	for (int i = 0; i < STEPS_AT_ONCE && more; i++)
		more = step(conn);
	conn->driving = false;
	if (conn->state == H1_CLOSED)
		return;
	if (more)
		loop_defer(conn->worker->loop, &conn->go_on_task);
	settle(conn);
}

/* Runs before closed_task, if both are queued: nothing is put off any more once the connection is closed. */
static void run_go_on(struct loop_task *task)
{
	h1_conn_drive(loop_owner(task, struct h1_conn, go_on_task));
}

/* ---- events */

static void on_writable(struct h1_conn *conn)
{
	if (!has_exchange(conn) || !conn->message.response_blocked)
		return;
	if (h1_out_flush(&conn->out) != R_OK)
		return;
	conn->message.response_blocked = false;
	exchange_resume(conn->request.exchange);
}

/* Of a tunnel that both sides have ended bytes may still be there to read. */
static bool takes_hangup(struct h1_conn *conn, uint32_t events)
{
	if (conn->state == H1_TUNNEL)
		return h1_tunnel_takes_hangup(conn, events);
	h1_conn_close(conn);
	return true;
}

static void on_ready(struct loop_io *io, uint32_t events)
{
	struct stream *stream = loop_owner(io, struct stream, io);
	struct h1_conn *conn = loop_owner(stream, struct h1_conn, stream);

	/* Both directions are gone; a half-close shows as the end of what can be read. */
	if ((events & (EPOLLERR | EPOLLHUP)) && takes_hangup(conn, events))
		return;
	on_writable(conn);
	if (conn->state == H1_LINGER)
		discard(conn);
	else if (conn->state != H1_CLOSED)
		on_readable(conn);
	h1_conn_drive(conn);
}

/* ---- for its owner */

static struct h1_conn *conn_of(struct http_conn *base)
{
	return loop_owner(base, struct h1_conn, base);
}

static void drain(struct http_conn *base)
{
	struct h1_conn *conn = conn_of(base);

	conn->draining = true;
	if (conn->state == H1_IDLE) {
		conn->wait = H1_WAIT_NOTHING; /* its first request may take less time from now on */
		read_some(conn);
	}
	h1_conn_drive(conn);
}

static void abort_now(struct http_conn *base)
{
	struct h1_conn *conn = conn_of(base);

	if (conn->state == H1_TUNNEL) {
		request_tunnel_ends(&conn->request, TUNNEL_DRAIN);
		h1_conn_cut(conn);
	} else if (conn->state == H1_EXCHANGE || conn->state == H1_FLUSH) {
		metric_add(h1_config(conn)->metrics.cuts[CUT_DRAIN], 1);
		h1_conn_cut(conn);
	} else {
		h1_conn_close(conn);
	}
}

static void on_challenge(struct http_conn *base, const struct challenge_reply *reply)
{
	struct h1_conn *conn = conn_of(base);

	if (conn->state == H1_LOOKUP)
		h1_request_challenge(conn, reply);
	h1_conn_drive(conn);
}

static void on_notice(struct http_conn *base, const struct notice_reply *reply)
{
	struct h1_conn *conn = conn_of(base);

	if (conn->state == H1_LOOKUP)
		h1_request_notice(conn, reply);
	h1_conn_drive(conn);
}

static const struct http_conn_kind kind = {
    .drain = drain,
    .abort = abort_now,
    .on_challenge = on_challenge,
    .on_notice = on_notice,
};

struct http_conn *h1_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner)
{
	struct h1_conn *conn = mem_alloc(sizeof *conn);

	conn->base.kind = &kind;
	conn->worker = worker;
	conn->stream = *stream;
	conn->stream.io.on_ready = on_ready;
	stream->io.fd = -1;
	client_init(&conn->client, worker, &conn->stream, peer);
	conn->on_closed = on_closed;
	conn->draining = worker->draining;
	conn->owner = owner;
	conn->closed_task.run = run_closed;
	conn->go_on_task.run = run_go_on;
	h1_deadlines_init(conn);
	buf_init(&conn->in, H1_IN_MAX);
	h1_out_init(&conn->out, &conn->stream);
	stream_allow_bare_end(&conn->stream);
	/* The first request has often come with the end of the handshake, and its response takes the ticket
	 * along. */
	if (!conn->stream.ssl || stream_has_buffered(&conn->stream))
		read_some(conn);
	h1_conn_drive(conn);
	if (conn->state != H1_EXCHANGE)
		stream_release(&conn->stream);
	return &conn->base;
}
