/* The admin listener over real sockets: three pages, two methods, a bound on connections. */
#include "common/daemon/admin.h"

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
#include <sys/time.h>

#include <cmocka.h>

#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/net/net.h"

static struct admin *admin;
static _Atomic bool ready;
static char answer[200000];

static bool is_ready(void *arg, char *reason, size_t size)
{
	snprintf(reason, size, "no database: %s", (const char *)arg);
	return ready;
}

static int start(void **state)
{
	(void)state;
	static char arg[] = "connecting";
	const struct admin_hooks hooks = {.ready = is_ready, .arg = arg};
	struct error error;
	alarm(60);
	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, STDERR_FILENO);
	ready = true;
	return admin_start(&admin, "127.0.0.1:0", &hooks, &error) == R_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	admin_stop(admin);
	admin = NULL;
	alarm(0);
	return 0;
}

static int connect_to_admin(void)
{
	struct net_address address;
	assert_int_equal(net_parse_address(&address, admin_address(admin), NULL), R_OK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address.storage, address.size), 0);
	return fd;
}

/* Sends bytes, reads until the other side closes; returns the status. */
static int exchange_bytes(const char *request, size_t size)
{
	int fd = connect_to_admin();
	assert_int_equal(send(fd, request, size, MSG_NOSIGNAL), size);
	size_t used = 0;
	for (ssize_t got; (got = recv(fd, answer + used, sizeof answer - 1 - used, 0)) > 0;)
		used += (size_t)got;
	answer[used] = '\0';
	close(fd);
	int status = 0;
	sscanf(answer, "HTTP/1.1 %d", &status);
	return status;
}

static int ask(const char *method, const char *path, const char *more)
{
	char request[4096];
	int size = snprintf(request, sizeof request,
	    "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", method, path, more);
	return exchange_bytes(request, (size_t)size);
}

static const char *body(void)
{
	const char *end = strstr(answer, "\r\n\r\n");
	assert_non_null(end);
	return end + 4;
}

static void a_living_process_is_healthy(void **state)
{
	(void)state;
	ready = false;
	assert_int_equal(ask("GET", "/healthz", ""), 200);
	assert_string_equal(body(), "ok\n");
}

static void readiness_says_why_not(void **state)
{
	(void)state;
	assert_int_equal(ask("GET", "/readyz", ""), 200);
	assert_string_equal(body(), "ok\n");
	ready = false;
	assert_int_equal(ask("GET", "/readyz", ""), 503);
	assert_string_equal(body(), "no database: connecting\n");
}

static void metrics_are_shown_as_prometheus_wants_them(void **state)
{
	(void)state;
	metric_add(metrics_counter("postern_admin_test_total", NULL, "Test."), 3);
	assert_int_equal(ask("GET", "/metrics", ""), 200);
	assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(strstr(body(), "\npostern_admin_test_total 3\n"));
	assert_non_null(strstr(body(), "\npostern_process_resident_memory_bytes "));
	assert_int_equal(ask("GET", "/metrics?from=prometheus", ""), 200);
}

static void head_has_no_body(void **state)
{
	(void)state;
	assert_int_equal(ask("HEAD", "/healthz", ""), 200);
	assert_non_null(strstr(answer, "Content-Length: 3\r\n"));
	assert_string_equal(body(), "");
	assert_int_equal(ask("HEAD", "/nothing", ""), 404);
}

static void other_methods_are_refused(void **state)
{
	(void)state;
	static const char *const methods[] = {"PUT", "DELETE", "OPTIONS", "BREW", "get"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		assert_int_equal(ask(methods[i], "/metrics", ""), 405);
		assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
	}
	assert_int_equal(ask("POST", "/metrics", "Content-Length: 5\r\n"), 405);
	assert_int_equal(ask("POST", "/nothing", "Transfer-Encoding: chunked\r\n"), 405);
}

static void other_paths_are_not_found(void **state)
{
	(void)state;
	static const char *const paths[] = {
	    "/", "/metrics/", "/Metrics", "//metrics", "/healthz/..", "/%00", "/debug"};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		assert_int_equal(ask("GET", paths[i], ""), 404);
}

static void nonsense_harms_nobody(void **state)
{
	(void)state;
	static char endless[60000];
	memset(endless, 'a', sizeof endless);
	memcpy(endless, "GET /", 5);
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n";
	assert_int_not_equal(exchange_bytes(hello, sizeof hello - 1), 200);
	assert_int_equal(ask("GET", "/healthz", "Content-Length: -1\r\n"), 400);
	int fd = connect_to_admin();
	send(fd, endless, sizeof endless, MSG_NOSIGNAL);
	close(fd);
	assert_int_equal(ask("GET", "/healthz", ""), 200);
}

/* Silent connections take the places up; one that goes leaves its place to the next. */
static void connections_are_bounded(void **state)
{
	(void)state;
	enum { MANY = 40, BOUND = 32 };
	int fds[MANY], refused = 0;
	for (int i = 0; i < MANY; i++)
		fds[i] = connect_to_admin();
	const struct timeval patience = {.tv_sec = 1};
	for (int i = MANY - 1; i >= BOUND; i--) {
		char byte = 0;
		setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		send(fds[i], "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 34, MSG_NOSIGNAL);
		refused += recv(fds[i], &byte, 1, 0) <= 0;
		if (refused > 0)
			break;
	}
	assert_int_equal(refused, 1);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
	int status = 0;
	for (int i = 0; i < 1000 && status != 200; i++)
		status = ask("GET", "/healthz", "");
	assert_int_equal(status, 200);
}

static void an_address_in_use_is_an_error_with_its_setting(void **state)
{
	(void)state;
	struct admin *second = NULL;
	struct error error;
	assert_int_equal(admin_start(&second, admin_address(admin), NULL, &error), R_ERROR);
	assert_null(second);
	assert_non_null(strstr(error.text, "admin-listen: cannot listen on 127.0.0.1:"));
	assert_int_equal(admin_start(&second, "nonsense", NULL, &error), R_INVALID);
	admin_stop(second);
}

static void without_hooks_it_is_ready(void **state)
{
	(void)state;
	struct error error;
	admin_stop(admin);
	assert_int_equal(admin_start(&admin, "127.0.0.1:0", NULL, &error), R_OK);
	assert_int_equal(ask("GET", "/readyz", ""), 200);
}

#define with_admin(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    with_admin(a_living_process_is_healthy),
	    with_admin(readiness_says_why_not),
	    with_admin(metrics_are_shown_as_prometheus_wants_them),
	    with_admin(head_has_no_body),
	    with_admin(other_methods_are_refused),
	    with_admin(other_paths_are_not_found),
	    with_admin(nonsense_harms_nobody),
	    with_admin(connections_are_bounded),
	    with_admin(an_address_in_use_is_an_error_with_its_setting),
	    with_admin(without_hooks_it_is_ready),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
