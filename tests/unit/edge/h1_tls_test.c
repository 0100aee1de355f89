/* What TLS adds to an HTTP/1.1 connection: bytes that raise no event, writes that must be repeated, and an
 * end that tells a whole response from a cut one. */
#include "tls_harness.h"

static void client_sees(const char *expected)
{
	for (int i = 0; i < PATIENCE_ROUNDS && rig.client.size < strlen(expected); i++) {
		turn();
		look_by_tls();
	}
	assert_string_equal(rig.client.bytes, expected);
	forget(&rig.client);
}

static void client_sees_the_end(void)
{
	for (int i = 0; i < PATIENCE_ROUNDS && !rig.client.eof && !rig.client.reset; i++) {
		turn();
		look_by_tls();
	}
}

#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void requests_in_one_record_are_answered_in_order(void **state)
{
	static const char requests[] = GET("/1") GET("/2");

	(void)state;
	visit_by_tls(64 * 1024);
	assert_int_equal(push(requests, sizeof requests - 1), sizeof requests - 1);
	origin_accepts();
	origin_gets(FORWARDED("/1"));
	say(&rig.origin, EMPTY);
	origin_gets(FORWARDED("/2"));
	say(&rig.origin, EMPTY);
	client_sees(EMPTY EMPTY);
}

