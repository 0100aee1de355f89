#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "edge/http/forward.h"
#include "edge/http/h1_parse.h"
#include "edge/http/h1_write.h"

static const struct forward_identity visitor = {
    .client = "192.0.2.7",
    .sni = "a.example",
    .port = "8443",
    .forwarded = "for=192.0.2.7",
    .request_id = "r-1",
    .via = "1.1 us",
    .tls = true,
};

/* What the upstream gets for these bytes. */
static void expect_forwarded(const char *request, const char *expected)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	struct buf out;
	size_t used = 0;
	int status = 0;

	buf_init(&out, H1_HEAD_ROOM);
	if (h1_parse_request(&head, &scan, request, strlen(request), &used, &status) != R_OK)
		fail_msg("%s\nrefused with %d", request, status);
	forward_request(&head, &visitor);
	h1_write_request(&out, &head);
	assert_string_equal(buf_string(&out), expected);
	buf_fini(&out);
}

static void expect_response(
    const char *response, bool to_head, enum http_body framing, const char *connection, const char *expected)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	struct buf out;
	size_t used = 0;

	buf_init(&out, H1_HEAD_ROOM);
	assert_int_equal(h1_parse_response(&head, &scan, response, strlen(response), to_head, &used), R_OK);
	forward_response(&head);
	h1_write_response(&out, &head, framing, connection);
	assert_string_equal(buf_string(&out), expected);
	buf_fini(&out);
}

#define IDENTITY(host) \
	"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: " host "\r\n" \
	"X-Forwarded-Port: 8443\r\nX-Real-IP: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n" \
	"X-Request-Id: r-1\r\nVia: 1.1 us\r\n"
#define H "Host: a.example\r\n"

static void fields_pass_in_order_and_host_byte_for_byte(void **state)
{
	(void)state;
	expect_forwarded("GET /x?y HTTP/1.1\r\nB: 1\r\nHost: A.Example:443\r\na:  2 \r\nB: 3\r\n\r\n",
	    "GET /x?y HTTP/1.1\r\nB: 1\r\nHost: A.Example:443\r\na: 2\r\nB: 3\r\n" IDENTITY(
		"A.Example:443") "\r\n");
}

static void what_a_client_says_of_its_identity_is_replaced(void **state)
{
	(void)state;
	expect_forwarded("GET / HTTP/1.1\r\n" H "X-Forwarded-For: 1.2.3.4\r\nx-forwarded-proto: http\r\n"
			 "X_Forwarded_For: 1.2.3.4\r\nX-Forwarded_Host: b.example\r\nX-REAL-IP: 1.2.3.4\r\n"
			 "x_real_ip: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Port: 1\r\n"
			 "X-Forwarded-For: 5.6.7.8\r\nX-Forwarder: kept\r\n\r\n",
	    "GET / HTTP/1.1\r\n" H "X-Forwarder: kept\r\n" IDENTITY("a.example") "\r\n");
}

static void the_request_id_is_ours_to_set(void **state)
{
	(void)state;
	expect_forwarded("GET / HTTP/1.1\r\n" H
			 "X-Request-Id: x\r\nx_request_id: y\r\nX-Request_Id: z\r\n\r\n",
	    "GET / HTTP/1.1\r\n" H IDENTITY("a.example") "\r\n");
}

static void via_and_traceparent_pass_and_ours_comes_last(void **state)
{
	(void)state;
	expect_forwarded("GET / HTTP/1.1\r\n" H "Via: 1.0 a, 1.1 b (c)\r\nTraceparent: 00-1-2-01\r\n"
			 "tracestate: a=b,c=d\r\nvia: 1.1 d\r\n\r\n",
	    "GET / HTTP/1.1\r\n" H "Via: 1.0 a, 1.1 b (c)\r\nTraceparent: 00-1-2-01\r\n"
	    "tracestate: a=b,c=d\r\nvia: 1.1 d\r\n" IDENTITY("a.example") "\r\n");
}

