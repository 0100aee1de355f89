#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http/h1_parse.h"

/* Bytes in a block of their own size, so that AddressSanitizer sees every byte read past the end. */
static char *exact_copy(const char *bytes, size_t size)
{
	char *copy = malloc(size ? size : 1);

	memcpy(copy, bytes, size);
	return copy;
}

static int parse_whole(struct http_head *head, const char *bytes, size_t size, size_t *used)
{
	struct h1_scan scan = {0};
	int status = 0;
	enum result result = h1_parse_request(head, &scan, bytes, size, used, &status);

	return result == R_OK ? 200 : result == R_AGAIN ? 0 : status;
}

/* Each prefix in a block of its own: nothing may be kept from the block before. */
static int parse_byte_by_byte(const char *bytes, size_t size)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	int status = 0;

	for (size_t i = 1; i <= size; i++) {
		size_t used = 0;
		char *copy = exact_copy(bytes, i);
		enum result result = h1_parse_request(&head, &scan, copy, i, &used, &status);

		free(copy);
		if (result != R_AGAIN)
			return result == R_OK ? 200 : status;
	}
	return 0;
}

static void expect_request(const char *bytes, size_t size, int expected)
{
	static struct http_head head;
	size_t used = 0;
	char *copy = exact_copy(bytes, size);
	int whole = parse_whole(&head, copy, size, &used);
	int pieces = parse_byte_by_byte(bytes, size);

	free(copy);
	if (whole != expected || pieces != expected)
		fail_msg("%.200s\nexpected %d, whole %d, byte by byte %d", bytes, expected, whole, pieces);
}

struct request_case {
	int status; /* 200: accepted, 0: incomplete */
	const char *bytes;
	size_t size; /* 0: as long as the string */
};

#define H "Host: a.example\r\n"
#define GET "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H
#define WITH_NUL(string) string, sizeof string - 1

