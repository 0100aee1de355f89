#include "h1_harness.h"

/* ---- clients that break the rules */

static void expect_refusal(const char *request, int status)
{
	visit();
	say(&rig.client, request);
	client_gets_page(status);
	expect_closed(&rig.client, request);
	if (!strstr(rig.client.bytes, "Connection: close\r\n") || strstr(rig.client.bytes, "evil"))
		fail_msg("%s\nwas answered:\n%s", request, rig.client.bytes);
	if (!nobody_connects())
		fail_msg("%s\nreached the origin", request);
	hang_up(&rig.client);
	turns(2);
	assert_true(rig.is_closed);
}

static void what_can_be_read_in_two_ways_is_refused_and_closed(void **state)
{
	static const struct {
		const char *request;
		int status;
	} cases[] = {
	    {"POST / HTTP/1.1\r\n" H
	     "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil "
	     "HTTP/1.1\r\n" H "\r\n",
		400},
	    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 50\r\n\r\nhello", 400},
	    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, evil\r\n\r\n0\r\n\r\n", 400},
	    {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	    {"GET / HTTP/1.1\n" H "\n", 400},
	    {"GET /evil\x01 HTTP/1.1\r\n" H "\r\n", 400},
	    {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
	    {"GET / HTTP/1.1\r\n" H "X: a\r\n evil\r\n\r\n", 400},
	    {"GET / HTTP/1.1\r\n" H "Connection: Host\r\n\r\n", 400},
	    {"CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n", 501},
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
	    {"GET / HTTP/1.1\r\n" H "Expect: evil\r\n\r\n", 417},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_refusal(cases[i].request, cases[i].status);
}

static void a_host_of_another_handshake_is_misdirected(void **state)
{
	static const char *const hosts[] = {
	    "b.example", "a.example.b.example", "192.0.2.1", "[::1]:443", "a"};

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		char request[256];

		snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
		visit();
		say(&rig.client, request);
		client_gets_page(421);
		assert_true(nobody_connects());
	}
}

static void the_second_request_is_checked_as_the_first(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	say(&rig.client, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
	client_gets_page(421);
}

static void the_handshakes_name_is_found_in_any_spelling(void **state)
{
	static const char *const hosts[] = {"A.Example", "a.example:443", "a.example:", "a.example."};

	(void)state;
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		char text[512];

		visit();
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
		say(&rig.client, text);
		origin_accepts();
		snprintf(text, sizeof text,
		    "GET / HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
		    "X-Forwarded-Host: %s\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 192.0.2.7\r\n"
		    "Forwarded: for=192.0.2.7;host=%s%s%s;proto=https\r\nX-Request-Id: " ID "\r\n\r\n",
		    hosts[i], hosts[i], strchr(hosts[i], ':') ? "\"" : "", hosts[i],
		    strchr(hosts[i], ':') ? "\"" : "");
		origin_gets(text);
		leave();
	}
}

static void a_body_that_breaks_its_chunks_is_never_completed(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	origin_accepts();
	origin_gets("POST / HTTP/1.1\r\n" H XF "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	say(&rig.client, "0x5\r\nworld\r\n0\r\n\r\n");
	client_gets_page(400);
	expect_closed(&rig.origin, "the origin");
	assert_string_equal(rig.origin.bytes, "");
}

static void a_client_that_leaves_takes_its_upstream_connection_along(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
	origin_accepts();
	hang_up(&rig.client);
	expect_closed(&rig.origin, "the origin");
	turns(2);
	assert_true(rig.is_closed);
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	reset_connection(&rig.client);
	expect_closed(&rig.origin, "the origin");
}

static void a_slow_head_ends_in_408(void **state)
{
	(void)state;
	visit();
	for (int i = 0; i < 3; i++) {
		say(&rig.client, "G");
		time_passes(3000);
		assert_false(rig.is_closed);
	}
	say(&rig.client, "G");
	time_passes(1500);
	client_gets_page(408);
	expect_closed(&rig.client, "the client");
}

static void silence_between_requests_ends_the_connection(void **state)
{
	(void)state;
	visit();
	time_passes(59000);
	assert_false(rig.is_closed);
	time_passes(2000);
	assert_true(rig.is_closed);
}

static void each_request_starts_the_idle_time_anew(void **state)
{
	(void)state;
	visit();
	for (int i = 0; i < 3; i++) {
		time_passes(40000);
		say(&rig.client, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
		client_gets_page(421);
		forget(&rig.client);
	}
	assert_false(rig.is_closed);
}

/* Our own answer and the next request's way to the origin fall into one event. */
static void the_wait_for_a_head_ends_with_it_whatever_follows(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "GET / HTTP/1.1\r\nHost: b.exam");
	turns(3);
	say(&rig.client, "ple\r\n\r\n" GET("/slow"));
	origin_accepts();
	time_passes(rig.config->header_timeout_ms + 1000);
	assert_false(rig.is_closed);
	origin_gets(FORWARDED("/slow"));
	say(&rig.origin, "HTTP/1.1 204 No Content\r\n\r\n");
	expect_ending(&rig.client, "HTTP/1.1 204 No Content\r\n\r\n");
}

static void a_body_that_stops_coming_ends_in_408(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\n");
	origin_accepts();
	for (int i = 0; i < 3; i++) {
		time_passes(20000);
		say(&rig.client, "x");
		turns(2);
	}
	assert_false(rig.is_closed);
	time_passes(31000);
	client_gets_page(408);
	expect_closed(&rig.origin, "the origin");
}

static void a_client_that_takes_nothing_is_cut_off(void **state)
{
	static char piece[65536];

	(void)state;
	visit_with(true, 16 * 1024);
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
	for (int i = 0; i < 200; i++) {
		send(rig.origin.fd, piece, sizeof piece, MSG_NOSIGNAL);
		turn();
	}
	time_passes(29000);
	assert_false(rig.is_closed);
	time_passes(2000);
	assert_true(rig.is_closed);
	expect_closed(&rig.origin, "the origin");
}

static void a_lingering_close_has_an_end(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "BAD\n");
	client_gets_page(400);
	say(&rig.client, "more and more");
	turns(2);
	assert_false(rig.is_closed);
	time_passes(2500);
	assert_true(rig.is_closed);
}

/* ---- upstreams that break theirs */

static void expect_502_for(const char *response)
{
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, response);
	client_gets_page(502);
	expect_closed(&rig.origin, response);
	assert_int_equal(harness_idle_upstreams(), 0);
	leave();
}

static void responses_that_can_be_read_in_two_ways_are_502(void **state)
{
	static const char *const responses[] = {
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
	    "HTTP/1.1 200 OK\n\n",
	    "HTTP/2 200 OK\r\n\r\n",
	    "<html>hello</html>\r\n\r\n",
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof responses / sizeof *responses; i++)
		expect_502_for(responses[i]);
}

static void endless_interim_responses_are_502(void **state)
{
	static char flood[(UPSTREAM_INTERIM_MAX + 1) * 32];

	(void)state;
	flood[0] = '\0';
	for (int i = 0; i <= UPSTREAM_INTERIM_MAX; i++)
		strcat(flood, "HTTP/1.1 102 P\r\n\r\n");
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, flood);
	expect_closed(&rig.origin, "the origin");
	expect_ending(&rig.client, "502 Bad Gateway\n");
}

