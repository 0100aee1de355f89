#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "edge/http/forward.h"
#include "edge/http/h1_parse.h"
#include "edge/http/upgrade.h"

#define GET "GET /chat HTTP/1.1\r\nHost: a.example\r\n"

/* What this request asks for; empty: nothing. */
static void expect_asked(const char *request, const char *expected)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	size_t used = 0;
	int status = 0;

	if (h1_parse_request(&head, &scan, request, strlen(request), &used, &status) != R_OK)
		fail_msg("%s\nrefused with %d", request, status);
	upgrade_read(&head);
	bool is_right = expected[0] ? http_slice_equal(head.upgrade, expected) : head.upgrade.size == 0;
	if (!is_right)
		fail_msg("%s\nasks for `%.*s', not `%s'", request, (int)head.upgrade.size, head.upgrade.bytes,
		    expected);
}

static void a_request_asks_by_connection_and_upgrade(void **state)
{
	(void)state;
	expect_asked(GET "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "websocket");
	expect_asked(GET "connection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\n\r\n", "WebSocket");
	expect_asked(GET "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n", "tcp");
	expect_asked(GET "Connection: Upgrade\r\nUpgrade: a/1, b/2.0\r\n\r\n", "a/1, b/2.0");
	expect_asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: upgrade\r\n"
		     "Upgrade: x\r\n\r\n",
	    "x");
}

static void half_a_question_is_none(void **state)
{
	(void)state;
	expect_asked(GET "Upgrade: websocket\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\n\r\n", "");
	expect_asked(GET "Connection: keep-alive\r\nUpgrade: websocket\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade:\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: ,\r\n\r\n", "");
}

static void a_malformed_question_is_none(void **state)
{
	(void)state;
	expect_asked(GET "Connection: upgrade\r\nUpgrade: web socket\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: websocket/\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: /1\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: a/1/2\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: a;b\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: a, b, c, d, e\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: "
			 "a123456789012345678901234567890123456789012345678901234567890123456\r\n\r\n",
	    "");
}

static void http_in_a_tunnel_is_not_asked_for(void **state)
{
	(void)state;
	expect_asked(GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: H2C\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: h2\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: h3\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: https\r\n\r\n", "");
	expect_asked(GET "Connection: upgrade\r\nUpgrade: TLS/1.2, x\r\n\r\n", "");
}

static void who_sends_a_body_or_http_1_0_asks_for_nothing(void **state)
{
	(void)state;
	expect_asked("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: upgrade\r\n"
		     "Upgrade: websocket\r\n\r\n",
	    "");
	expect_asked("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: upgrade\r\n"
		     "Upgrade: websocket\r\n\r\n",
	    "");
	expect_asked("GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "");
}

static bool accepts(struct http_head *head, const char *answer, const char *asked)
{
	struct h1_scan scan = {0};
	size_t used = 0;

	if (h1_parse_response(head, &scan, answer, strlen(answer), false, &used) != R_OK)
		fail_msg("%s\nis no response", answer);
	return upgrade_accept(head, asked);
}

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"

static void a_101_must_name_what_was_asked_for(void **state)
{
	static struct http_head head;

	(void)state;
	assert_true(accepts(&head, SWITCH "Upgrade: WebSocket\r\n\r\n", "websocket"));
	assert_int_equal(head.body, HTTP_BODY_TUNNEL);
	assert_true(http_slice_equal(head.upgrade, "WebSocket"));
	assert_true(accepts(&head, SWITCH "Upgrade: b/2\r\n\r\n", "a/1, b/2"));
	assert_true(accepts(&head, SWITCH "Upgrade: a, b\r\n\r\n", "b, a"));
	assert_false(accepts(&head, SWITCH "\r\n", "websocket"));
	assert_false(accepts(&head, SWITCH "Upgrade: \r\n\r\n", "websocket"));
	assert_false(accepts(&head, SWITCH "Upgrade: h2c\r\n\r\n", "websocket"));
	assert_false(accepts(&head, SWITCH "Upgrade: b/1\r\n\r\n", "b/2"));
	assert_false(accepts(&head, SWITCH "Upgrade: websocket, h2c\r\n\r\n", "websocket"));
	assert_false(accepts(&head, SWITCH "Upgrade: websocket\r\nUpgrade: websocket\r\n\r\n", "websocket"));
}

static void a_101_has_no_body(void **state)
{
	static struct http_head head;

	(void)state;
	assert_true(accepts(&head, SWITCH "Upgrade: x\r\nContent-Length: 0\r\n\r\n", "x"));
	assert_false(accepts(&head, SWITCH "Upgrade: x\r\nContent-Length: 5\r\n\r\n", "x"));
}

/* Connection is written by who speaks to the client. */
static void of_a_switch_upgrade_alone_is_set_anew(void **state)
{
	static struct http_head head;

	(void)state;
	assert_true(accepts(
	    &head, SWITCH "Keep-Alive: 5\r\nContent-Length: 0\r\nUpgrade: x\r\nSec-X: 1\r\n\r\n", "x"));
	forward_response(&head);
	assert_int_equal(head.field_count, 2);
	assert_true(http_slice_equal(head.fields[0].name, "Sec-X"));
	assert_true(http_slice_equal(head.fields[1].name, "Upgrade"));
	assert_true(http_slice_equal(head.fields[1].value, "x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_asks_by_connection_and_upgrade),
	    cmocka_unit_test(half_a_question_is_none),
	    cmocka_unit_test(a_malformed_question_is_none),
	    cmocka_unit_test(http_in_a_tunnel_is_not_asked_for),
	    cmocka_unit_test(who_sends_a_body_or_http_1_0_asks_for_nothing),
	    cmocka_unit_test(a_101_must_name_what_was_asked_for),
	    cmocka_unit_test(a_101_has_no_body),
	    cmocka_unit_test(of_a_switch_upgrade_alone_is_set_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
