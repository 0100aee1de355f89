/* One check of a server whose bytes are passed on: what it says, and which answers count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "edge/conn/proxy_protocol.h"
#include "edge/tls/client_hello.h"
#include "edge/upstream/upstream_probe.h"
#include "tests/support/edge_loop.h"

enum { PATIENCE_MS = 20 * 1000 };

static struct {
	struct loop *loop;
	SSL_CTX *ctx;
	struct upstream_address *address;
	struct upstream_probe *probe;
	int door, server;
	enum upstream_failure failure;
	int done; /* how often on_done was called */
	bool is_well;
	unsigned char said[4096];
	size_t said_size;
} rig;

static int setup(void **state)
{
	struct net_address address = {.size = sizeof(struct sockaddr_in)};
	struct upstream_url url;
	char text[64];

	(void)state;
	memset(&rig, 0, sizeof rig);
	rig.server = -1;
	rig.loop = loop_new();
	rig.ctx = SSL_CTX_new(TLS_client_method());
	rig.door = socket(AF_INET, SOCK_STREAM, 0);
	address.storage.v4.sin_family = AF_INET;
	address.storage.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(rig.door, (struct sockaddr *)&address.storage, address.size), 0);
	assert_int_equal(listen(rig.door, 4), 0);
	assert_int_equal(getsockname(rig.door, (struct sockaddr *)&address.storage, &address.size), 0);
	snprintf(text, sizeof text, "http://127.0.0.1:%d", net_port(&address));
	assert_int_equal(upstream_url_parse(&url, text, NULL), R_OK);
	rig.address = upstream_address_new(&address, &url, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	upstream_probe_end(rig.probe);
	upstream_address_unref(rig.address);
	SSL_CTX_free(rig.ctx);
	loop_free(rig.loop);
	if (rig.server >= 0)
		close(rig.server);
	close(rig.door);
	return 0;
}

static void on_done(void *arg, bool is_well)
{
	(void)arg;
	rig.done++;
	rig.is_well = is_well;
	upstream_probe_end(rig.probe);
	rig.probe = NULL;
}

static void begin(enum upstream_probe_kind kind, bool proxy_v2, const char *name)
{
	rig.address->probe.kind = kind;
	rig.address->probe.proxy_v2 = proxy_v2;
	snprintf(rig.address->probe.name, sizeof rig.address->probe.name, "%s", name);
	rig.probe = upstream_probe_begin(rig.loop, rig.ctx, rig.address, &rig.failure, on_done, NULL);
}

static void wait_for(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
}

/* Until it has connected and said all that it says at once. */
static void server_hears(void)
{
	wait_for(rig.door);
	rig.server = accept(rig.door, NULL, NULL);
	loop_round(rig.loop);
	wait_for(rig.server);
	ssize_t got = recv(rig.server, rig.said, sizeof rig.said, 0);
	rig.said_size = got > 0 ? (size_t)got : 0;
}

static void wait_until_done(void)
{
	for (int i = 0; i < PATIENCE_MS && rig.done == 0; i++) {
		poll(NULL, 0, 1);
		loop_round(rig.loop);
	}
	assert_int_equal(rig.done, 1);
}

static void server_says(const char *bytes, size_t size)
{
	assert_int_equal(send(rig.server, bytes, size, MSG_NOSIGNAL), size);
}

static void assert_hello(const unsigned char *bytes, size_t size, const char *name)
{
	struct client_hello hello = {0};

	assert_int_equal(client_hello_parse(&hello, (const char *)bytes, size), R_OK);
	assert_int_equal(hello.server_name.size, strlen(name));
	if (name[0])
		assert_memory_equal(hello.server_name.bytes, name, strlen(name));
	client_hello_fini(&hello);
}

/* ---- what it says */

static void a_tls_check_says_a_hello_that_asks_for_the_name(void **state)
{
	(void)state;
	begin(UPSTREAM_PROBE_TLS, false, "mail.example.com");
	server_hears();
	assert_hello(rig.said, rig.said_size, "mail.example.com");
}

static void a_check_of_many_names_asks_for_none(void **state)
{
	(void)state;
	begin(UPSTREAM_PROBE_TLS, false, "");
	server_hears();
	assert_hello(rig.said, rig.said_size, "");
}

