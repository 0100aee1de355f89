/* One connection: TCP, TLS, and that what it does next is its protocol's. */
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

void connection_forget(struct client *client)
{
	if (setup.protocol->forget)
		setup.protocol->forget(client);
	/* Otherwise the end of the connection would spoil the session of TLS 1.2. */
	if (client->ssl)
		SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client->ssl);
	client->ssl = NULL;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

static void open_socket(struct client *client)
{
	int one = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	client->started = now_ns();
	if (connect(client->fd, (struct sockaddr *)&setup.address, sizeof setup.address) < 0 &&
	    errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
}

static void open_tls(struct client *client)
{
	client->ssl = SSL_new(run.ctx);
	SSL_set_fd(client->ssl, client->fd);
	SSL_set_connect_state(client->ssl);
	SSL_set_app_data(client->ssl, client);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(client->name, sizeof client->name, setup.name, (int)(run.connects++ % setup.names));
#pragma GCC diagnostic pop
	SSL_set_tlsext_host_name(client->ssl, client->name);
	client->offered = client->session;
	if (client->offered)
		SSL_set_session(client->ssl, client->session);
}

void connection_open(struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = client};

	open_socket(client);
	open_tls(client);
	client->in_handshake = true;
	if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

void connection_open_next(void)
{
	struct client *client = &run.clients[run.opened++];

	connection_open(client);
	connection_drive(client);
}

void connection_fail(struct client *client, const char *what)
{
	unsigned long code = ERR_peek_error();

	fprintf(stderr, "load: %s%s%s\n", what, code ? ": " : "", code ? ERR_reason_error_string(code) : "");
	ERR_clear_error();
	if (++run.failed >= LOAD_FAILURES_MAX)
		die("%d failures", LOAD_FAILURES_MAX);
	connection_forget(client);
	connection_open(client);
}

static int outcome(struct client *client, int result)
{
	if (result == 1)
		return 1;
	int error = SSL_get_error(client->ssl, result);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

int connection_write(struct client *client, const void *bytes, size_t size, size_t *put)
{
	return outcome(client, SSL_write_ex(client->ssl, bytes, size, put));
}

int connection_read(struct client *client, void *bytes, size_t size, size_t *got)
{
	return outcome(client, SSL_read_ex(client->ssl, bytes, size, got));
}

void connection_rest(struct client *client)
{
	client->step = STEP_IDLE;
	run.idle[run.idle_count++] = client;
}

static bool speaks_protocol(struct client *client)
{
	const unsigned char *chosen = NULL;
	unsigned size = 0;

	SSL_get0_alpn_selected(client->ssl, &chosen, &size);
	return setup.protocol != &load_http2 || (size == 2 && memcmp(chosen, "h2", 2) == 0);
}

static bool step_handshake(struct client *client)
{
	int result = outcome(client, SSL_do_handshake(client->ssl));

	if (result == 0)
		return false;
	client->in_handshake = false;
	if (result < 0)
		connection_fail(client, "handshake");
	else if (client->offered && !SSL_session_reused(client->ssl))
		connection_fail(client, "not resumed");
	else if (!speaks_protocol(client))
		connection_fail(client, "the server does not speak HTTP/2");
	else
		setup.protocol->start(client);
	return true;
}

void connection_drive(struct client *client)
{
	bool more = true;

	while (more && !count_is_over())
		more = client->in_handshake ? step_handshake(client) : setup.protocol->step(client);
}
