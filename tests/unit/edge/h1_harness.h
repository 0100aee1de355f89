/*
 * A client, an h1_conn on a real loop and a scripted origin, all in the test's own thread over loopback TCP.
 * The clock is the real one plus what the test adds.
 */
#ifndef TESTS_H1_HARNESS_H
#define TESTS_H1_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "edge/conn/conn.h"
#include "edge/front/h1_conn.h"
#include "edge/http/h2_slots.h"
#include "edge/http/request_id.h"
#include "edge/http_config.h"
#include "edge/upstream/upstream_pool.h"

enum { SEEN_MAX = 1024 * 1024, PATIENCE_ROUNDS = 4000 };

/* What one side has received so far. */
struct seen {
	int fd;
	char *bytes;
	size_t size;
	bool eof;
	bool reset;
};

static struct harness {
	struct loop *loop;
	struct edge edge;
	struct worker worker;
	struct http_config *config;
	struct edge_config edge_config;
	struct http_conn *conn;
	struct http_conn *(*new_conn)(struct worker *worker, struct stream *stream,
	    const struct conn_peer *peer, void (*on_closed)(void *owner), void *owner);
	bool is_closed;
	int listener;
	struct net_address origin_address;
	struct seen client;
	struct seen origin;
	struct loop_timer stop;
	bool shows_own; /* what the client sees has Date and X-Request-Id of the edge's making, too */
	/* what the fake challenge store was asked and told */
	enum result challenge_result;
	char asked_name[256];
	char asked_token[300];
	uint64_t asked_connection;
	int64_t marked;
	enum result notice_result; /* R_OK: the test will answer */
	char noticed_name[256];
} rig;

static int64_t skew_us;

static inline int64_t skewed_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000 + skew_us;
}

/* ---- fakes at the seams: the real ones would bring the database along */

enum result challenges_find(struct challenges *challenges, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, int32_t stream,
    enum challenge_type type, const char *name, const char *token)
{
	(void)challenges, (void)mailbox, (void)deliver, (void)stream;
	assert_int_equal(type, CHALLENGE_HTTP);
	snprintf(rig.asked_name, sizeof rig.asked_name, "%s", name);
	snprintf(rig.asked_token, sizeof rig.asked_token, "%s", token);
	rig.asked_connection = connection;
	return rig.challenge_result;
}

void challenges_mark_seen(struct challenges *challenges, int64_t id)
{
	(void)challenges;
	rig.marked = id;
}

void conn_deliver_challenge(struct message *message, void *worker)
{
	(void)message, (void)worker;
}

enum result notices_find(struct notices *notices, struct mailbox *mailbox,
    void (*deliver)(struct message *message, void *receiver), uint64_t connection, const char *name)
{
	(void)notices, (void)mailbox, (void)deliver;
	assert_int_equal(connection, 77);
	snprintf(rig.noticed_name, sizeof rig.noticed_name, "%s", name);
	return rig.notice_result;
}

void conn_deliver_notice(struct message *message, void *worker)
{
	(void)message, (void)worker;
}

/* ---- what is different in each response and the same in every test */

#define OWN_DATE "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
#define OWN_ID "X-Request-Id: 0123456789abcdef0123456789abcdef\r\n"

static inline int64_t standing_wall_ms(void)
{
	return 1700000000000;
}

void request_id_make(char out[REQUEST_ID_MADE + 1])
{
	strcpy(out, "0123456789abcdef0123456789abcdef");
}

static inline void cut_out(char *bytes, size_t *size, const char *line)
{
	char *at = NULL;

	while ((at = memmem(bytes, *size, line, strlen(line)))) {
		memmove(at, at + strlen(line), *size - (size_t)(at - bytes) - strlen(line) + 1);
		*size -= strlen(line);
	}
}

static inline void cut_out_own(char *bytes, size_t *size)
{
	cut_out(bytes, size, OWN_DATE);
	cut_out(bytes, size, OWN_ID);
}

/* ---- the loop, a moment at a time */

static inline void on_stop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(rig.loop);
}

static inline void turn(void)
{
	rig.stop.on_expire = on_stop;
	loop_timer_set(rig.loop, &rig.stop, 1);
	loop_run(rig.loop);
	loop_timer_clear(rig.loop, &rig.stop);
}

static inline void turns(int count)
{
	for (int i = 0; i < count; i++)
		turn();
}

static inline void time_passes(int64_t ms)
{
	skew_us += ms * 1000;
	turns(3);
}

/* ---- sockets */

static inline int listen_anywhere(struct net_address *address)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(fd, 64), 0);
	address->size = sizeof any;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address->storage, &address->size), 0);
	return fd;
}

