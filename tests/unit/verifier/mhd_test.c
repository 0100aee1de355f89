/* The HTTP server as its peers see it: whole requests only, bodies bounded, an end that lets requests finish.
 */
#include "verifier/http/mhd.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"

struct bench {
	struct mhd_server *server;
	pthread_t resumer;
	_Atomic(struct MHD_Connection *) suspended; /* the one that waits */
	atomic_int dropped;
	unsigned short port;
	atomic_int entered; /* /slow requests that began */
	atomic_bool release;
};

static void *resume_later(void *arg)
{
	struct bench *bench = arg;
	while (!bench->release)
		usleep(1000);
	mhd_resume(bench->suspended);
	return NULL;
}

/* Waits without holding the server's one thread. */
static void suspend(struct bench *bench, const struct mhd_request *request)
{
	mhd_request_suspend(request, bench);
	bench->suspended = request->connection;
	bench->entered++;
	assert_int_equal(pthread_create(&bench->resumer, NULL, resume_later, bench), 0);
}

static void on_drop(void *arg, void *waited_for)
{
	struct bench *bench = arg;
	assert_ptr_equal(waited_for, bench);
	bench->dropped++;
}

/* Says what it got; /slow and /later do so only when they are released. */
static void on_request(void *arg, const struct mhd_request *request, struct mhd_reply *reply)
{
	struct bench *bench = arg;
	if (strcmp(request->path, "/later") == 0 && !request->waited_for) {
		suspend(bench, request);
		return;
	}
	if (strcmp(request->path, "/slow") == 0) {
		bench->entered++;
		while (!bench->release)
			usleep(1000);
	}
	const char *query = mhd_request_query(request, "q");
	char text[300];
	snprintf(text, sizeof text, "%s %s q=%s body=%zu%s\n", request->method, request->path,
	    query ? query : "-", buf_size(&request->body), request->too_large ? " too large" : "");
	reply->status = 200;
	reply->type = "text/plain";
	reply->body = strdup(text);
	reply->size = strlen(text);
	mhd_reply_header(reply, "X-Test", "%d", 7);
}

static int start(void **state, bool thread_per_connection)
{
	struct bench *bench = calloc(1, sizeof *bench);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct error error = {""};
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 64), 0);
	getsockname(fd, (struct sockaddr *)&address, &size);
	bench->port = ntohs(address.sin_port);
	struct mhd_options options = {.fd = fd,
	    .thread_per_connection = thread_per_connection,
	    .connections = 64,
	    .handle = on_request,
	    .drop = thread_per_connection ? NULL : on_drop,
	    .arg = bench};
	if (mhd_server_start(&bench->server, &options, &error) != R_OK)
		fail_msg("%s", error.text);
	*state = bench;
	return 0;
}

static int set_up(void **state)
{
	return start(state, true);
}

static int set_up_one_thread(void **state)
{
	return start(state, false);
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	bench->release = true;
	mhd_server_stop(bench->server);
	free(bench);
	return 0;
}

static int dial(const struct bench *bench)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(bench->port)};
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	size_t size = strlen(text);
	assert_int_equal(send(fd, text, size, MSG_NOSIGNAL), size);
}

