#include "verifier/dns/dns_server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/net/net.h"
#include "common/pg/pg.h"
#include "verifier/dns/dns_answer.h"

enum {
	QUERY_MS = 1000,
	CONNECTIONS_MAX = 32,
	CONNECTION_MS = 5000,
	UDP_PER_SECOND = 1000,
	UDP_AT_ONCE = 64,
	NS_MAX = 8,
	LENGTH = 2, /* leads each message over TCP (RFC 1035 section 4.2.2) */
};

/* Reads one query, writes one answer, ends. */
struct connection {
	int fd; /* -1: free */
	int64_t deadline_ms;
	uint8_t in[LENGTH + DNS_QUERY_MAX];
	size_t in_size;
	uint8_t *out; /* with its length; NULL: still reading */
	size_t out_size;
	size_t out_sent;
};

struct dns_server {
	struct dns_sockets sockets;
	int wake_fd;
	pthread_t thread;
	struct pg *pg;
	struct dns_zone *zone;
	struct connection connections[CONNECTIONS_MAX];
	int64_t second; /* of the count */
	int in_second;
	struct metric *udp, *tcp, *dropped;
};

enum result dns_server_bind(struct dns_sockets *out, const struct settings *settings, struct error *error)
{
	const char *text = settings_string(settings, "dns-listen");
	struct net_address address;
	*out = (struct dns_sockets){-1, -1};
	if (!text)
		return R_OK;
	enum result result = net_parse_address(&address, text, error);
	if (result == R_OK)
		result = net_listen(&out->tcp, &address, false, error);
	/* Port 0 has become one, which is to be the same for both. */
	if (result == R_OK)
		result = net_local_address(out->tcp, &address, error);
	if (result != R_OK) {
		error_prefix(error, "dns-listen");
		return R_INVALID;
	}
	out->udp = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (out->udp >= 0 && bind(out->udp, (struct sockaddr *)&address.storage, address.size) == 0) {
		char shown[NET_ADDRESS_TEXT];
		log_info("listening", log_str("setting", "dns-listen"),
		    log_str("address", net_format_address(&address, shown)));
		return R_OK;
	}
	error_set(error, "dns-listen: %s: %s", text, strerror(errno));
	return R_ERROR;
}

/* dns_zone's find. What is read may be seconds old on no machine: it is the primary. */
static enum result find(void *arg, const char *label, struct dns_texts *out)
{
	struct dns_server *server = arg;
	PGresult *rows = NULL;
	struct error error = {""};
	enum result result = pg_wait_ready(server->pg, QUERY_MS, &error);
	if (result == R_OK)
		result = pg_run(server->pg, QUERY_MS, &rows, &error,
		    "SELECT digest FROM challenges WHERE type = 'dns-01' AND label = $1"
		    " AND expires_at > clock_timestamp() ORDER BY id DESC LIMIT 8",
		    pg_text(label));
	for (int row = 0; result == R_OK && row < PQntuples(rows) && out->count < DNS_TEXTS_MAX; row++)
		snprintf(out->texts[out->count++], DNS_TEXT_SIZE, "%s", pg_get(rows, row, 0));
	PQclear(rows);
	if (result != R_OK)
		return R_DOWN;
	return out->count > 0 ? R_OK : R_NONE;
}

/* ---- UDP ---- */

static bool is_within_rate(struct dns_server *server)
{
	int64_t second = clock_monotonic_ms() / 1000;
	if (second != server->second)
		server->in_second = 0;
	server->second = second;
	return server->in_second++ < UDP_PER_SECOND;
}

static void serve_udp(struct dns_server *server)
{
	for (int i = 0; i < UDP_AT_ONCE; i++) {
		struct sockaddr_storage peer;
		socklen_t peer_size = sizeof peer;
		uint8_t query[DNS_QUERY_MAX];
		size_t answer_size = 0;
		ssize_t size = recvfrom(server->sockets.udp, query, sizeof query, MSG_TRUNC,
		    (struct sockaddr *)&peer, &peer_size);
		if (size < 0)
			return;
		bool fits = (size_t)size <= sizeof query;
		uint8_t *answer = fits && is_within_rate(server)
				      ? dns_answer(server->zone, query, (size_t)size, false, &answer_size)
				      : NULL;
		metric_add(answer ? server->udp : server->dropped, 1);
		if (answer)
			sendto(
			    server->sockets.udp, answer, answer_size, 0, (struct sockaddr *)&peer, peer_size);
		free(answer);
	}
}

/* ---- TCP ---- */

static void end_connection(struct connection *connection)
{
	close(connection->fd);
	free(connection->out);
	connection->fd = -1;
	connection->out = NULL;
}

/* One that is above the limit is closed: the oldest would be as good a victim, but may be a CA's. */
static void accept_connection(struct dns_server *server)
{
	int fd = accept4(server->sockets.tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &server->connections[i];
		if (connection->fd >= 0)
			continue;
		connection->fd = fd;
		connection->deadline_ms = clock_monotonic_ms() + CONNECTION_MS;
		connection->in_size = connection->out_sent = connection->out_size = 0;
		return;
	}
	metric_add(server->dropped, 1);
	close(fd);
}

static bool send_answer(struct connection *connection)
{
	ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
	    connection->out_size - connection->out_sent, MSG_NOSIGNAL);
	if (sent < 0)
		return errno == EAGAIN;
	connection->out_sent += (size_t)sent;
	return connection->out_sent < connection->out_size;
}