static inline int connect_to(const struct net_address *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&address->storage, address->size), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline void seen_reset(struct seen *seen, int fd)
{
	if (seen->fd >= 0)
		close(seen->fd);
	free(seen->bytes);
	*seen = (struct seen){.fd = fd, .bytes = calloc(1, SEEN_MAX + 1)};
}

static inline void look(struct seen *seen)
{
	while (seen->fd >= 0 && !seen->eof && !seen->reset && seen->size < SEEN_MAX) {
		ssize_t got = recv(seen->fd, seen->bytes + seen->size, SEEN_MAX - seen->size, 0);

		if (got < 0 && errno == EAGAIN)
			return;
		seen->eof = got == 0;
		seen->reset = got < 0;
		seen->size += got > 0 ? (size_t)got : 0;
		seen->bytes[seen->size] = '\0';
		if (seen == &rig.client && !rig.shows_own)
			cut_out_own(seen->bytes, &seen->size);
	}
}

static inline void give(struct seen *side, const char *bytes, size_t size)
{
	size_t given = 0;

	for (int i = 0; i < PATIENCE_ROUNDS && given < size; i++) {
		ssize_t put = send(side->fd, bytes + given, size - given, MSG_NOSIGNAL);

		if (put > 0)
			given += (size_t)put;
		else
			turn();
	}
	assert_int_equal(given, size);
}

static inline void say(struct seen *side, const char *bytes)
{
	give(side, bytes, strlen(bytes));
}

static inline void forget(struct seen *side)
{
	side->size = 0;
	side->bytes[0] = '\0';
}

/* ---- the rig */

static inline void on_conn_closed(void *owner)
{
	(void)owner;
	rig.is_closed = true;
	rig.conn = NULL;
}

/* The visit is over, however far it has come. */
static inline void leave(void)
{
	if (rig.conn)
		http_conn_abort(rig.conn);
	turns(2);
	assert_null(rig.conn);
}

static inline struct http_config *plain_config(void)
{
	struct http_config *config = calloc(1, sizeof *config);

	config->header_timeout_ms = 10000;
	config->idle_timeout_ms = 60000;
	config->body_timeout_ms = 30000;
	config->write_timeout_ms = 30000;
	for (int i = 0; i < HTTP_CLASS_COUNT; i++)
		config->metrics.requests[i] = metrics_counter("postern_requests_total",
		    (const char *[]){"c=\"0\"", "c=\"1\"", "c=\"2\"", "c=\"3\"", "c=\"4\"", "c=\"5\""}[i],
		    "x");
	for (int i = 0; i < HTTP_VERSIONS; i++)
		config->metrics.versions[i] = metrics_counter("postern_versions_total", NULL, "x");
	for (int i = 0; i < H2_END_COUNT; i++) {
		char label[16];

		snprintf(label, sizeof label, "c=\"%d\"", i);
		config->metrics.h2_ends[i] = metrics_counter("postern_h2_ends_total", label, "x");
	}
	for (int i = 0; i < HTTP_CUT_COUNT; i++)
		config->metrics.cuts[i] = metrics_counter("postern_cuts_total", NULL, "x");
	config->metrics.h2_malformed = metrics_counter("postern_h2_malformed_total", NULL, "x");
	config->metrics.h2_refused = metrics_counter("postern_h2_refused_total", NULL, "x");
	config->metrics.request_seconds = metrics_histogram("postern_seconds", NULL, "x");
	config->metrics.head_seconds = metrics_histogram("postern_head_seconds", NULL, "x");
	config->metrics.connect_seconds = metrics_histogram("postern_connect_seconds", NULL, "x");
	config->metrics.first_byte_seconds = metrics_histogram("postern_first_seconds", NULL, "x");
	config->metrics.refused_address = metrics_counter("postern_refused_address_total", NULL, "x");
	config->metrics.refused_body = metrics_counter("postern_refused_body_total", NULL, "x");
	config->metrics.shed = metrics_counter("postern_shed_total", NULL, "x");
	config->metrics.bytes_in = metrics_counter("postern_in_total", NULL, "x");
	config->metrics.bytes_out = metrics_counter("postern_out_total", NULL, "x");
	config->tunnel_idle_timeout_ms = 3600 * 1000;
	config->metrics.tunnels = metrics_gauge("postern_tunnels", NULL, "x");
	for (int i = 0; i < TUNNEL_END_COUNT; i++)
		config->metrics.tunnel_ends[i] = metrics_counter("postern_tunnels_ended_total",
		    (const char *[]){"e=\"0\"", "e=\"1\"", "e=\"2\"", "e=\"3\"", "e=\"4\"", "e=\"5\""}[i],
		    "x");
	config->metrics.tunnel_bytes_in = metrics_counter("postern_tunnel_in_total", NULL, "x");
	config->metrics.tunnel_bytes_out = metrics_counter("postern_tunnel_out_total", NULL, "x");
	config->metrics.tunnel_seconds = metrics_histogram("postern_tunnel_seconds", NULL, "x");
	return config;
}