static void a_proxy_header_of_its_own_goes_before_the_hello(void **state)
{
	struct proxy_header header;
	enum proxy_problem problem;
	size_t used = 0;

	(void)state;
	begin(UPSTREAM_PROBE_TLS, true, "mail.example.com");
	server_hears();
	assert_int_equal(
	    proxy_header_parse(&header, (const char *)rig.said, rig.said_size, &used, &problem), R_OK);
	assert_true(header.local);
	assert_hello(rig.said + used, rig.said_size - used, "mail.example.com");
}

static void a_tcp_check_says_nothing(void **state)
{
	(void)state;
	begin(UPSTREAM_PROBE_TCP, false, "");
	wait_until_done();
	assert_true(rig.is_well);
	wait_for(rig.door);
	rig.server = accept(rig.door, NULL, NULL);
	assert_int_equal(recv(rig.server, rig.said, sizeof rig.said, 0), 0);
}

/* ---- which answers count */

static void check_answer(const char *bytes, size_t size, bool is_well)
{
	begin(UPSTREAM_PROBE_TLS, false, "mail.example.com");
	server_hears();
	server_says(bytes, size);
	wait_until_done();
	assert_int_equal(rig.is_well, is_well);
}

static void a_server_hello_is_an_answer(void **state)
{
	(void)state;
	check_answer("\x16\x03\x03\x00\x7a\x02\x00\x00\x76", 9, true);
}

static void an_alert_is_an_answer(void **state)
{
	(void)state;
	check_answer("\x15\x03\x03\x00\x02\x02\x70", 7, true);
}

static void http_is_no_answer(void **state)
{
	(void)state;
	check_answer("HTTP/1.1 400 Bad Request\r\n\r\n", 28, false);
}

static void another_message_of_a_handshake_is_no_answer(void **state)
{
	(void)state;
	check_answer("\x16\x03\x03\x00\x7a\x0b\x00\x00\x76", 9, false);
}

static void an_answer_may_come_byte_by_byte(void **state)
{
	const char answer[] = "\x16\x03\x03\x00\x7a\x02";

	(void)state;
	begin(UPSTREAM_PROBE_TLS, false, "");
	server_hears();
	for (size_t i = 0; i < sizeof answer - 1; i++) {
		assert_int_equal(rig.done, 0);
		server_says(answer + i, 1);
		loop_round(rig.loop);
	}
	wait_until_done();
	assert_true(rig.is_well);
}

static void an_end_before_the_answer_is_a_failure(void **state)
{
	(void)state;
	begin(UPSTREAM_PROBE_TLS, false, "");
	server_hears();
	server_says("\x16\x03\x03", 3);
	shutdown(rig.server, SHUT_WR);
	wait_until_done();
	assert_false(rig.is_well);
}

static void a_refused_connection_is_a_failure(void **state)
{
	(void)state;
	close(rig.door);
	rig.door = socket(AF_INET, SOCK_STREAM, 0);
	begin(UPSTREAM_PROBE_TCP, false, "");
	wait_until_done();
	assert_false(rig.is_well);
}

static void want_of_descriptors_is_told_from_a_server_that_fails(void **state)
{
	struct rlimit most, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &most), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = most.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	begin(UPSTREAM_PROBE_TLS, false, "");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &most), 0);
	assert_null(rig.probe);
	assert_int_equal(rig.failure, UPSTREAM_LOCAL);
	assert_int_equal(rig.done, 0);
}

static void one_that_is_ended_early_says_nothing(void **state)
{
	(void)state;
	begin(UPSTREAM_PROBE_TLS, false, "");
	server_hears();
	server_says("\x16\x03\x03\x00\x7a\x02", 6);
	upstream_probe_end(rig.probe);
	rig.probe = NULL;
	loop_round(rig.loop);
	assert_int_equal(rig.done, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    test(a_tls_check_says_a_hello_that_asks_for_the_name),
	    test(a_check_of_many_names_asks_for_none),
	    test(a_proxy_header_of_its_own_goes_before_the_hello),
	    test(a_tcp_check_says_nothing),
	    test(a_server_hello_is_an_answer),
	    test(an_alert_is_an_answer),
	    test(http_is_no_answer),
	    test(another_message_of_a_handshake_is_no_answer),
	    test(an_answer_may_come_byte_by_byte),
	    test(an_end_before_the_answer_is_a_failure),
	    test(a_refused_connection_is_a_failure),
	    test(want_of_descriptors_is_told_from_a_server_that_fails),
	    test(one_that_is_ended_early_says_nothing),
	};

	fake_clock_begin();
	return cmocka_run_group_tests_name("edge/upstream_probe", tests, NULL, NULL);
}
