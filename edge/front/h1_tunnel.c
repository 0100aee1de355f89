/*
 * An HTTP/1.1 connection behind a 101 (RFC 9110 section 7.8): what the client sends goes to the upstream as
 * it is and the other way round, until both have ended their direction.
 */
#include <sys/epoll.h>

#include "edge/front/h1_conn_state.h"

void h1_tunnel_open(struct h1_conn *conn, struct http_head *head)
{
	struct h1_message *message = &conn->message;

	message->response = H1_RESPONSE_BEGUN;
	message->framing = HTTP_BODY_TUNNEL;
	message->keep_alive = false;
	message->sent = false;
	conn->state = H1_TUNNEL;
	stream_probe(&conn->stream.io);
	h1_write_response(&conn->out.buf, head, HTTP_BODY_TUNNEL, "upgrade");
}

static void send_some(struct h1_conn *conn)
{
	size_t size = buf_size(&conn->in);
	size_t taken = exchange_send(conn->request.exchange, buf_bytes(&conn->in), size);

	buf_consume(&conn->in, taken);
	conn->request.bytes_in += taken;
	conn->message.body_blocked = taken < size;
	if (taken > 0)
		request_tunnel_moved(&conn->request, taken, 0);
}

void h1_tunnel_pump(struct h1_conn *conn)
{
	bool has_more = buf_size(&conn->in) > 0 && !conn->message.body_blocked;

	if (has_more)
		send_some(conn);
	if (buf_size(&conn->in) == 0) {
		buf_fini(&conn->in);
		if (conn->read_eof && !conn->message.sent) {
			has_more = conn->message.sent = true;
			exchange_send_end(conn->request.exchange, NULL);
		}
	}
	if (has_more)
		exchange_flush(conn->request.exchange);
}

static void end(struct h1_conn *conn)
{
	h1_request_end(conn, true);
	h1_conn_close(conn);
}

/* All that there is for the client is with its socket. */
static void rest(struct h1_conn *conn)
{
	struct h1_message *message = &conn->message;

	buf_fini(&conn->out.buf);
	stream_release(&conn->stream);
	if (message->response == H1_RESPONSE_BEGUN)
		return;
	if (message->response == H1_RESPONSE_WHOLE)
		stream_shutdown(&conn->stream);
	message->response = H1_RESPONSE_SHUT;
	if (message->sent && exchange_has_sent_all(conn->request.exchange))
		end(conn);
}

bool h1_tunnel_step(struct h1_conn *conn)
{
	h1_tunnel_pump(conn);
	if (h1_tunnel_wants_read(conn) && stream_has_buffered(&conn->stream))
		return true;
	stream_expect_more(&conn->stream, false);
	switch (h1_out_flush(&conn->out)) {
	case R_OK: rest(conn); break;
	case R_AGAIN: break;
	default: h1_conn_close(conn);
	}
	return false;
}

bool h1_tunnel_wants_read(const struct h1_conn *conn)
{
	return !conn->read_eof && !conn->message.body_blocked;
}

bool h1_tunnel_takes_hangup(struct h1_conn *conn, uint32_t events)
{
	if (h1_tunnel_wants_read(conn))
		return false;
	if (events & EPOLLERR)
		h1_conn_close(conn);
	else
		loop_unwatch(conn->stream.loop, &conn->stream.io);
	return true;
}