static bool make_answer(struct dns_server *server, struct connection *connection, size_t wanted)
{
	size_t size = 0;
	uint8_t *answer = dns_answer(server->zone, connection->in + LENGTH, wanted, true, &size);
	if (!answer)
		return false;
	connection->out = mem_alloc(LENGTH + size);
	connection->out[0] = (uint8_t)(size >> 8);
	connection->out[1] = (uint8_t)size;
	memcpy(connection->out + LENGTH, answer, size);
	connection->out_size = LENGTH + size;
	free(answer);
	metric_add(server->tcp, 1);
	return send_answer(connection);
}

/* False: it is over. */
static bool serve_connection(struct dns_server *server, struct connection *connection)
{
	if (connection->out)
		return send_answer(connection);
	ssize_t size = recv(connection->fd, connection->in + connection->in_size,
	    sizeof connection->in - connection->in_size, 0);
	if (size <= 0)
		return size < 0 && errno == EAGAIN;
	connection->in_size += (size_t)size;
	if (connection->in_size < LENGTH)
		return true;
	size_t wanted = (size_t)connection->in[0] << 8 | connection->in[1];
	if (wanted > DNS_QUERY_MAX)
		return false;
	return connection->in_size - LENGTH < wanted || make_answer(server, connection, wanted);
}

/* ---- the thread ---- */

static int list_polled(struct dns_server *server, struct pollfd fds[3 + CONNECTIONS_MAX], int which[])
{
	int count = 0;
	fds[count++] = (struct pollfd){.fd = server->wake_fd, .events = POLLIN};
	fds[count++] = (struct pollfd){.fd = server->sockets.udp, .events = POLLIN};
	fds[count++] = (struct pollfd){.fd = server->sockets.tcp, .events = POLLIN};
	for (int i = 0; i < CONNECTIONS_MAX; i++) {
		const struct connection *connection = &server->connections[i];
		if (connection->fd < 0)
			continue;
		which[count] = i;
		fds[count++] =
		    (struct pollfd){.fd = connection->fd, .events = connection->out ? POLLOUT : POLLIN};
	}
	return count;
}

static void end_late(struct dns_server *server)
{
	int64_t now = clock_monotonic_ms();
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (server->connections[i].fd >= 0 && server->connections[i].deadline_ms <= now)
			end_connection(&server->connections[i]);
}

static void *run(void *arg)
{
	struct dns_server *server = arg;
	struct pollfd fds[3 + CONNECTIONS_MAX];
	int which[3 + CONNECTIONS_MAX];
	for (;;) {
		int count = list_polled(server, fds, which);
		if (poll(fds, (nfds_t)count, 1000) < 0 && errno != EINTR)
			log_error("the DNS server cannot wait", log_str("error", strerror(errno)));
		if (fds[0].revents)
			return NULL;
		for (int i = 3; i < count; i++)
			if (fds[i].revents && !serve_connection(server, &server->connections[which[i]]))
				end_connection(&server->connections[which[i]]);
		if (fds[1].revents)
			serve_udp(server);
		if (fds[2].revents)
			accept_connection(server);
		end_late(server);
	}
}

static enum result make_zone(struct dns_server *server, const struct settings *settings, struct error *error)
{
	struct hostname zone;
	struct hostname servers[NS_MAX];
	const char *ns[NS_MAX];
	size_t count = settings_count(settings, "dns-ns");
	const char *text = settings_string(settings, "dns-zone");
	bool is_good =
	    text && count >= 1 && count <= NS_MAX && hostname_parse(&zone, text, strlen(text)) == HOSTNAME_OK;
	for (size_t i = 0; is_good && i < count; i++) {
		const char *name = settings_string_at(settings, "dns-ns", i);
		is_good = hostname_parse(&servers[i], name, strlen(name)) == HOSTNAME_OK;
		ns[i] = servers[i].text;
	}
	if (is_good)
		return dns_zone_new(&server->zone, zone.text, ns, count, find, server, error);
	error_set(error,
	    "dns-listen needs dns-zone, the name of the zone that is delegated here, and dns-ns, 1 to %d "
	    "names "
	    "of its servers",
	    NS_MAX);
	return R_INVALID;
}

static void free_server(struct dns_server *server)
{
	close(server->sockets.udp);
	close(server->sockets.tcp);
	if (server->wake_fd >= 0)
		close(server->wake_fd);
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		if (server->connections[i].fd >= 0)
			end_connection(&server->connections[i]);
	dns_zone_free(server->zone);
	pg_free(server->pg);
	free(server);
}

static void make_metrics(struct dns_server *server)
{
	static const char name[] = "postern_verifier_dns_queries_total";
	server->udp =
	    metrics_counter(name, "result=\"udp\"", "Queries to dns-listen, by how they were answered.");
	server->tcp = metrics_counter(name, "result=\"tcp\"", NULL);
	server->dropped = metrics_counter(name, "result=\"dropped\"", NULL);
}

enum result dns_server_start(struct dns_server **out, const struct settings *settings,
    const struct dns_sockets *sockets, struct error *error)
{
	if (sockets->udp < 0)
		return R_OK;
	struct dns_server *server = mem_alloc(sizeof *server);
	server->sockets = *sockets;
	for (int i = 0; i < CONNECTIONS_MAX; i++)
		server->connections[i].fd = -1;
	server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	server->pg = pg_new(settings_string(settings, "database"), "postern-verifier-dns");
	make_metrics(server);
	enum result result = make_zone(server, settings, error);
	if (result == R_OK &&
	    (server->wake_fd < 0 || pthread_create(&server->thread, NULL, run, server) != 0)) {
		error_set(error, "cannot start the DNS server's thread: %s", strerror(errno));
		result = R_ERROR;
	}
	if (result != R_OK) {
		free_server(server);
		return result;
	}
	*out = server;
	return R_OK;
}

void dns_server_stop(struct dns_server *server)
{
	if (!server)
		return;
	eventfd_write(server->wake_fd, 1);
	pthread_join(server->thread, NULL);
	free_server(server);
}