/* What a test has changed of it counts from upstreams_configure on. */
static inline struct upstream_config *plain_upstream_config(void)
{
	struct upstream_config *config = calloc(1, sizeof *config);

	atomic_init(&config->references, 1);
	config->connect_ms = 5000;
	config->first_byte_ms = config->idle_ms = 60000;
	config->resolve_ms = config->health_ms = config->slow_start_ms = 10000;
	return config;
}

static inline void add_upstream(struct upstream_config *config, const struct net_address *address)
{
	char text[NET_ADDRESS_TEXT];
	char url[NET_ADDRESS_TEXT + 8];

	snprintf(url, sizeof url, "http://%s", net_format_address(address, text));
	assert_int_equal(upstream_url_parse(&config->urls[config->url_count++], url, NULL), R_OK);
}

/* The origin is one of two upstreams, `other` the one that is chosen first. */
static inline void another_upstream_comes_first(const struct net_address *other)
{
	struct upstream_config *config = plain_upstream_config();
	unsigned version = 0;

	add_upstream(config, &rig.origin_address);
	add_upstream(config, other);
	upstreams_configure(rig.edge.upstreams, config);
	upstream_config_unref(config);
	struct upstream_group *group = upstreams_group(rig.edge.upstreams, NULL);
	struct upstream_members *members = upstreams_members(rig.edge.upstreams, group, &version);
	assert_int_equal(members->count, 2);
	atomic_store(&members->addresses[0]->outstanding, 1000);
	upstream_members_unref(members);
	upstreams_group_unref(rig.edge.upstreams, group);
}

/* Connections kept for later requests, to whatever address. */
static inline int64_t harness_idle_upstreams(void)
{
	return metric_get(upstreams_metrics(rig.edge.upstreams)->idle);
}

static inline int harness_setup(void **state)
{
	(void)state;
	clock_replace(skewed_us, standing_wall_ms);
	memset(&rig, 0, sizeof rig);
	rig.client.fd = rig.origin.fd = -1;
	rig.loop = loop_new();
	rig.config = plain_config();
	rig.listener = listen_anywhere(&rig.origin_address);
	rig.config->upstream = plain_upstream_config();
	add_upstream(rig.config->upstream, &rig.origin_address);
	rig.edge.upstreams = upstreams_new(rig.config->upstream);
	rig.edge_config.http = rig.config;
	rig.edge_config.limits.max_memory = INT64_MAX;
	rig.worker.config = &rig.edge_config;
	rig.edge_config.trust.https_port = 443;
	rig.notice_result = R_LIMIT;
	rig.new_conn = h1_conn_new;
	rig.worker.scratch = calloc(1, WORKER_SCRATCH);
	rig.worker.h2_slots = h2_slots_new();
	rig.edge.sites = site_cache_new(1024 * 1024, 16);
	rig.worker.edge = &rig.edge;
	rig.worker.loop = rig.loop;
	rig.worker.upstreams = upstream_pool_new(rig.loop, rig.edge.upstreams, NULL);
	return 0;
}

static inline int harness_teardown(void **state)
{
	(void)state;
	leave();
	upstream_pool_free(rig.worker.upstreams);
	turns(2);
	upstreams_free(rig.edge.upstreams);
	upstream_config_unref(rig.config->upstream);
	seen_reset(&rig.client, -1);
	seen_reset(&rig.origin, -1);
	free(rig.client.bytes);
	free(rig.origin.bytes);
	close(rig.listener);
	error_pages_fini(&rig.config->pages);
	free(rig.config);
	free(rig.worker.scratch);
	h2_slots_free(rig.worker.h2_slots);
	site_cache_free(rig.edge.sites);
	loop_free(rig.loop);
	clock_replace(NULL, NULL);
	return 0;
}

/* A client at the edge's door: behind a handshake for a.example, or on port 80. `send_buffer` 0: the
 * kernel's. */
static inline void visit_with(bool tls, int send_buffer)
{
	struct net_address address = {.size = 0};
	leave();
	int door = listen_anywhere(&address);
	struct conn_peer peer = {.id = 77, .tls = tls, .sni = ""};
	struct stream stream;

	seen_reset(&rig.client, connect_to(&address));
	int fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int one = 1;

	close(door);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (send_buffer > 0) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
		setsockopt(rig.client.fd, SOL_SOCKET, SO_RCVBUF, &send_buffer, sizeof send_buffer);
	}
	net_parse_address(&peer.client, "192.0.2.7:1234", NULL);
	if (tls)
		peer.sni = "a.example";
	stream_init(&stream, rig.loop, fd, NULL);
	rig.is_closed = false;
	rig.conn = rig.new_conn(&rig.worker, &stream, &peer, on_conn_closed, NULL);
}

