/*
 * Asks an ask endpoint at a fixed rate, as edges do: plain HTTP/1.1 on connections that are kept, a name
 * each.
 *
 *   ask_load ADDRESS PORT RATE COUNT CONNECTIONS NAMES
 *
 * Name i of NAMES, chosen at random, is n<i>.bench.test; one in ten questions is about a name that nobody
 * has. The answers must be 200 and 403. A question's time runs from when it is due, so that waiting for a
 * free connection counts. Says p50, p99, p99.9 and the worst, in microseconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX = 2048, STRANGERS = 10, PATIENCE_MS = 20000 };

struct connection {
	int fd;
	bool expects_denial;
	int64_t due_ns;
	size_t got;
	char answer[ANSWER_MAX];
};

static struct run {
	int epoll;
	long rate, count, names, sent, done;
	struct connection connections[CONNECTIONS_MAX];
	struct connection *idle[CONNECTIONS_MAX];
	long idle_count;
	int64_t start_ns;
	int32_t *us;
} run;

static void die(const char *what)
{
	fprintf(stderr, "ask_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void open_connection(struct connection *connection, const struct sockaddr_in *address)
{
	int on = 1;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(connection->fd, (const struct sockaddr *)address, sizeof *address) != 0)
		die("connect");
	setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
		die("epoll_ctl");
	run.idle[run.idle_count++] = connection;
}

static void send_question(struct connection *connection, int64_t due_ns)
{
	char text[256];

	connection->expects_denial = random() % STRANGERS == 0;
	connection->due_ns = due_ns;
	connection->got = 0;
	int size = snprintf(text, sizeof text,
	    "GET /domains/verify?domain=%s%ld.bench.test HTTP/1.1\r\nHost: verifier\r\nUser-Agent: "
	    "postern-edge\r\nAccept: */*\r\n\r\n",
	    connection->expects_denial ? "stranger" : "n", random() % run.names);
	if (send(connection->fd, text, (size_t)size, MSG_NOSIGNAL) != size)
		die("send");
}

/* Returns how long until the next is due. */
static int64_t send_due(void)
{
	int64_t interval = INT64_C(1000000000) / run.rate;
	int64_t now = now_ns();
	int64_t due = run.start_ns + run.sent * interval;

	while (run.sent < run.count && due <= now && run.idle_count > 0) {
		send_question(run.idle[--run.idle_count], due);
		due = run.start_ns + ++run.sent * interval;
	}
	return due > now ? due - now : INT64_C(1000000);
}

/* Whole once its body is there: its length is in the head. */
static bool is_whole(const struct connection *connection)
{
	const char *body = strstr(connection->answer, "\r\n\r\n");
	const char *length = strcasestr(connection->answer, "\r\nContent-Length:");

	return body && length &&
	       connection->got >= (size_t)(body + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
}

static void take_answer(struct connection *connection)
{
	ssize_t got = recv(connection->fd, connection->answer + connection->got,
	    ANSWER_MAX - 1 - connection->got, MSG_DONTWAIT);

	if (got <= 0)
		die("the connection ended");
	connection->got += (size_t)got;
	connection->answer[connection->got] = '\0';
	if (!is_whole(connection))
		return;
	const char *expected = connection->expects_denial ? "HTTP/1.1 403" : "HTTP/1.1 200";
	if (strncmp(connection->answer, expected, strlen(expected)) != 0) {
		fprintf(stderr, "ask_load: %.60s, and not %s\n", connection->answer, expected);
		exit(1);
	}
	run.us[run.done++] = (int32_t)((now_ns() - connection->due_ns) / 1000);
	run.idle[run.idle_count++] = connection;
}

static int compare(const void *a, const void *b)
{
	return *(const int32_t *)a - *(const int32_t *)b;
}

static void report(void)
{
	qsort(run.us, (size_t)run.done, sizeof *run.us, compare);
	printf("%d %d %d %d\n", run.us[run.done / 2], run.us[run.done * 99 / 100],
	    run.us[run.done * 999 / 1000], run.us[run.done - 1]);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};

	if (argc != 7 || inet_pton(AF_INET, argv[1], &address.sin_addr) != 1) {
		fprintf(stderr, "usage: ask_load ADDRESS PORT RATE COUNT CONNECTIONS NAMES\n");
		return 2;
	}
	long connections = strtol(argv[5], NULL, 10);
	address.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
	run.rate = strtol(argv[3], NULL, 10);
	run.count = strtol(argv[4], NULL, 10);
	run.names = strtol(argv[6], NULL, 10);
	run.us = calloc((size_t)run.count, sizeof *run.us);
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (long i = 0; i < connections && i < CONNECTIONS_MAX; i++)
		open_connection(&run.connections[i], &address);
	run.start_ns = now_ns();
	while (run.done < run.count) {
		struct epoll_event events[256];
		struct timespec timeout = {.tv_nsec = (long)send_due()};
		int count = epoll_pwait2(run.epoll, events, 256, &timeout, NULL);

		if (now_ns() - run.start_ns >
		    run.count * INT64_C(1000000000) / run.rate + PATIENCE_MS * INT64_C(1000000))
			die("too slow");
		for (int i = 0; i < count; i++)
			take_answer(events[i].data.ptr);
	}
	report();
	return 0;
}
