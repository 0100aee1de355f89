/*
 * What may be asked for:
 *
 *   load MODE ADDRESS PORT [name=value ...]
 *
 * full      connection, full handshake, one request, closed by the server; `connections` at a time
 * resumed   the same, each with the ticket of the one before
 * requests  keep-alive connections, one request after the other; with `rate` at that many a second
 * idle      opens the connections, one request each, says `idle`, and holds them until its input ends
 * h2        `streams` requests side by side on each connection, in HTTP/2; with `grpc=1` they are unary calls
 * h2-idle   as idle
 * tunnel    a WebSocket on each connection, messages of `body` bytes that come back, one after the other
 *
 * name (a %d in it counts up to `names`), tls (12, 13), connections, streams, count, warm (operations before
 * the count), path, size (of each response), body (of each request), rate, pids (a,b,c: whose CPU is read).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "load.h"

struct load_setup setup = {.name = "localhost",
    .path = "/",
    .tls = 13,
    .connections = 8,
    .streams = 1,
    .count = 1000,
    .warm = 0,
    .size = 1024,
    .names = 1};
struct load_run run;
const char load_zeros[LOAD_PIECE];

void die(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	va_end(list);
	exit(1);
}

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *client = SSL_get_app_data(ssl);

	SSL_SESSION_free(client->session);
	client->session = session;
	return 1;
}

static void make_context(void)
{
	int version = setup.tls == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	run.ctx = SSL_CTX_new(TLS_client_method());
	if (!run.ctx || !SSL_CTX_set_min_proto_version(run.ctx, version) ||
	    !SSL_CTX_set_max_proto_version(run.ctx, version) ||
	    !SSL_CTX_set1_groups_list(run.ctx, "X25519:P-256") ||
	    !SSL_CTX_set_ciphersuites(run.ctx, "TLS_AES_128_GCM_SHA256") ||
	    !SSL_CTX_set_cipher_list(run.ctx, "ECDHE-ECDSA-AES128-GCM-SHA256") ||
	    SSL_CTX_set_alpn_protos(run.ctx, setup.protocol->alpn, setup.protocol->alpn_size) != 0)
		die("OpenSSL refuses the client's settings");
	SSL_CTX_set_mode(run.ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(run.ctx, 1);
	SSL_CTX_set_verify(run.ctx, SSL_VERIFY_NONE, NULL);
	if (setup.resumes) {
		SSL_CTX_set_session_cache_mode(run.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(run.ctx, on_new_session);
	} else {
		SSL_CTX_set_session_cache_mode(run.ctx, SSL_SESS_CACHE_OFF);
	}
}

/* With a rate: a request that is due waits for a connection, and the wait counts. Returns how long until the
 * next is due. */
static int64_t send_due(int64_t start, long *sent)
{
	int64_t interval = INT64_C(1000000000) / setup.rate;
	int64_t due = start + *sent * interval;
	int64_t now = now_ns();

	while (due <= now && run.idle_count > 0) {
		struct client *client = run.idle[--run.idle_count];

		client->started = due;
		setup.protocol->go_on(client);
		connection_drive(client);
		due = start + ++*sent * interval;
	}
	return due > now ? due - now : INT64_C(1000000);
}

static void dispatch(const struct timespec *timeout)
{
	struct epoll_event events[256];
	int count = epoll_pwait2(run.epoll, events, 256, timeout, NULL);

	if (count < 0 && errno != EINTR)
		die("epoll_pwait2: %s", strerror(errno));
	if (count == 0 && !setup.rate)
		die("nothing happened for 20 s after %ld of %ld", run.done, setup.warm + setup.count);
	for (int i = 0; i < count; i++)
		connection_drive(events[i].data.ptr);
}

static void work(void)
{
	const struct timespec patience = {.tv_sec = 20};
	int64_t start = now_ns();
	long sent = 0;

	if (setup.warm == 0)
		count_start();
	while (!count_is_over()) {
		struct timespec timeout = patience;

		/* The first request of a connection comes with its handshake. */
		if (setup.rate && run.idle_count == setup.connections && sent == 0)
			start = now_ns();
		if (setup.rate && (sent > 0 || run.idle_count == setup.connections))
			timeout = (struct timespec){.tv_nsec = (long)send_due(start, &sent)};
		dispatch(&timeout);
	}
}

static int by_size(const void *one, const void *other)
{
	int32_t a = *(const int32_t *)one, b = *(const int32_t *)other;

	return (a > b) - (a < b);
}