static void a_request_and_more_than_one_buffer_of_pipelined_ones(void **state)
{
	enum { COUNT = 400 };
	static const char one[] =
	    GET("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	char *bytes = malloc(COUNT * (sizeof one - 1));
	size_t sent = 0;

	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		memcpy(bytes + i * (sizeof one - 1), one, sizeof one - 1);
	visit_by_tls(64 * 1024);
	for (int i = 0; i < COUNT; i++) {
		if (sent < COUNT * (sizeof one - 1))
			sent += push(bytes + sent, COUNT * (sizeof one - 1) - sent);
		if (i == 0)
			origin_accepts();
		origin_gets(
		    FORWARDED("/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
		say(&rig.origin, EMPTY);
		client_sees(EMPTY);
	}
	free(bytes);
}

static char *pattern(size_t size)
{
	char *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i % 251);
	return bytes;
}

static void a_large_upload_arrives_byte_for_byte(void **state)
{
	enum { SIZE = 8 * 1024 * 1024 };
	static const char head[] = "PUT / HTTP/1.1\r\n" H "Content-Length: 8388608\r\n\r\n";
	char *body = pattern(SIZE);
	size_t sent = 0;
	size_t checked = 0;

	(void)state;
	visit_by_tls(64 * 1024);
	push(head, sizeof head - 1);
	origin_accepts();
	origin_gets("PUT / HTTP/1.1\r\n" H XF "Content-Length: 8388608\r\n\r\n");
	for (int i = 0; i < 100000 && checked < SIZE; i++) {
		if (sent < SIZE)
			sent += push(body + sent, SIZE - sent);
		turn();
		/* Slow at first, so that everything in between fills up. */
		if (i < 100)
			continue;
		look(&rig.origin);
		assert_memory_equal(rig.origin.bytes, body + checked, rig.origin.size);
		checked += rig.origin.size;
		rig.origin.size = 0;
	}
	assert_int_equal(checked, SIZE);
	say(&rig.origin, EMPTY);
	client_sees(EMPTY);
	free(body);
}

/* Small records: OpenSSL has taken them all out of the socket before we have taken them all out of OpenSSL.
 */
static void what_openssl_holds_when_the_upstream_has_room_again_is_read(void **state)
{
	enum { RECORD = 1000, COUNT = 45 };
	static const char head[] = "PUT / HTTP/1.1\r\n" H "Content-Length: 45000\r\n\r\n";
	struct net_address hole = {.size = 0};
	char *body = pattern(RECORD * COUNT);
	int fillers[2];

	(void)state;
	int fd = blackhole(&hole, fillers);
	another_upstream_comes_first(&hole);
	visit_by_tls(64 * 1024);
	push(head, sizeof head - 1);
	for (size_t i = 0; i < COUNT; i++)
		assert_int_equal(push(body + i * RECORD, RECORD), RECORD);
	turns(5);
	time_passes(5500);
	origin_accepts();
	for (int i = 0; i < PATIENCE_ROUNDS && rig.origin.size < RECORD * COUNT; i++) {
		turn();
		look(&rig.origin);
	}
	assert_true(rig.origin.size > RECORD * COUNT);
	assert_memory_equal(rig.origin.bytes + rig.origin.size - RECORD * COUNT, body, RECORD * COUNT);
	say(&rig.origin, EMPTY);
	client_sees(EMPTY);
	close(fd);
	close(fillers[0]);
	close(fillers[1]);
	free(body);
}

static void expect_download(const char *head, const char *expected_head)
{
	enum { SIZE = 8 * 1024 * 1024 };
	char *body = pattern(SIZE);
	size_t sent = 0;
	size_t checked = 0;

	visit_by_tls(16 * 1024);
	push(GET("/"), strlen(GET("/")));
	origin_accepts();
	say(&rig.origin, head);
	client_sees(expected_head);
	for (int i = 0; i < 100000 && checked < SIZE; i++) {
		ssize_t put = sent < SIZE ? send(rig.origin.fd, body + sent, SIZE - sent, MSG_NOSIGNAL) : 0;

		sent += put > 0 ? (size_t)put : 0;
		turn();
		if (i < 50)
			continue;
		look_by_tls();
		assert_memory_equal(rig.client.bytes, body + checked, rig.client.size);
		checked += rig.client.size;
		rig.client.size = 0;
	}
	assert_int_equal(checked, SIZE);
	free(body);
}

static void a_large_download_arrives_byte_for_byte(void **state)
{
	(void)state;
	expect_download("HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
}

static void a_close_after_a_whole_response_is_announced(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n";

	(void)state;
	visit_by_tls(64 * 1024);
	push(request, sizeof request - 1);
	origin_accepts();
	say(&rig.origin, EMPTY);
	client_sees_the_end();
	assert_true(rig.client.eof);
	assert_string_equal(
	    rig.client.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void a_cut_response_ends_without_close_notify(void **state)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";

	(void)state;
	visit_by_tls(64 * 1024);
	push(request, sizeof request - 1);
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	hang_up(&rig.origin);
	client_sees_the_end();
	assert_true(rig.client.reset);
	assert_false(rig.client.eof);
}

static void a_half_close_by_close_notify_still_gets_its_answer(void **state)
{
	(void)state;
	visit_by_tls(64 * 1024);
	push(GET("/"), strlen(GET("/")));
	SSL_shutdown(client);
	shutdown(rig.client.fd, SHUT_WR);
	origin_accepts();
	turns(3);
	say(&rig.origin, EMPTY);
	client_sees_the_end();
	assert_true(rig.client.eof);
	assert_string_equal(
	    rig.client.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

/* RFC 9112 section 9.8: servers should be prepared for it; what was whole stays whole. */
static void a_bare_fin_behind_a_whole_request_still_gets_its_answer(void **state)
{
	(void)state;
	visit_by_tls(64 * 1024);
	push(GET("/"), strlen(GET("/")));
	shutdown(rig.client.fd, SHUT_WR);
	origin_accepts();
	turns(3);
	say(&rig.origin, EMPTY);
	client_sees_the_end();
	assert_true(rig.client.eof);
	assert_string_equal(
	    rig.client.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    tls_test(requests_in_one_record_are_answered_in_order),
	    tls_test(a_request_and_more_than_one_buffer_of_pipelined_ones),
	    tls_test(a_large_upload_arrives_byte_for_byte),
	    tls_test(what_openssl_holds_when_the_upstream_has_room_again_is_read),
	    tls_test(a_large_download_arrives_byte_for_byte),
	    tls_test(a_close_after_a_whole_response_is_announced),
	    tls_test(a_cut_response_ends_without_close_notify),
	    tls_test(a_half_close_by_close_notify_still_gets_its_answer),
	    tls_test(a_bare_fin_behind_a_whole_request_still_gets_its_answer),
	};

	return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