static void a_response_head_over_64_kib_is_502(void **state)
{
	size_t size = 70000;
	char *head = malloc(size + 1);

	(void)state;
	memset(head, 'x', size);
	head[size] = '\0';
	memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	send(rig.origin.fd, head, size, MSG_NOSIGNAL);
	client_gets_page(502);
	free(head);
}

/* The buffer is full, and its last byte the end of a line: no line is too long, and yet nothing more can
 * come. */
static void a_response_head_that_fills_its_buffer_exactly_is_502(void **state)
{
	static const char start[] = "HTTP/1.1 200 OK\r\nX: ";
	char *head = malloc(HTTP_HEAD_MAX);

	(void)state;
	memset(head, 'a', HTTP_HEAD_MAX);
	memcpy(head, start, sizeof start - 1);
	memcpy(head + HTTP_HEAD_MAX - 2, "\r\n", 2);
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	give(&rig.origin, head, HTTP_HEAD_MAX);
	client_gets_page(502);
	free(head);
}

static void a_cut_length_is_seen_as_cut(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
	hang_up(&rig.origin);
	expect_closed(&rig.client, "the client");
	assert_string_equal(rig.client.bytes, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
}

static void cut_chunks_get_no_last_chunk(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	hang_up(&rig.origin);
	expect_closed(&rig.client, "the client");
	assert_string_equal(
	    rig.client.bytes, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
}

static void a_cut_until_close_ends_in_a_reset(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "GET / HTTP/1.0\r\n\r\n");
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	client_gets("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
	hang_up(&rig.origin);
	expect_closed(&rig.client, "the client");
	assert_true(rig.client.reset);
}

static void a_reset_until_close_is_not_taken_for_its_end(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\n\r\nhello");
	client_gets("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	reset_connection(&rig.origin);
	expect_closed(&rig.client, "the client");
	assert_string_equal(rig.client.bytes, "");
}

/* Until everything on the way to an origin that does not read is full. */
static void upload_until_stuck(const char *body, size_t size)
{
	size_t sent = 0;

	for (int idle = 0; idle < 20 && sent < size; turn()) {
		ssize_t put = send(rig.client.fd, body + sent, size - sent, MSG_NOSIGNAL);

		idle = put > 0 ? 0 : idle + 1;
		sent += put > 0 ? (size_t)put : 0;
	}
}

/* The failed write of the upload takes the reset's error, so that the next read sees a plain end. */
static void a_reset_during_an_upload_is_not_taken_for_its_end_either(void **state)
{
	enum { SIZE = 8 * 1024 * 1024 };
	char *body = calloc(1, SIZE);

	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 8388608\r\n\r\n");
	origin_accepts();
	upload_until_stuck(body, SIZE);
	say(&rig.origin, "HTTP/1.1 200 OK\r\n\r\nhello");
	client_gets(
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n");
	hang_up(&rig.origin);
	expect_closed(&rig.client, "the client");
	assert_string_equal(rig.client.bytes, "");
	free(body);
}

static void bad_chunks_from_upstream_cut_the_response(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n");
	expect_closed(&rig.client, "the client");
	assert_null(strstr(rig.client.bytes, "0\r\n\r\n"));
}

static void bytes_behind_a_response_end_the_connection(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	say(&rig.origin,
	    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	expect_closed(&rig.origin, "the origin");
	say(&rig.client, GET("/2"));
	origin_accepts();
	origin_gets(FORWARDED("/2"));
}

static void bytes_on_an_idle_connection_end_it(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	expect_closed(&rig.origin, "the origin");
	assert_int_equal(harness_idle_upstreams(), 0);
}

/* The request is ready first, so that the bytes are still in the socket when a connection is wanted. */
static void bytes_behind_a_response_are_never_the_next_answer(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	say(&rig.client, GET("/2"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
	origin_accepts();
	origin_gets(FORWARDED("/2"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
}

static void an_idle_upstream_connection_is_not_kept_for_ever(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	assert_int_equal(harness_idle_upstreams(), 1);
	time_passes(UPSTREAM_IDLE_MS + 100);
	assert_int_equal(harness_idle_upstreams(), 0);
	expect_closed(&rig.origin, "the origin");
}

static void an_upstream_connection_used_again_is_kept_anew(void **state)
{
	(void)state;
	visit();
	for (int i = 0; i < 2; i++) {
		say(&rig.client, GET("/1"));
		if (i == 0)
			origin_accepts();
		origin_gets(FORWARDED("/1"));
		say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
		client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
		time_passes(UPSTREAM_IDLE_MS - 20000);
	}
	assert_int_equal(harness_idle_upstreams(), 1);
	time_passes(20000);
	assert_int_equal(harness_idle_upstreams(), 0);
}

/* A connection that has served one request and waits for the next. */
static void keep_one(void)
{
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	origin_gets(FORWARDED("/1"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
}

static void a_get_that_meets_the_end_of_a_kept_connection_goes_again_once(void **state)
{
	(void)state;
	keep_one();
	say(&rig.client, GET("/2"));
	origin_gets(FORWARDED("/2"));
	hang_up(&rig.origin);
	origin_accepts();
	origin_gets(FORWARDED("/2"));
	hang_up(&rig.origin);
	client_gets_page(502);
	assert_true(nobody_connects());
}

static void a_post_that_meets_the_end_of_a_kept_connection_is_502(void **state)
{
	(void)state;
	keep_one();
	say(&rig.client, "POST /2 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	origin_gets("POST /2 HTTP/1.1\r\n" H XF "Content-Length: 2\r\n\r\nhi");
	hang_up(&rig.origin);
	client_gets_page(502);
	assert_true(nobody_connects());
}

static void a_post_without_a_body_is_not_sent_again_either(void **state)
{
	(void)state;
	keep_one();
	say(&rig.client, "POST /2 HTTP/1.1\r\n" H "\r\n");
	origin_gets("POST /2 HTTP/1.1\r\n" H XF "\r\n");
	hang_up(&rig.origin);
	client_gets_page(502);
	assert_true(nobody_connects());
}

static void a_get_that_was_answered_in_part_is_not_sent_again(void **state)
{
	(void)state;
	keep_one();
	say(&rig.client, GET("/2"));
	origin_gets(FORWARDED("/2"));
	say(&rig.origin, "HTTP/1.1 200");
	turns(3);
	hang_up(&rig.origin);
	client_gets_page(502);
	assert_true(nobody_connects());
}

static void a_fresh_connection_that_dies_is_502_at_once(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	hang_up(&rig.origin);
	client_gets_page(502);
	assert_true(nobody_connects());
}

static void a_post_avoids_a_kept_connection_whose_end_has_come(void **state)
{
	(void)state;
	keep_one();
	/* Both are in their sockets before the loop turns, and the request is looked at first. */
	say(&rig.client, "POST /2 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	hang_up(&rig.origin);
	origin_accepts();
	origin_gets("POST /2 HTTP/1.1\r\n" H XF "Content-Length: 2\r\n\r\nhi");
}

static void no_listener_is_503(void **state)
{
	(void)state;
	close(rig.listener);
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi" GET("/2"));
	client_gets_page(503);
	rig.listener = -1;
}

static void the_next_address_is_tried_with_the_whole_request(void **state)
{
	struct net_address dead = {.size = 0};

	(void)state;
	close(listen_anywhere(&dead));
	another_upstream_comes_first(&dead);
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nhi");
	origin_accepts();
	origin_gets("POST / HTTP/1.1\r\n" H XF "Content-Length: 2\r\n\r\nhi");
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void a_hanging_connect_is_504(void **state)
{
	struct upstream_config *config = plain_upstream_config();
	struct net_address hole = {.size = 0};
	int fillers[2];
	int fd = blackhole(&hole, fillers);

	(void)state;
	add_upstream(config, &hole);
	upstreams_configure(rig.edge.upstreams, config);
	upstream_config_unref(config);
	visit();
	say(&rig.client, GET("/"));
	turns(5);
	time_passes(4500);
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
	time_passes(1000);
	client_gets_page(504);
	close(fd);
	close(fillers[0]);
	close(fillers[1]);
}

static void a_body_larger_than_the_buffers_survives_a_hanging_connect(void **state)
{
	enum { SIZE = 300000 };
	struct net_address hole = {.size = 0};
	char *body = malloc(SIZE);
	int fillers[2];
	size_t sent = 0;

	(void)state;
	int fd = blackhole(&hole, fillers);
	another_upstream_comes_first(&hole);
	memset(body, 'x', SIZE);
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 300000\r\n\r\n");
	for (int i = 0; i < 50; i++) {
		ssize_t put = send(rig.client.fd, body + sent, SIZE - sent, MSG_NOSIGNAL);

		sent += put > 0 ? (size_t)put : 0;
		turn();
	}
	time_passes(5500);
	origin_accepts();
	for (int i = 0; i < PATIENCE_ROUNDS && rig.origin.size < SIZE; i++) {
		ssize_t put = sent < SIZE ? send(rig.client.fd, body + sent, SIZE - sent, MSG_NOSIGNAL) : 0;

		sent += put > 0 ? (size_t)put : 0;
		turn();
		look(&rig.origin);
	}
	assert_true(rig.origin.size > SIZE);
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	close(fd);
	close(fillers[0]);
	close(fillers[1]);
	free(body);
}

static void a_silent_upstream_is_504(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	time_passes(59000);
	look(&rig.client);
	assert_int_equal(rig.client.size, 0);
	time_passes(1500);
	client_gets_page(504);
	expect_closed(&rig.origin, "the origin");
}

static void a_response_that_stops_is_cut(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel");
	time_passes(59000);
	say(&rig.origin, "lo");
	client_gets("lo");
	time_passes(59000);
	assert_false(rig.is_closed);
	time_passes(2000);
	assert_true(rig.is_closed);
}

static void an_upstream_that_answers_and_stops_listening_is_heard(void **state)
{
	enum { SIZE = 8 * 1024 * 1024 };
	char *body = calloc(1, SIZE);

	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 8388608\r\n\r\n");
	origin_accepts();
	upload_until_stuck(body, SIZE);
	/* The unread upload makes this close a reset, which the edge sees together with the answer. */
	say(&rig.origin, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n");
	hang_up(&rig.origin);
	client_gets("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n");
	free(body);
}

static void an_error_page_for_head_has_no_body(void **state)
{
	(void)state;
	close(rig.listener);
	rig.listener = -1;
	visit();
	say(&rig.client, "HEAD / HTTP/1.1\r\n" H "\r\n");
	expect_ending(&rig.client, "Content-Length: 24\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(what_can_be_read_in_two_ways_is_refused_and_closed),
	    rig_test(a_host_of_another_handshake_is_misdirected),
	    rig_test(the_second_request_is_checked_as_the_first),
	    rig_test(the_handshakes_name_is_found_in_any_spelling),
	    rig_test(a_body_that_breaks_its_chunks_is_never_completed),
	    rig_test(a_client_that_leaves_takes_its_upstream_connection_along),
	    rig_test(a_slow_head_ends_in_408),
	    rig_test(silence_between_requests_ends_the_connection),
	    rig_test(each_request_starts_the_idle_time_anew),
	    rig_test(the_wait_for_a_head_ends_with_it_whatever_follows),
	    rig_test(a_body_that_stops_coming_ends_in_408),
	    rig_test(a_client_that_takes_nothing_is_cut_off),
	    rig_test(a_lingering_close_has_an_end),
	    rig_test(responses_that_can_be_read_in_two_ways_are_502),
	    rig_test(endless_interim_responses_are_502),
	    rig_test(a_response_head_over_64_kib_is_502),
	    rig_test(a_response_head_that_fills_its_buffer_exactly_is_502),
	    rig_test(a_cut_length_is_seen_as_cut),
	    rig_test(cut_chunks_get_no_last_chunk),
	    rig_test(a_cut_until_close_ends_in_a_reset),
	    rig_test(a_reset_until_close_is_not_taken_for_its_end),
	    rig_test(a_reset_during_an_upload_is_not_taken_for_its_end_either),
	    rig_test(bad_chunks_from_upstream_cut_the_response),
	    rig_test(bytes_behind_a_response_end_the_connection),
	    rig_test(bytes_on_an_idle_connection_end_it),
	    rig_test(bytes_behind_a_response_are_never_the_next_answer),
	    rig_test(an_idle_upstream_connection_is_not_kept_for_ever),
	    rig_test(an_upstream_connection_used_again_is_kept_anew),
	    rig_test(a_get_that_meets_the_end_of_a_kept_connection_goes_again_once),
	    rig_test(a_post_that_meets_the_end_of_a_kept_connection_is_502),
	    rig_test(a_post_without_a_body_is_not_sent_again_either),
	    rig_test(a_get_that_was_answered_in_part_is_not_sent_again),
	    rig_test(a_fresh_connection_that_dies_is_502_at_once),
	    rig_test(a_post_avoids_a_kept_connection_whose_end_has_come),
	    rig_test(no_listener_is_503),
	    rig_test(the_next_address_is_tried_with_the_whole_request),
	    rig_test(a_hanging_connect_is_504),
	    rig_test(a_body_larger_than_the_buffers_survives_a_hanging_connect),
	    rig_test(a_silent_upstream_is_504),
	    rig_test(a_response_that_stops_is_cut),
	    rig_test(an_upstream_that_answers_and_stops_listening_is_heard),
	    rig_test(an_error_page_for_head_has_no_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
