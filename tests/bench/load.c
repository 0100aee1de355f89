/*
 * The benchmark's client: opens TLS connections to one server, checks every response, and tells what the
 * server's processes spent meanwhile. One thread, epoll, nothing but OpenSSL: it has to cost less than what
 * it measures.
 *
 *   load MODE ADDRESS PORT [name=value ...]
 *
 * full      connection, full handshake, one request, closed by the server; `connections` at a time
 * resumed   the same, each with the ticket of the one before
 * requests  keep-alive connections, one request after the other; with `rate` at that many a second
 * idle      opens the connections, one request each, says `idle`, and holds them until its input ends
 *
 * name (a %d in it counts up to `names`), tls (12, 13), connections, count, warm (operations before the
 * count), path, size (of each response), body (of each request), rate, pids (a,b,c: whose CPU is read).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	HEAD_MAX = 8192,
	PIECE = 64 * 1024,
	CONNECTIONS_MAX = 20000,
	FAILURES_MAX = 3,
	PIDS_MAX = 16,
	AT_ONCE = 32
};

enum step { STEP_HANDSHAKE, STEP_SEND, STEP_HEAD, STEP_BODY, STEP_END, STEP_IDLE };

struct client {
	int fd;
	SSL *ssl;
	SSL_SESSION *session; /* the newest ticket */
	bool offered;         /* one was, by this connection */
	enum step step;
	size_t sent;     /* of head and body */
	uint64_t left;   /* of the response's body */
	int64_t started; /* ns; with a rate: when it was due */
	char request[512];
	size_t request_size;
	char head[HEAD_MAX];
	size_t head_size;
};

static struct {
	const char *mode, *name, *path;
	struct sockaddr_in address;
	bool closes, resumes, idles;
	long at_once; /* idle: a few at a time, so that what handshakes need stays small */
	long tls, connections, count, warm, size, body, rate, names;
	int pids[PIDS_MAX];
	int pid_count;
} setup = {.name = "localhost",
    .path = "/",
    .tls = 13,
    .connections = 8,
    .count = 1000,
    .warm = 0,
    .size = 1024,
    .names = 1};

static struct {
	int epoll;
	SSL_CTX *ctx;
	struct client *clients;
	struct client **idle; /* with a rate: connections that have nothing to do */
	long idle_count, opened;
	long begun, gate; /* requests without a rate: how many may have begun */
	long connects, done, failed;
	int32_t *latencies; /* us */
	int64_t started, cpu;
} run;

static char zeros[PIECE];

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
	va_end(list);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- the server's CPU: the first number of each thread's schedstat, nanoseconds */

static int64_t thread_cpu(int pid, const char *thread)
{
	char path[300];
	long long spent = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, thread);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%lld", &spent) != 1)
		spent = 0;
	fclose(file);
	return spent;
}

static int64_t servers_cpu(void)
{
	int64_t sum = 0;

	for (int i = 0; i < setup.pid_count; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/task", setup.pids[i]);
		DIR *tasks = opendir(path);
		if (!tasks)
			die("process %d has gone", setup.pids[i]);
		for (struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks))
			if (entry->d_name[0] != '.')
				sum += thread_cpu(setup.pids[i], entry->d_name);
		closedir(tasks);
	}
	return sum;
}

/* ---- one connection */