static void report(void)
{
	double seconds = (double)(now_ns() - run.started) / 1e9;
	double cpu = (double)(servers_cpu() - run.cpu) / 1e3;

	qsort(run.latencies, (size_t)setup.count, sizeof *run.latencies, by_size);
	printf("done=%ld failed=%ld seconds=%.4f cpu_us=%.3f p50_us=%d p99_us=%d\n", setup.count, run.failed,
	    seconds, cpu / (double)setup.count, run.latencies[setup.count / 2],
	    run.latencies[setup.count * 99 / 100]);
	fflush(stdout);
}

static void hold_until_told(void)
{
	puts("idle");
	fflush(stdout);
	while (getchar() != EOF)
		;
}

static void read_pids(char *list)
{
	for (char *word = strtok(list, ","); word && setup.pid_count < LOAD_PIDS_MAX;
	     word = strtok(NULL, ","))
		setup.pids[setup.pid_count++] = atoi(word);
}

static void read_option(char *word)
{
	static const struct {
		const char *name;
		long *number;
	} numbers[] = {{"tls", &setup.tls}, {"connections", &setup.connections}, {"count", &setup.count},
	    {"warm", &setup.warm}, {"size", &setup.size}, {"body", &setup.body}, {"rate", &setup.rate},
	    {"names", &setup.names}, {"streams", &setup.streams}, {"grpc", &setup.grpc}};
	char *value = strchr(word, '=');

	if (!value)
		die("`%s` is no name=value", word);
	*value++ = '\0';
	if (strcmp(word, "name") == 0)
		setup.name = value;
	else if (strcmp(word, "path") == 0)
		setup.path = value;
	else if (strcmp(word, "pids") == 0)
		read_pids(value);
	else {
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
			if (strcmp(word, numbers[i].name) != 0)
				continue;
			*numbers[i].number = atol(value);
			return;
		}
		die("no setting `%s`", word);
	}
}

static void read_mode(void)
{
	static const struct {
		const char *mode;
		const struct protocol *protocol;
		bool closes, resumes, idles;
	} modes[] = {{"full", &load_http1, true, false, false}, {"resumed", &load_http1, true, true, false},
	    {"requests", &load_http1, false, false, false}, {"idle", &load_http1, false, false, true},
	    {"h2", &load_http2, false, false, false}, {"h2-idle", &load_http2, false, false, true},
	    {"tunnel", &load_tunnel, false, false, false}};

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(setup.mode, modes[i].mode) != 0)
			continue;
		setup.protocol = modes[i].protocol;
		setup.closes = modes[i].closes;
		setup.resumes = modes[i].resumes;
		setup.idles = modes[i].idles;
		return;
	}
	die("no mode `%s`", setup.mode);
}

static void read_arguments(int argc, char **argv)
{
	if (argc < 4)
		die("MODE ADDRESS PORT [name=value ...]");
	setup.mode = argv[1];
	setup.address =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
	if (inet_pton(AF_INET, argv[2], &setup.address.sin_addr) != 1)
		die("`%s` is no address", argv[2]);
	for (int i = 4; i < argc; i++)
		read_option(argv[i]);
	read_mode();
	if (setup.idles)
		setup.count = setup.connections;
	if (setup.streams < 1 || setup.streams > LOAD_STREAMS_MAX)
		die("1 to %d streams", LOAD_STREAMS_MAX);
	if (setup.connections < 1 || setup.connections > LOAD_CONNECTIONS_MAX || setup.count < 1)
		die("1 to %d connections, at least one operation", LOAD_CONNECTIONS_MAX);
}

int main(int argc, char **argv)
{
	read_arguments(argc, argv);
	run.epoll = epoll_create1(0);
	run.clients = calloc((size_t)setup.connections, sizeof *run.clients);
	run.idle = calloc((size_t)setup.connections, sizeof(struct client *));
	run.latencies = calloc((size_t)setup.count, sizeof *run.latencies);
	if (run.epoll < 0 || !run.clients || !run.idle || !run.latencies)
		die("out of memory");
	make_context();
	run.gate = setup.warm > 0 ? setup.warm : setup.count;
	setup.at_once = setup.idles && setup.connections > LOAD_AT_ONCE ? LOAD_AT_ONCE : setup.connections;
	while (run.opened < setup.at_once)
		connection_open_next();
	work();
	report();
	if (setup.idles)
		hold_until_told();
	return run.failed > 0;
}
