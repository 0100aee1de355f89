/*
 * A stream that becomes a WebSocket (RFC 8441): what the client sends waits until the upstream has agreed,
 * and then DATA goes both ways, until each side has ended its own.
 */
#include "edge/front/h2_conn_state.h"

bool h2_tunnel_may_send(const struct h2_stream *stream)
{
	bool is_passing = !stream->is_over && stream->request.state == REQUEST_EXCHANGE;

	return is_passing && (!stream->asks_tunnel || stream->request.tunnel);
}

/* Section 5: 200 is what says here that it has opened, and what belongs to HTTP/1.1's way stays there. */
void h2_tunnel_open(struct h2_stream *stream, struct http_head *head)
{
	stream->request.status = head->status = 200;
	http_head_remove(head, "sec-websocket-accept");
	http_head_remove(head, "upgrade");
	stream_probe(&stream->conn->stream.io);
}

void h2_tunnel_settle(struct h2_stream *stream)
{
	bool is_over = stream->request.tunnel && stream->is_whole && stream->sent_end &&
		       exchange_has_sent_all(stream->request.exchange);

	if (is_over && !stream->is_over)
		h2_stream_over(stream);
}