static const struct request_case request_cases[] = {
    /* good */
    {200, GET H "\r\n", 0},
    {200, "\r\n" GET H "\r\n", 0},
    {200, "GET / HTTP/1.0\r\n\r\n", 0},
    {200, "GET /a?b=%00&c=//../x HTTP/1.1\r\n" H "\r\n", 0},
    {200, "GET //x HTTP/1.1\r\n" H "\r\n", 0},
    {200, "M-SEARCH / HTTP/1.1\r\n" H "\r\n", 0},
    {200, "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0},
    {200, "GET http://a.example/x HTTP/1.1\r\n" H "\r\n", 0},
    {200, "GET HTTPS://A.example HTTP/1.1\r\n" H "\r\n", 0},
    {200, "GET http://a.example?x HTTP/1.1\r\n" H "\r\n", 0},
    {200, GET "Host: a.example:8443\r\n\r\n", 0},
    {200, GET "Host: shop_1.a.example\r\n\r\n", 0},
    {200, GET "Host: [2001:db8::1]:443\r\n\r\n", 0},
    {200, GET "HOST:a.example\r\n\r\n", 0},
    {200, GET "Host: \t a.example \t \r\n\r\n", 0},
    {200, GET H "X-Empty:\r\nX-Tab: a\tb\r\nX-High: \xc3\xa9\xff\r\n\r\n", 0},
    {200, GET H "!#$%&'*+-.^_`|~09: x\r\n\r\n", 0},
    {200, POST "Content-Length: 0\r\n\r\n", 0},
    {200, POST "Content-Length: 0005\r\n\r\n", 0},
    {200, POST "Content-Length: 9223372036854775807\r\n\r\n", 0},
    {200, POST "Transfer-Encoding: chunked\r\n\r\n", 0},
    {200, POST "Transfer-Encoding: \t Chunked \r\n\r\n", 0},
    {200, POST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n", 0},
    {200, GET H "Connection: close, x-mine\r\n\r\n", 0},
    {200, GET H "Connection: , close,,\r\n\r\n", 0},
    {200, GET H "Connection: X-Forwarded-For\r\n\r\n", 0},
    {200, "GET / HTTP/1.0\r\nExpect: whatever\r\n\r\n", 0},
    {200, GET H "\r\nGET /next HTTP/1.1\r\n", 0},
    /* incomplete */
    {0, "", 0},
    {0, "\r", 0},
    {0, "\r\n", 0},
    {0, "GET / HT", 0},
    {0, GET H "\r", 0},
    /* request line */
    {400, "\r\n\r\n" GET H "\r\n", 0},
    {400, "\n" GET H "\r\n", 0},
    {400, "\r\r\n" GET H "\r\n", 0},
    {400, " " GET H "\r\n", 0},
    {400, "\x16\x03\x01\x02\x00", 5},
    {400, "GET  / HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET /  HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET\t/ HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET / HTTP/1.1 \r\n" H "\r\n", 0},
    {400, "GET /\r\n\r\n", 0},
    {400, "GET / \r\n\r\n", 0},
    {400, "GET /a b HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET /a#b HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET /\x7f HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET /\x01 HTTP/1.1\r\n" H "\r\n", 0},
    {400, WITH_NUL("GET /\0 HTTP/1.1\r\n" H "\r\n")},
    {400, "GET a/b HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET ?x HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET * HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET ftp://a.example/ HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET http:///x HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET http://user@a.example/x HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET http://b.example/ HTTP/1.1\r\n" H "\r\n", 0},
    {400, "G(T / HTTP/1.1\r\n" H "\r\n", 0},
    {400, "GET / http/1.1\r\n" H "\r\n", 0},
    {400, "GET / HTTP/1.1x\r\n" H "\r\n", 0},
    {400, "GET / HTTP/11\r\n" H "\r\n", 0},
    {400, "GET / HTTP/1.\r\n" H "\r\n", 0},
    {505, "GET / HTTP/0.9\r\n" H "\r\n", 0},
    {505, "GET / HTTP/2.0\r\n" H "\r\n", 0},
    {505, "PRI * HTTP/2.0\r\n\r\n", 0},
    {501, "CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n", 0},
    {501, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" H "\r\n", 0},
    /* Host */
    {400, GET "\r\n", 0},
    {400, GET H H "\r\n", 0},
    {400, GET "Host:\r\n\r\n", 0},
    {400, GET "Host: a.example, b.example\r\n\r\n", 0},
    {400, GET "Host: a.example b.example\r\n\r\n", 0},
    {400, GET "Host: user@a.example\r\n\r\n", 0},
    {400, GET "Host: a.example/x\r\n\r\n", 0},
    {400, GET "Host: a.example:99999\r\n\r\n", 0},
    {400, GET "Host: a.example:80x\r\n\r\n", 0},
    {400, GET "Host: :443\r\n\r\n", 0},
    {400, GET "Host: [2001:db8::1\r\n\r\n", 0},
    {400, GET "Host: [::1]x\r\n\r\n", 0},
    {400, "GET / HTTP/1.0\r\n" H H "\r\n", 0},
    /* lines and names */
    {400, "GET / HTTP/1.1\n" H "\r\n", 0},
    {400, GET "Host: a.example\n\r\n", 0},
    {400, GET H "\n", 0},
    {400, GET H "X: a\rb\r\n\r\n", 0},
    {400, GET H "X: a\r\r\n\r\n", 0},
    {400, WITH_NUL(GET H "X: a\0b\r\n\r\n")},
    {400, WITH_NUL(GET H "X\0: a\r\n\r\n")},
    {400, GET H "X: a\x01\r\n\r\n", 0},
    {400, GET H "X: abcdefghijklmnop\x7fqrstuvwxyz\r\n\r\n", 0},
    {400, GET H "X: abcdefghijklmnop\x0bqrstuvwxyz\r\n\r\n", 0},
    {400, GET H "X: a\r\n b\r\n\r\n", 0},
    {400, GET H "X: a\r\n\tb\r\n\r\n", 0},
    {400, GET " Host: a.example\r\n\r\n", 0},
    {400, GET "Host : a.example\r\n\r\n", 0},
    {400, GET H "X\t: a\r\n\r\n", 0},
    {400, GET H ": a\r\n\r\n", 0},
    {400, GET H "X\r\n\r\n", 0},
    {400, GET H "X Y: a\r\n\r\n", 0},
    {400, GET H "X(Y): a\r\n\r\n", 0},
    {400, GET H "X\xc3\xa9: a\r\n\r\n", 0},
    /* framing */
    {400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 0},
    {400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 0},
    {400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 0},
    {400, POST "Content-Length: 5, 5\r\n\r\n", 0},
    {400, POST "Content-Length: +5\r\n\r\n", 0},
    {400, POST "Content-Length: -5\r\n\r\n", 0},
    {400, POST "Content-Length:\r\n\r\n", 0},
    {400, POST "Content-Length: 5x\r\n\r\n", 0},
    {400, POST "Content-Length: 0x5\r\n\r\n", 0},
    {400, POST "Content-Length: 5 5\r\n\r\n", 0},
    {400, POST "Content-Length: 5.0\r\n\r\n", 0},
    {400, POST "Content-Length: 9223372036854775808\r\n\r\n", 0},
    {400, POST "Content-Length: 18446744073709551621\r\n\r\n", 0},
    {400, POST "Content_Length: 5\r\n\r\n", 0},
    {400, POST "Transfer_Encoding: chunked\r\n\r\n", 0},
    {501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 0},
    {501, POST "Transfer-Encoding: deflate ,\tGZIP, Chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: gzip\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: chunked, gzip\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: gzip, chunked, chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: gzip, xchunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: gz(ip, chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {400, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: identity\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: xchunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: chunked;q=1\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 0},
    {400, POST "Transfer-Encoding: ,chunked\r\n\r\n", 0},
    {400,
	POST "Transfer-Encoding: \x0b"
	     "chunked\r\n\r\n",
	0},
    {400, POST "Transfer-Encoding:\r\n\r\n", 0},
    {400, POST "Transfer-Encoding : chunked\r\n\r\n", 0},
    {400, POST "Transfer-Encoding:\r\n chunked\r\n\r\n", 0},
    {400, "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 0},
    /* Connection and Expect */
    {400, GET H "Connection: Host\r\n\r\n", 0},
    {400, POST "Content-Length: 3\r\nConnection: close, content-length\r\n\r\n", 0},
    {400, GET H "Connection: transfer-encoding\r\n\r\n", 0},
    {400, GET H "Connection: a b\r\n\r\n", 0},
    {417, GET H "Expect: 200-ok\r\n\r\n", 0},
};

static void requests_are_accepted_or_refused_alike_whole_and_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof request_cases / sizeof *request_cases; i++) {
		const struct request_case *one = &request_cases[i];

		expect_request(one->bytes, one->size ? one->size : strlen(one->bytes), one->status);
	}
}

static void parse_request(struct http_head *head, const char *bytes)
{
	size_t used = 0;

	assert_int_equal(parse_whole(head, bytes, strlen(bytes), &used), 200);
}

static void a_request_is_split_into_its_parts(void **state)
{
	static struct http_head head;
	static const char bytes[] = "\r\nPUT /a?b HTTP/1.1\r\nHost: A.example:8443\r\nX-One:  1 \r\n"
				    "Content-Length: 12\r\nX-Two:2\r\n\r\nbody";
	struct h1_scan scan = {0};
	size_t used = 0;
	int status = 0;

	(void)state;
	assert_int_equal(h1_parse_request(&head, &scan, bytes, sizeof bytes - 1, &used, &status), R_OK);
	assert_int_equal(used, sizeof bytes - 1 - 4);
	assert_true(http_slice_equal(head.method, "PUT"));
	assert_true(http_slice_equal(head.target, "/a?b"));
	assert_true(http_slice_equal(head.host, "A.example:8443"));
	assert_int_equal(head.version, 1);
	assert_int_equal(head.body, HTTP_BODY_LENGTH);
	assert_int_equal(head.content_length, 12);
	assert_true(head.keep_alive);
	assert_int_equal(head.field_count, 4);
	assert_true(http_slice_equal(head.fields[1].name, "X-One"));
	assert_true(http_slice_equal(head.fields[1].value, "1"));
	assert_int_equal(head.fields[2].id, HTTP_CONTENT_LENGTH);
	assert_true(http_slice_equal(http_head_find(&head, "x-two", NULL)->value, "2"));
}

static void an_absolute_form_gives_host_and_path(void **state)
{
	static struct http_head head;

	(void)state;
	parse_request(&head, "GET http://a.example/x?y HTTP/1.0\r\n\r\n");
	assert_true(http_slice_equal(head.host, "a.example"));
	assert_true(http_slice_equal(head.target, "/x?y"));
	parse_request(&head, "GET http://a.example HTTP/1.0\r\n\r\n");
	assert_true(http_slice_equal(head.target, "/"));
	parse_request(&head, "GET http://a.example?q HTTP/1.0\r\n\r\n");
	assert_true(http_slice_equal(head.target, "?q"));
	parse_request(&head, "OPTIONS http://a.example HTTP/1.0\r\n\r\n");
	assert_true(http_slice_equal(head.target, "*"));
}

static void keep_alive_follows_version_and_connection(void **state)
{
	static struct http_head head;

	(void)state;
	parse_request(&head, GET H "\r\n");
	assert_true(head.keep_alive);
	parse_request(&head, GET H "Connection: foo\r\nConnection: CLOSE\r\n\r\n");
	assert_false(head.keep_alive);
	parse_request(&head, "GET / HTTP/1.0\r\n\r\n");
	assert_false(head.keep_alive);
	parse_request(&head, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
	assert_true(head.keep_alive);
	parse_request(&head, "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n");
	assert_false(head.keep_alive);
}

static char *repeated(const char *before, char byte, size_t count, const char *after, size_t *size)
{
	size_t first = strlen(before);
	char *bytes = malloc(first + count + strlen(after) + 1);

	memcpy(bytes, before, first);
	memset(bytes + first, byte, count);
	strcpy(bytes + first + count, after);
	*size = strlen(bytes);
	return bytes;
}

static void expect_repeated(const char *before, size_t count, const char *after, int status)
{
	size_t size = 0;
	char *bytes = repeated(before, 'a', count, after, &size);
	static struct http_head head;
	size_t used = 0;
	int whole = parse_whole(&head, bytes, size, &used);

	if (whole != status)
		fail_msg("%s, %zu bytes, %s: expected %d, got %d", before, count, after, status, whole);
	free(bytes);
}

static void a_target_over_32_kib_is_414(void **state)
{
	(void)state;
	expect_repeated("GET /", HTTP_TARGET_MAX - 1, " HTTP/1.1\r\n" H "\r\n", 200);
	expect_repeated("GET /", HTTP_TARGET_MAX, " HTTP/1.1\r\n" H "\r\n", 414);
	expect_repeated("GET /", HTTP_TARGET_MAX + 100, "", 414);
	expect_repeated("GET /", HTTP_TARGET_MAX + 100, " HTTP/1.1\n", 414);
}

static void a_head_over_64_kib_is_431(void **state)
{
	(void)state;
	expect_repeated(GET H "X: ", HTTP_HEAD_MAX - 41, "\r\n\r\n", 200);
	expect_repeated(GET H "X: ", HTTP_HEAD_MAX, "\r\n\r\n", 431);
	expect_repeated(GET H "X: ", HTTP_HEAD_MAX, "", 431);
}

static void more_than_128_fields_are_431(void **state)
{
	char bytes[8192] = GET H;

	(void)state;
	for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		strcat(bytes, "X: 1\r\n");
	size_t size = strlen(bytes);
	strcat(bytes, "\r\n");
	expect_request(bytes, strlen(bytes), 200);
	strcpy(bytes + size, "X: 1\r\n\r\n");
	expect_request(bytes, strlen(bytes), 431);
}

struct response_case {
	enum result result;
	enum http_body body;
	bool to_head;
	const char *bytes;
};

#define OK "HTTP/1.1 200 OK\r\n"

static const struct response_case response_cases[] = {
    {R_OK, HTTP_BODY_UNTIL_CLOSE, false, OK "\r\n"},
    {R_OK, HTTP_BODY_UNTIL_CLOSE, false, "HTTP/1.1 200\r\n\r\n"},
    {R_OK, HTTP_BODY_UNTIL_CLOSE, false, "HTTP/1.1 200 \r\n\r\n"},
    {R_OK, HTTP_BODY_UNTIL_CLOSE, false, "HTTP/1.0 200 Sch\xc3\xb6n\r\n\r\n"},
    {R_OK, HTTP_BODY_LENGTH, false, OK "Content-Length: 5\r\n\r\n"},
    {R_OK, HTTP_BODY_CHUNKED, false, OK "Transfer-Encoding: chunked\r\n\r\n"},
    {R_OK, HTTP_BODY_NONE, true, OK "Content-Length: 5\r\n\r\n"},
    {R_OK, HTTP_BODY_NONE, true, OK "Transfer-Encoding: chunked\r\n\r\n"},
    {R_OK, HTTP_BODY_NONE, false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
    {R_OK, HTTP_BODY_NONE, false, "HTTP/1.1 204 No Content\r\n\r\n"},
    {R_OK, HTTP_BODY_NONE, false, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"},
    {R_OK, HTTP_BODY_NONE, false, "HTTP/1.1 100 Continue\r\n\r\n"},
    {R_OK, HTTP_BODY_LENGTH, false, "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\n"},
    {R_OK, HTTP_BODY_LENGTH, false, OK "X : a\r\nContent-Length\t : 5\r\n\r\n"},
    {R_OK, HTTP_BODY_CHUNKED, false, OK "Transfer-Encoding : chunked\r\n\r\n"},
    {R_AGAIN, HTTP_BODY_NONE, false, OK "Content-Length: 5\r\n\r"},
    {R_INVALID, HTTP_BODY_NONE, false, "\r\n" OK "\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 200 OK\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/2 200 OK\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1  200 OK\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 20 OK\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 2000 OK\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 099 OK\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 600 OK\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 200 O\x01K\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, true, OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Content-Length: 5, 5\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Content-Length: -1\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, "HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "X: a\r\n b\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "X y: a\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "X \r\n: a\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK " X: a\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK " : a\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Content-Length : 5\r\nContent-Length: 5\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Content-Length : 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {R_INVALID, HTTP_BODY_NONE, false, OK "Connection: content-length\r\nContent-Length: 5\r\n\r\n"},
};

static void check_response(const struct response_case *one)
{
	static struct http_head head;
	struct h1_scan whole = {0};
	struct h1_scan pieces = {0};
	size_t size = strlen(one->bytes);
	size_t used = 0;
	enum result second = R_AGAIN;
	enum result first = h1_parse_response(&head, &whole, one->bytes, size, one->to_head, &used);

	if (first != one->result || (first == R_OK && (head.body != one->body || used != size)))
		fail_msg("%s\nexpected %s and body %d, got %s and %d", one->bytes, result_name(one->result),
		    one->body, result_name(first), head.body);
	for (size_t i = 1; i <= size && second == R_AGAIN; i++) {
		char *copy = exact_copy(one->bytes, i);

		second = h1_parse_response(&head, &pieces, copy, i, one->to_head, &used);
		free(copy);
	}
	if (second != one->result)
		fail_msg("%s\nbyte by byte: expected %s, got %s", one->bytes, result_name(one->result),
		    result_name(second));
}

static void responses_are_accepted_or_refused_alike_whole_and_byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof response_cases / sizeof *response_cases; i++)
		check_response(&response_cases[i]);
}

static void a_response_is_split_into_its_parts(void **state)
{
	static struct http_head head;
	static const char bytes[] = "HTTP/1.1 404 Not here\r\nServer: x\r\nConnection: close\r\n\r\n";
	struct h1_scan scan = {0};
	size_t used = 0;

	(void)state;
	assert_int_equal(h1_parse_response(&head, &scan, bytes, sizeof bytes - 1, false, &used), R_OK);
	assert_int_equal(head.status, 404);
	assert_true(http_slice_equal(head.reason, "Not here"));
	assert_int_equal(head.field_count, 2);
	assert_false(head.keep_alive);
}

/* RFC 9110 section 2.5. */
static void a_later_minor_version_is_read_as_the_latest_we_know(void **state)
{
	static struct http_head head;

	(void)state;
	parse_request(&head, "GET / HTTP/1.2\r\n" H "\r\n");
	assert_int_equal(head.version, 1);
	assert_true(head.keep_alive);
	parse_request(&head, "POST / HTTP/1.9\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	assert_int_equal(head.body, HTTP_BODY_CHUNKED);
}

/* RFC 9112 section 5.1: a proxy removes it. */
static void space_before_a_colon_is_no_part_of_a_responses_field(void **state)
{
	static const char bytes[] = OK "Set-Cookie \t: a=b\r\nConnection : close\r\n\r\n";
	static struct http_head head;
	struct h1_scan scan = {0};
	size_t used = 0;

	(void)state;
	assert_int_equal(h1_parse_response(&head, &scan, bytes, sizeof bytes - 1, false, &used), R_OK);
	assert_true(http_slice_equal(head.fields[0].name, "Set-Cookie"));
	assert_true(http_slice_equal(head.fields[0].value, "a=b"));
	assert_false(head.keep_alive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_accepted_or_refused_alike_whole_and_byte_by_byte),
	    cmocka_unit_test(a_request_is_split_into_its_parts),
	    cmocka_unit_test(an_absolute_form_gives_host_and_path),
	    cmocka_unit_test(keep_alive_follows_version_and_connection),
	    cmocka_unit_test(a_target_over_32_kib_is_414),
	    cmocka_unit_test(a_head_over_64_kib_is_431),
	    cmocka_unit_test(more_than_128_fields_are_431),
	    cmocka_unit_test(responses_are_accepted_or_refused_alike_whole_and_byte_by_byte),
	    cmocka_unit_test(a_response_is_split_into_its_parts),
	    cmocka_unit_test(a_later_minor_version_is_read_as_the_latest_we_know),
	    cmocka_unit_test(space_before_a_colon_is_no_part_of_a_responses_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