/* Until the server closes; static, so for one answer at a time. */
static const char *hear(int fd)
{
	static char text[8192];
	size_t size = 0;
	ssize_t got;
	while (size < sizeof text - 1 && (got = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0)
		size += (size_t)got;
	text[size] = '\0';
	close(fd);
	return text;
}

static void answers(void **state, const char *request, const char *expected)
{
	int fd = dial(*state);
	say(fd, request);
	const char *answer = hear(fd);
	if (!strstr(answer, expected))
		fail_msg("%s\n-- does not hold --\n%s", answer, expected);
}

#define END "Host: x\r\nConnection: close\r\n\r\n"

static void request_arrives_whole(void **state)
{
	answers(state, "GET /a%20b?q=1%262 HTTP/1.1\r\n" END, "GET /a b q=1&2 body=0\n");
	answers(state, "POST /x HTTP/1.1\r\nContent-Length: 5\r\n" END "hello", "POST /x q=- body=5\n");
	answers(state,
	    "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
	    "body=5\n");
	answers(state, "GET / HTTP/1.1\r\n" END, "X-Test: 7");
	answers(state, "GET / HTTP/1.1\r\n" END, "X-Content-Type-Options: nosniff");
}

static void head_has_no_body(void **state)
{
	int fd = dial(*state);
	say(fd, "HEAD / HTTP/1.1\r\n" END);
	const char *answer = hear(fd);
	assert_non_null(strstr(answer, " 200 "));
	assert_null(strstr(answer, "GET /"));
}

static void body_over_the_limit_is_told_before_it_is_sent(void **state)
{
	answers(state, "POST / HTTP/1.1\r\nContent-Length: 65537\r\n" END, "body=0 too large");
	answers(state, "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" END, "HTTP/1.1 ");
}

static void chunked_body_over_the_limit_is_cut(void **state)
{
	enum { CHUNK = 65536 };
	struct bench *bench = *state;
	char *chunk = malloc(CHUNK + 1);
	memset(chunk, 'x', CHUNK);
	chunk[CHUNK] = '\0';
	int fd = dial(bench);
	say(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END);
	for (int i = 0; i < 2; i++) {
		say(fd, "10000\r\n");
		say(fd, chunk);
		say(fd, "\r\n");
	}
	say(fd, "0\r\n\r\n");
	assert_non_null(strstr(hear(fd), "too large"));
	free(chunk);
}

static void encoded_nul_is_refused(void **state)
{
	answers(state, "GET /a%00b HTTP/1.1\r\n" END, " 400 ");
	answers(state, "GET /a?q=1%00 HTTP/1.1\r\n" END, " 400 ");
}

static void slow_handler_delays_no_other_connection(void **state)
{
	enum { SLOW = 50 };
	struct bench *bench = *state;
	int slow[SLOW];
	for (int i = 0; i < SLOW; i++) {
		slow[i] = dial(bench);
		say(slow[i], "GET /slow HTTP/1.1\r\n" END);
	}
	while (bench->entered < SLOW)
		usleep(1000);
	int64_t start = clock_monotonic_ms();
	answers(state, "GET /quick HTTP/1.1\r\n" END, "/quick");
	assert_in_range(clock_monotonic_ms() - start, 0, 10000);
	bench->release = true;
	for (int i = 0; i < SLOW; i++)
		assert_non_null(strstr(hear(slow[i]), "/slow"));
}

static void *stop_server(void *arg)
{
	struct bench *bench = arg;
	mhd_server_stop(bench->server);
	return NULL;
}

/* Is the port closed to newcomers yet? */
static bool refuses(const struct bench *bench)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(bench->port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refused = connect(fd, (struct sockaddr *)&address, sizeof address) != 0;
	close(fd);
	return refused;
}

static void stop_lets_requests_finish(void **state)
{
	struct bench *bench = *state;
	pthread_t stopper;
	int fd = dial(bench);
	say(fd, "GET /slow HTTP/1.1\r\n" END);
	while (!bench->entered)
		usleep(1000);
	assert_int_equal(pthread_create(&stopper, NULL, stop_server, bench), 0);
	while (!refuses(bench))
		usleep(1000);
	bench->release = true;
	assert_non_null(strstr(hear(fd), "/slow"));
	pthread_join(stopper, NULL);
	free(bench);
}

static void one_thread_answers_others_while_a_request_is_suspended(void **state)
{
	struct bench *bench = *state;
	int fd = dial(bench);
	say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	while (!bench->entered)
		usleep(1000);
	answers(state, "GET /now HTTP/1.1\r\n" END, "GET /now");
	bench->release = true;
	/* The connection is kept. */
	pthread_join(bench->resumer, NULL);
	say(fd, "GET /again HTTP/1.1\r\n" END);
	const char *both = hear(fd);
	const char *first = strstr(both, "GET /later");
	assert_non_null(first);
	assert_non_null(strstr(first, "GET /again"));
	assert_int_equal(bench->dropped, 1);
}

static void what_was_waited_for_is_dropped_though_the_client_has_left(void **state)
{
	struct bench *bench = *state;
	struct linger at_once = {.l_onoff = 1};
	int fd = dial(bench);
	say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
	while (!bench->entered)
		usleep(1000);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close(fd);
	bench->release = true;
	pthread_join(bench->resumer, NULL);
	int64_t until = clock_monotonic_ms() + 10000;
	while (!bench->dropped && clock_monotonic_ms() < until)
		usleep(1000);
	assert_int_equal(bench->dropped, 1);
	answers(state, "GET /now HTTP/1.1\r\n" END, "GET /now");
}

int main(void)
{
#define bench_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    bench_test(request_arrives_whole),
	    bench_test(head_has_no_body),
	    bench_test(body_over_the_limit_is_told_before_it_is_sent),
	    bench_test(chunked_body_over_the_limit_is_cut),
	    bench_test(encoded_nul_is_refused),
	    bench_test(slow_handler_delays_no_other_connection),
	    cmocka_unit_test_setup(stop_lets_requests_finish, set_up),
	    cmocka_unit_test_setup_teardown(
		one_thread_answers_others_while_a_request_is_suspended, set_up_one_thread, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_was_waited_for_is_dropped_though_the_client_has_left, set_up_one_thread, tear_down),
	};
	return cmocka_run_group_tests_name("mhd", tests, NULL, NULL);
}