static void max_forwards_of_options_counts_down(void **state)
{
	static const char *const cases[][2] = {
	    {"1", "0"}, {"9", "8"}, {"10", "9"}, {"4294967296", "9"}, {"x", "x"}, {"", ""}, {"-1", "-1"}};
	char request[128], expected[640];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int get = 0; get < 2; get++) {
			const char *method = get ? "GET" : "OPTIONS";

			snprintf(request, sizeof request, "%s / HTTP/1.1\r\n" H "max-forwards: %s\r\n\r\n",
			    method, cases[i][0]);
			snprintf(expected, sizeof expected,
			    "%s / HTTP/1.1\r\n" H "max-forwards: %s\r\n" IDENTITY("a.example") "\r\n", method,
			    cases[i][get ? 0 : 1]);
			expect_forwarded(request, expected);
		}
	}
}

static void hop_by_hop_fields_stop_here(void **state)
{
	(void)state;
	expect_forwarded("GET / HTTP/1.1\r\n" H "Connection: x-mine, close, Upgrade\r\nX-Mine: 1\r\n"
			 "Keep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n"
			 "Proxy-Authorization: x\r\nTE: gzip\r\nX-Yours: 1\r\n\r\n",
	    "GET / HTTP/1.1\r\n" H "X-Yours: 1\r\n" IDENTITY("a.example") "\r\n");
}

static void upgrade_is_set_anew_with_its_connection(void **state)
{
	(void)state;
	expect_forwarded("GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: x, Upgrade, te\r\nX: 1\r\n"
			 "TE: trailers\r\nSec-WebSocket-Version: 13\r\n\r\n",
	    "GET / HTTP/1.1\r\n" H
	    "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" IDENTITY(
		"a.example") "\r\n");
}

static void te_trailers_is_passed_on(void **state)
{
	(void)state;
	expect_forwarded("GET / HTTP/1.1\r\n" H "TE: gzip, trailers\r\nConnection: te\r\n\r\n",
	    "GET / HTTP/1.1\r\n" H "TE: trailers\r\nConnection: te\r\n" IDENTITY("a.example") "\r\n");
}

static void identity_cannot_be_dropped_through_connection(void **state)
{
	(void)state;
	expect_forwarded("GET / HTTP/1.1\r\n" H
			 "Connection: X-Forwarded-For\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
	    "GET / HTTP/1.1\r\n" H IDENTITY("a.example") "\r\n");
}

static void framing_is_written_canonically(void **state)
{
	(void)state;
	expect_forwarded("POST / HTTP/1.1\r\n" H "content-length: 0005\r\n\r\n",
	    "POST / HTTP/1.1\r\n" H IDENTITY("a.example") "Content-Length: 5\r\n\r\n");
	expect_forwarded("POST / HTTP/1.1\r\n" H "TRANSFER-ENCODING: Chunked\r\n\r\n",
	    "POST / HTTP/1.1\r\n" H IDENTITY("a.example") "Transfer-Encoding: chunked\r\n\r\n");
	expect_forwarded("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
	    "POST / HTTP/1.1\r\n" H IDENTITY("a.example") "Content-Length: 0\r\n\r\n");
}

static void http_1_0_without_host_gets_the_name_of_the_handshake(void **state)
{
	(void)state;
	expect_forwarded(
	    "GET / HTTP/1.0\r\nExpect: x\r\n\r\n", "GET / HTTP/1.1\r\n" H IDENTITY("a.example") "\r\n");
}

static void absolute_form_becomes_origin_form(void **state)
{
	(void)state;
	expect_forwarded("GET http://a.example?q HTTP/1.1\r\n" H "\r\n",
	    "GET /?q HTTP/1.1\r\n" H IDENTITY("a.example") "\r\n");
	expect_forwarded("GET http://b.example:80/x HTTP/1.0\r\n\r\n",
	    "GET /x HTTP/1.1\r\nHost: b.example:80\r\n" IDENTITY("b.example:80") "\r\n");
}

static void expect_100_continue_is_passed_on(void **state)
{
	(void)state;
	expect_forwarded("PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
	    "PUT / HTTP/1.1\r\n" H
	    "Expect: 100-continue\r\n" IDENTITY("a.example") "Content-Length: 1\r\n\r\n");
}

