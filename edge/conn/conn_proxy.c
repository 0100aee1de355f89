/*
 * Connections behind a load balancer that speaks the PROXY protocol: its header is read off the socket to the
 * last byte and not one further, so that what follows is read by whoever comes next as if it stood first.
 */
#include "edge/conn/conn_internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "edge/conn/proxy_protocol.h"
#include "edge/edge_metrics.h"

/* Closed without a word: neither side has begun with TLS or HTTP. */
static void refuse(struct conn *conn, const char *cause)
{
	cause_counter_add(&conn->worker->metrics->refused, cause);
	conn_free(conn);
}

void conn_proxy_begin(struct conn *conn)
{
	const struct trust *trust = &conn->worker->config->trust;

	if (!ip_ranges_contain(&trust->proxies, &conn->client)) {
		refuse(conn, "proxy_untrusted");
		return;
	}
	conn_enter(conn, CONN_PROXY, trust->proxy_timeout_ms);
	if (loop_watch(conn->worker->loop, &conn->stream.io, EPOLLIN) != R_OK)
		conn_free(conn);
}

static void finish(struct conn *conn, const struct proxy_header *header)
{
	if (!header->local) {
		conn->client = header->source;
		conn->opening->local = header->destination;
	}
	buf_fini(&conn->opening->received);
	conn_start_client(conn);
}

/* Takes off the socket what has been looked at. */
static bool take(struct conn *conn, size_t size)
{
	return recv(conn->stream.io.fd, conn->worker->scratch, size, 0) == (ssize_t)size;
}

/* `looked` bytes at the end of `received` are in the socket still. */
static void parse(struct conn *conn, size_t looked)
{
	struct proxy_header header;
	enum proxy_problem problem;
	size_t used = 0;
	size_t before = buf_size(&conn->opening->received) - looked;
	enum result result = proxy_header_parse(&header, buf_bytes(&conn->opening->received),
	    buf_size(&conn->opening->received), &used, &problem);

	if (result == R_INVALID)
		refuse(conn, proxy_problem_name(problem));
	else if (!take(conn, result == R_OK ? used - before : looked))
		refuse(conn, "client_left");
	else if (result == R_OK)
		finish(conn, &header);
}

/* A bare connect and close is a health check's way to knock. */
static void on_end(struct conn *conn)
{
	if (buf_size(&conn->opening->received) > 0)
		refuse(conn, "client_left");
	else
		conn_free(conn);
}

void conn_proxy_on_ready(struct conn *conn, uint32_t events)
{
	size_t room = PROXY_HEADER_MAX - buf_size(&conn->opening->received);

	(void)events;
	ssize_t looked = recv(conn->stream.io.fd, conn->worker->scratch, room, MSG_PEEK);
	if (looked < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (looked <= 0) {
		on_end(conn);
		return;
	}
	enum result result = buf_append(&conn->opening->received, conn->worker->scratch, (size_t)looked);
	if (result == R_OK)
		parse(conn, (size_t)looked);
	else
		refuse(conn, proxy_problem_name(PROXY_TOO_LONG));
}

void conn_proxy_on_deadline(struct conn *conn)
{
	refuse(conn, "proxy_timeout");
}