static void forget(struct client *client)
{
	/* Otherwise the end of the connection would spoil the session of TLS 1.2. */
	if (client->ssl)
		SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(client->ssl);
	client->ssl = NULL;
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

static void prepare_request(struct client *client, const char *name)
{
	int size = snprintf(client->request, sizeof client->request,
	    "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: load\r\nAccept: */*\r\n", setup.body ? "POST" : "GET",
	    setup.path, name);

	if (setup.body)
		size += snprintf(client->request + size, sizeof client->request - (size_t)size,
		    "Content-Length: %ld\r\n", setup.body);
	size += snprintf(client->request + size, sizeof client->request - (size_t)size, "%s\r\n",
	    setup.closes ? "Connection: close\r\n" : "");
	client->request_size = (size_t)size;
}

static void begin_request(struct client *client)
{
	client->step = STEP_SEND;
	client->sent = client->head_size = 0;
}

static void open_connection(struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = client};
	char name[256];
	int one = 1;

	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		die("socket: %s", strerror(errno));
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	client->started = now_ns();
	if (connect(client->fd, (struct sockaddr *)&setup.address, sizeof setup.address) < 0 &&
	    errno != EINPROGRESS)
		die("connect: %s", strerror(errno));
	client->ssl = SSL_new(run.ctx);
	SSL_set_fd(client->ssl, client->fd);
	SSL_set_connect_state(client->ssl);
	SSL_set_app_data(client->ssl, client);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(name, sizeof name, setup.name, (int)(run.connects++ % setup.names));
#pragma GCC diagnostic pop
	SSL_set_tlsext_host_name(client->ssl, name);
	prepare_request(client, name);
	client->offered = client->session;
	if (client->offered)
		SSL_set_session(client->ssl, client->session);
	client->step = STEP_HANDSHAKE;
	if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void drive(struct client *client);

static void fail(struct client *client, const char *what)
{
	unsigned long code = ERR_peek_error();

	fprintf(stderr, "load: %s%s%s\n", what, code ? ": " : "", code ? ERR_reason_error_string(code) : "");
	ERR_clear_error();
	if (++run.failed >= FAILURES_MAX)
		die("%d failures", FAILURES_MAX);
	forget(client);
	open_connection(client);
}

static void start_count(void)
{
	run.started = now_ns();
	run.cpu = servers_cpu();
}

static void operation_done(struct client *client)
{
	if (run.done >= setup.warm && run.done < setup.warm + setup.count)
		run.latencies[run.done - setup.warm] = (int32_t)((now_ns() - client->started) / 1000);
	run.done++;
	if (run.done == setup.warm)
		start_count();
}

static void open_next(void)
{
	struct client *client = &run.clients[run.opened++];

	open_connection(client);
	drive(client);
}

static void rest(struct client *client)
{
	client->step = STEP_IDLE;
	run.idle[run.idle_count++] = client;
}

/* No more begin than are counted, nor before all that came before have ended: half a body at either end of
 * the count would be someone else's. */
static void begin_or_rest(struct client *client)
{
	if (run.begun == run.gate) {
		rest(client);
		return;
	}
	run.begun++;
	client->started = now_ns();
	begin_request(client);
}

static void open_gate(void)
{
	run.gate += setup.count;
	for (long left = run.idle_count; left > 0; left--) {
		struct client *client = run.idle[--run.idle_count];

		begin_or_rest(client);
		drive(client);
	}
}

static void next_operation(struct client *client)
{
	operation_done(client);
	if (setup.closes) {
		forget(client);
		open_connection(client);
	} else if (setup.rate || setup.idles) {
		rest(client);
		if (setup.idles && run.opened < setup.connections)
			open_next();
	} else {
		begin_or_rest(client);
		if (run.done == run.gate)
			open_gate();
	}
}

/* ---- its steps: true where another may be possible at once */

static bool is_blocked(struct client *client, int result)
{
	int error = SSL_get_error(client->ssl, result);

	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static bool step_handshake(struct client *client)
{
	int result = SSL_do_handshake(client->ssl);

	if (result != 1) {
		if (is_blocked(client, result))
			return false;
		fail(client, "handshake");
		return true;
	}
	if (client->offered && !SSL_session_reused(client->ssl)) {
		fail(client, "not resumed");
		return true;
	}
	if (setup.closes || setup.rate || setup.idles)
		begin_request(client);
	else
		begin_or_rest(client);
	return true;
}

static bool step_send(struct client *client)
{
	size_t total = client->request_size + (size_t)setup.body;
	bool in_head = client->sent < client->request_size;
	const char *bytes = in_head ? client->request + client->sent : zeros;
	size_t size = in_head ? client->request_size - client->sent : total - client->sent;
	size_t put = 0;

	int result = SSL_write_ex(client->ssl, bytes, size < PIECE ? size : PIECE, &put);
	if (result != 1) {
		if (is_blocked(client, result))
			return false;
		fail(client, "write");
		return true;
	}
	client->sent += put;
	if (client->sent == total)
		client->step = STEP_HEAD;
	return true;
}

static bool take_head(struct client *client)
{
	const char *field = NULL;

	client->head[client->head_size] = '\0';
	char *end = strstr(client->head, "\r\n\r\n");
	if (!end)
		return client->head_size < HEAD_MAX - 1;
	if (strncmp(client->head, "HTTP/1.1 200 ", 13) != 0)
		return false;
	field = strcasestr(client->head, "\r\ncontent-length:");
	if (!field || field > end || strtol(field + 17, NULL, 10) != setup.size)
		return false;
	size_t body = client->head_size - (size_t)(end + 4 - client->head);
	if (body > (size_t)setup.size)
		return false;
	client->left = (uint64_t)setup.size - body;
	client->step = STEP_BODY;
	return true;
}

static bool step_receive(struct client *client)
{
	static char piece[PIECE];
	bool in_head = client->step == STEP_HEAD;
	char *bytes = in_head ? client->head + client->head_size : piece;
	size_t room = in_head ? HEAD_MAX - 1 - client->head_size : PIECE;
	size_t got = 0;

	int result = SSL_read_ex(client->ssl, bytes, room, &got);
	if (result != 1 && is_blocked(client, result))
		return false;
	if (result != 1 && client->step == STEP_END) {
		ERR_clear_error();
		next_operation(client);
		return true;
	}
	if (result != 1 || client->step == STEP_END || (!in_head && got > client->left)) {
		fail(client, result != 1 ? "read" : "more than the response");
		return true;
	}
	if (in_head)
		client->head_size += got;
	else
		client->left -= got;
	if (in_head && !take_head(client)) {
		fprintf(stderr, "%.300s\n", client->head);
		fail(client, "not the response that was expected");
		return true;
	}
	if (client->step == STEP_BODY && client->left == 0) {
		client->step = STEP_END;
		if (!setup.closes)
			next_operation(client);
	}
	return true;
}

static bool is_over(void)
{
	return run.done >= setup.warm + setup.count;
}

static void drive(struct client *client)
{
	bool more = true;

	while (more && !is_over()) {
		switch (client->step) {
		case STEP_HANDSHAKE: more = step_handshake(client); break;
		case STEP_SEND: more = step_send(client); break;
		case STEP_HEAD:
		case STEP_BODY:
		case STEP_END: more = step_receive(client); break;
		case STEP_IDLE: more = false; break;
		}
	}
}

/* ---- all of them */

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
	static const unsigned char alpn[] = "\x08http/1.1";

	run.ctx = SSL_CTX_new(TLS_client_method());
	if (!run.ctx || !SSL_CTX_set_min_proto_version(run.ctx, version) ||
	    !SSL_CTX_set_max_proto_version(run.ctx, version) ||
	    !SSL_CTX_set1_groups_list(run.ctx, "X25519:P-256") ||
	    !SSL_CTX_set_ciphersuites(run.ctx, "TLS_AES_128_GCM_SHA256") ||
	    !SSL_CTX_set_cipher_list(run.ctx, "ECDHE-ECDSA-AES128-GCM-SHA256") ||
	    SSL_CTX_set_alpn_protos(run.ctx, alpn, sizeof alpn - 1) != 0)
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
		begin_request(client);
		drive(client);
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
		drive(events[i].data.ptr);
}

static void work(void)
{
	const struct timespec patience = {.tv_sec = 20};
	int64_t start = now_ns();
	long sent = 0;

	if (setup.warm == 0)
		start_count();
	while (!is_over()) {
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
	for (char *word = strtok(list, ","); word && setup.pid_count < PIDS_MAX; word = strtok(NULL, ","))
		setup.pids[setup.pid_count++] = atoi(word);
}

static void read_option(char *word)
{
	static const struct {
		const char *name;
		long *number;
	} numbers[] = {{"tls", &setup.tls}, {"connections", &setup.connections}, {"count", &setup.count},
	    {"warm", &setup.warm}, {"size", &setup.size}, {"body", &setup.body}, {"rate", &setup.rate},
	    {"names", &setup.names}};
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
	setup.resumes = strcmp(setup.mode, "resumed") == 0;
	setup.closes = setup.resumes || strcmp(setup.mode, "full") == 0;
	setup.idles = strcmp(setup.mode, "idle") == 0;
	if (setup.idles)
		setup.count = setup.connections;
	if (setup.connections < 1 || setup.connections > CONNECTIONS_MAX || setup.count < 1)
		die("1 to %d connections, at least one operation", CONNECTIONS_MAX);
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
	setup.at_once = setup.idles && setup.connections > AT_ONCE ? AT_ONCE : setup.connections;
	while (run.opened < setup.at_once)
		open_next();
	work();
	report();
	if (setup.idles)
		hold_until_told();
	return run.failed > 0;
}