static void responses_lose_hop_by_hop_fields_and_get_our_framing(void **state)
{
	(void)state;
	expect_response("HTTP/1.1 200 OK\r\nServer: x\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n"
			"Keep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nContent-Length: 05\r\n\r\n",
	    false, HTTP_BODY_LENGTH, NULL, "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\n");
	expect_response("HTTP/1.0 200\r\nServer: x\r\n\r\n", false, HTTP_BODY_CHUNKED, "close",
	    "HTTP/1.1 200 \r\nServer: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}

static void a_length_without_a_body_stays_with_head_and_304_only(void **state)
{
	(void)state;
	expect_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, HTTP_BODY_NONE, NULL,
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
	expect_response("HTTP/1.1 304 NM\r\nContent-Length: 5\r\n\r\n", false, HTTP_BODY_NONE, NULL,
	    "HTTP/1.1 304 NM\r\nContent-Length: 5\r\n\r\n");
	expect_response("HTTP/1.1 204 NC\r\nContent-Length: 5\r\n\r\n", false, HTTP_BODY_NONE, NULL,
	    "HTTP/1.1 204 NC\r\n\r\n");
	expect_response("HTTP/1.1 103 EH\r\nContent-Length: 5\r\nLink: x\r\n\r\n", false, HTTP_BODY_NONE,
	    NULL, "HTTP/1.1 103 EH\r\nLink: x\r\n\r\n");
}

static void trailers_keep_only_what_may_come_late(void **state)
{
	static struct http_head trailers;
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_int_equal(
	    h1_read_trailers(&trailers,
		http_slice_of("X-Sum: 1\r\nHost: b\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n"
			      "X-Forwarded-For: 1\r\nAuthorization: x\r\nCookie: x\r\nSet-Cookie: x\r\n"
			      "Content-Type: x\r\nConnection: x\r\nTrailer: x\r\nTE: x\r\n\r\n"),
		H1_REQUEST),
	    R_OK);
	forward_trailers(&trailers);
	h1_write_last_chunk(&out, &trailers);
	assert_string_equal(buf_string(&out), "0\r\nX-Sum: 1\r\n\r\n");
	buf_fini(&out);
}

static void chunks_are_written_in_hex(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	h1_write_chunk(&out, "0123456789abcdefXYZ", 19);
	h1_write_last_chunk(&out, NULL);
	assert_string_equal(buf_string(&out), "13\r\n0123456789abcdefXYZ\r\n0\r\n\r\n");
	buf_fini(&out);
}

static void more_connection_members_than_can_be_compared_are_refused(void **state)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	char request[1024] = "GET / HTTP/1.1\r\n" H "Connection: a";
	size_t used = 0;
	int status = 0;

	(void)state;
	for (int i = 0; i < H1_CONNECTION_MAX; i++)
		strcat(request, ",b");
	strcat(request, "\r\n\r\n");
	assert_int_equal(h1_parse_request(&head, &scan, request, strlen(request), &used, &status), R_INVALID);
	assert_int_equal(status, 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_pass_in_order_and_host_byte_for_byte),
	    cmocka_unit_test(what_a_client_says_of_its_identity_is_replaced),
	    cmocka_unit_test(the_request_id_is_ours_to_set),
	    cmocka_unit_test(via_and_traceparent_pass_and_ours_comes_last),
	    cmocka_unit_test(max_forwards_of_options_counts_down),
	    cmocka_unit_test(hop_by_hop_fields_stop_here),
	    cmocka_unit_test(upgrade_is_set_anew_with_its_connection),
	    cmocka_unit_test(te_trailers_is_passed_on),
	    cmocka_unit_test(identity_cannot_be_dropped_through_connection),
	    cmocka_unit_test(framing_is_written_canonically),
	    cmocka_unit_test(http_1_0_without_host_gets_the_name_of_the_handshake),
	    cmocka_unit_test(absolute_form_becomes_origin_form),
	    cmocka_unit_test(expect_100_continue_is_passed_on),
	    cmocka_unit_test(responses_lose_hop_by_hop_fields_and_get_our_framing),
	    cmocka_unit_test(a_length_without_a_body_stays_with_head_and_304_only),
	    cmocka_unit_test(trailers_keep_only_what_may_come_late),
	    cmocka_unit_test(chunks_are_written_in_hex),
	    cmocka_unit_test(more_connection_members_than_can_be_compared_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