static inline void visit(void)
{
	visit_with(true, 0);
}

static inline void expect_all(struct seen *side, const char *who, const char *expected)
{
	for (int i = 0; i < PATIENCE_ROUNDS; i++) {
		look(side);
		if (side->size >= strlen(expected) || side->eof || side->reset)
			break;
		turn();
	}
	if (strcmp(side->bytes, expected) != 0)
		fail_msg("%s expected:\n%s\nand got:\n%s", who, expected, side->bytes);
	forget(side);
}

static inline void client_gets(const char *expected)
{
	expect_all(&rig.client, "the client", expected);
}

static inline void origin_gets(const char *expected)
{
	expect_all(&rig.origin, "the origin", expected);
}

/* Reads on until `ending` is the end of what has come. */
static inline void expect_ending(struct seen *side, const char *ending)
{
	size_t size = strlen(ending);

	for (int i = 0; i < PATIENCE_ROUNDS; i++) {
		look(side);
		if (side->size >= size && memcmp(side->bytes + side->size - size, ending, size) == 0)
			return;
		if (side->eof || side->reset)
			break;
		turn();
	}
	fail_msg("expected an end in:\n%s\nand got:\n%s", ending, side->bytes);
}

static inline void expect_closed(struct seen *side, const char *who)
{
	for (int i = 0; i < PATIENCE_ROUNDS && !side->eof && !side->reset; i++) {
		turn();
		look(side);
	}
	if (!side->eof && !side->reset)
		fail_msg("%s: still open; last seen:\n%s", who, side->bytes);
}

/* A generated page of that status came, and nothing of what the client had sent is in it. */
static inline void client_gets_page(int status)
{
	char line[32];

	snprintf(line, sizeof line, "HTTP/1.1 %d ", status);
	for (int i = 0; i < PATIENCE_ROUNDS; i++) {
		look(&rig.client);
		if (strstr(rig.client.bytes, "\r\n\r\n") || rig.client.eof || rig.client.reset)
			break;
		turn();
	}
	if (strncmp(rig.client.bytes, line, strlen(line)) != 0)
		fail_msg("expected %d, got:\n%s", status, rig.client.bytes);
}

static inline void origin_accepts(void)
{
	int fd = -1;

	for (int i = 0; i < PATIENCE_ROUNDS && fd < 0; i++) {
		turn();
		fd = accept4(rig.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	assert_true(fd >= 0);
	int one = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	seen_reset(&rig.origin, fd);
}

static inline bool nobody_connects(void)
{
	turns(5);
	return accept4(rig.listener, NULL, NULL, SOCK_CLOEXEC) < 0;
}

/* A listener whose queue is full: what connects to it hangs. */
static inline int blackhole(struct net_address *address, int fillers[2])
{
	int fd = listen_anywhere(address);

	listen(fd, 0);
	for (int i = 0; i < 2; i++) {
		fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fillers[i], (const struct sockaddr *)&address->storage, address->size);
	}
	return fd;
}

static inline void reset_connection(struct seen *side)
{
	const struct linger reset = {.l_onoff = 1};

	setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	close(side->fd);
	side->fd = -1;
}

static inline void hang_up(struct seen *side)
{
	close(side->fd);
	side->fd = -1;
}

static inline void store_site(const char *name)
{
	struct certificate certificate = {.chain_count = 1, .chain_size = {4}, .not_after = INT64_MAX};
	struct hostname hostname;

	snprintf(hostname.text, sizeof hostname.text, "%s", name);
	certificate.chain[0] = calloc(1, 4);
	struct site *site = site_new(
	    &hostname, (struct site_stamp){1, 0}, &certificate, "key", 3, NULL, &(struct domain_options){0});
	assert_int_equal(site_cache_put(rig.edge.sites, site), R_OK);
	site_unref(site);
}

#define H "Host: a.example\r\n"
#define ID "0123456789abcdef0123456789abcdef"
#define XF_FROM(client, id) \
	"X-Forwarded-For: " client "\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n" \
	"X-Forwarded-Port: 443\r\nX-Real-IP: " client "\r\n" \
	"Forwarded: for=" client ";host=a.example;proto=https\r\nX-Request-Id: " id "\r\n"
#define XF XF_FROM("192.0.2.7", ID)
#define GET(path) "GET " path " HTTP/1.1\r\n" H "\r\n"
#define FORWARDED(path) "GET " path " HTTP/1.1\r\n" H XF "\r\n"
#define rig_test(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

#endif
