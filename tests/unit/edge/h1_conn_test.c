#include "common/log/log.h"
#include "edge/front/access_log.h"
#include "h1_harness.h"

static void a_request_and_its_response_pass(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "GET /x HTTP/1.1\r\n" H "X-Forwarded-For: 1.1.1.1\r\nAccept: */*\r\n\r\n");
	origin_accepts();
	origin_gets("GET /x HTTP/1.1\r\n" H "Accept: */*\r\n" XF "\r\n");
	say(&rig.origin, "HTTP/1.1 200 OK\r\nServer: o\r\nContent-Length: 5\r\n\r\nhello");
	client_gets("HTTP/1.1 200 OK\r\nServer: o\r\nContent-Length: 5\r\n\r\nhello");
}

static void a_response_is_given_the_date_and_the_requests_id(void **state)
{
	(void)state;
	visit();
	rig.shows_own = true;
	say(&rig.client, GET("/1") "GET /2 HTTP/1.1\r\n" H "X-Request-Id: mine\r\n\r\n");
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n" OWN_DATE OWN_ID
		    "Content-Length: 0\r\n\r\n");
	origin_gets(FORWARDED("/1") "GET /2 HTTP/1.1\r\n" H XF_FROM("192.0.2.7", "mine") "\r\n");
	say(&rig.origin, "HTTP/1.1 200 OK\r\ndate: x\r\nx-request-id: y\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\ndate: x\r\nx-request-id: y\r\nContent-Length: 0\r\n\r\n");
}

static void the_clients_of_a_cdn_are_told_apart_on_one_connection(void **state)
{
	static struct ip_range cdn = {.family = AF_INET, .bytes = {192, 0, 2}, .bits = 24};

	(void)state;
	rig.edge_config.trust.cdns = (struct ip_ranges){&cdn, 1};
	visit();
	say(&rig.client, "GET /1 HTTP/1.1\r\n" H "X-Forwarded-For: 203.0.113.1\r\n\r\n");
	origin_accepts();
	origin_gets("GET /1 HTTP/1.1\r\n" H XF_FROM("203.0.113.1", ID) "\r\n");
	say(&rig.origin, "HTTP/1.1 204 No Content\r\n\r\n");
	client_gets("HTTP/1.1 204 No Content\r\n\r\n");
	say(&rig.client, GET("/2"));
	origin_gets(FORWARDED("/2"));
}

static void the_next_request_reuses_both_connections(void **state)
{
	(void)state;
	visit();
	for (int i = 0; i < 3; i++) {
		say(&rig.client, GET("/"));
		if (i == 0)
			origin_accepts();
		origin_gets(FORWARDED("/"));
		say(&rig.origin, "HTTP/1.1 204 No Content\r\n\r\n");
		client_gets("HTTP/1.1 204 No Content\r\n\r\n");
		turn();
		assert_int_equal(harness_idle_upstreams(), 1);
	}
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/1") GET("/2") GET("/3"));
	origin_accepts();
	origin_gets(FORWARDED("/1"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
	origin_gets(FORWARDED("/2"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n");
	origin_gets(FORWARDED("/3"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
		    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n"
		    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3");
}

static void thousands_of_pipelined_requests_need_no_stack(void **state)
{
	enum { COUNT = 2000 };
	static const char one[] =
	    "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n"; /* a large frame: the Location */
	char *bytes = malloc(COUNT * sizeof one);
	size_t answered = 0;

	(void)state;
	bytes[0] = '\0';
	for (int i = 0; i < COUNT; i++)
		memcpy(bytes + (size_t)i * (sizeof one - 1), one, sizeof one);
	visit_with(false, 0);
	give(&rig.client, bytes, COUNT * (sizeof one - 1));
	for (int i = 0; i < PATIENCE_ROUNDS && answered < COUNT; i++) {
		turn();
		look(&rig.client);
		answered = 0;
		for (char *at = rig.client.bytes; (at = strstr(at, "HTTP/1.1 308 ")); at++)
			answered++;
	}
	assert_int_equal(answered, COUNT);
	free(bytes);
}

static size_t answers_seen;

static void count_answers(struct loop_task *task)
{
	(void)task;
	look(&rig.client);
	for (const char *at = rig.client.bytes; (at = strstr(at, "HTTP/1.1 421")); at++)
		answers_seen++;
}

static void a_tireless_client_lets_others_have_their_turn(void **state)
{
	enum { COUNT = 100 };
	static const char one[] = "GET / HTTP/1.1\r\nHost: b\r\n\r\n";
	char requests[COUNT * (sizeof one - 1) + 1];
	struct loop_task others = {.run = count_answers};

	(void)state;
	answers_seen = 0;
	for (size_t i = 0; i < COUNT; i++)
		strcpy(requests + i * (sizeof one - 1), one);
	visit();
	say(&rig.client, requests);
	loop_defer(rig.loop, &others);
	turn();
	if (answers_seen == 0 || answers_seen == COUNT)
		fail_msg("%zu answers before others had their turn", answers_seen);
	turns(20);
	answers_seen = 0;
	count_answers(&others);
	assert_int_equal(answers_seen, COUNT);
}

static void a_body_with_a_length_is_streamed_up(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
	origin_accepts();
	origin_gets("POST / HTTP/1.1\r\n" H XF "Content-Length: 10\r\n\r\nhello");
	say(&rig.client, "world" GET("/2"));
	origin_gets("world");
	say(&rig.origin, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	origin_gets(FORWARDED("/2"));
}

static void a_chunked_body_and_its_trailers_are_streamed_up(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n");
	origin_accepts();
	origin_gets("POST / HTTP/1.1\r\n" H XF "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	say(&rig.client, "0\r\nX-Sum: 9\r\nHost: evil\r\n\r\n");
	origin_gets("0\r\nX-Sum: 9\r\n\r\n");
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(harness_idle_upstreams(), 1);
}

static void chunks_and_trailers_are_streamed_down(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n");
	client_gets("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
	say(&rig.origin, "1\r\n!\r\n0\r\nX-Sum: 1\r\nContent-Length: 3\r\n\r\n");
	client_gets("1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\n");
}

static void a_response_until_close_becomes_chunks(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	origin_gets(FORWARDED("/1"));
	say(&rig.origin, "HTTP/1.0 200 OK\r\n\r\nhello");
	hang_up(&rig.origin);
	client_gets("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
	say(&rig.client, GET("/2"));
	origin_accepts();
	origin_gets(FORWARDED("/2"));
}

static void head_204_and_304_have_no_body(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "HEAD / HTTP/1.1\r\n" H "\r\n" GET("/2") GET("/3"));
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
	say(&rig.origin, "HTTP/1.1 204 No Content\r\n\r\n");
	client_gets("HTTP/1.1 204 No Content\r\n\r\n");
	say(&rig.origin, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
	client_gets("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n");
}

static void expect_100_continue_goes_both_ways(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	origin_accepts();
	origin_gets("PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\n" XF "Content-Length: 5\r\n\r\n");
	say(&rig.origin, "HTTP/1.1 100 Continue\r\n\r\n");
	client_gets("HTTP/1.1 100 Continue\r\n\r\n");
	say(&rig.client, "hello");
	origin_gets("hello");
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static void expect_100_continue_may_be_refused_without_the_body(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	expect_closed(&rig.client, "the client");
	expect_closed(&rig.origin, "the origin, which still waits for the body");
}

static void early_hints_are_passed_on(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	say(&rig.origin,
	    "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets(
	    "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

/* A 103 is not the word that it waits for: it sends nothing, and that is no fault of its own. */
static void who_awaits_100_is_not_hurried_by_a_103(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "PUT / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 103 Early Hints\r\n\r\n");
	client_gets("HTTP/1.1 103 Early Hints\r\n\r\n");
	time_passes(31000);
	say(&rig.origin, "HTTP/1.1 100 Continue\r\n\r\n");
	client_gets("HTTP/1.1 100 Continue\r\n\r\n");
	say(&rig.client, "hello");
	expect_ending(&rig.origin, "hello");
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

/* upstream-timeout is for the answer; upstream-idle-timeout is for pauses in it. */
static void behind_a_1xx_the_answer_is_awaited_as_before(void **state)
{
	struct upstream_config *config = plain_upstream_config();

	(void)state;
	config->idle_ms = 5000;
	add_upstream(config, &rig.origin_address);
	upstreams_configure(rig.edge.upstreams, config);
	upstream_config_unref(config);
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	for (int i = 0; i < 2; i++) {
		say(&rig.origin, "HTTP/1.1 103 Early Hints\r\n\r\n");
		client_gets("HTTP/1.1 103 Early Hints\r\n\r\n");
		time_passes(59000);
	}
	time_passes(2000);
	client_gets_page(504);
}

static void http_1_0_gets_no_interim_response_and_no_chunks(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "GET / HTTP/1.0\r\n\r\n");
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin,
	    "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	    "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello");
	expect_closed(&rig.client, "the client");
	assert_true(rig.client.eof);
}

static void http_1_0_may_keep_the_connection(void **state)
{
	(void)state;
	visit();
	for (int i = 0; i < 2; i++) {
		say(&rig.client, "GET / HTTP/1.0\r\nHost: a.example\r\nConnection: keep-alive\r\n\r\n");
		if (i == 0)
			origin_accepts();
		origin_gets(FORWARDED("/"));
		say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
		client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi");
	}
}

static void a_connection_ends_when_its_site_is_not_served_any_more(void **state)
{
	static const char closing[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
	static const char staying[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

	(void)state;
	store_site("a.example");
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	store_site("b.example");
	say(&rig.origin, staying);
	client_gets(staying);
	site_cache_remove(rig.edge.sites, "a.example");
	say(&rig.client, GET("/2"));
	expect_ending(&rig.origin, FORWARDED("/2"));
	say(&rig.origin, staying);
	client_gets(closing);
	expect_closed(&rig.client, "the client");
}

static void connection_close_is_obeyed(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
	expect_closed(&rig.client, "the client");
	assert_int_equal(harness_idle_upstreams(), 1);
}

static void a_client_may_close_its_half_after_the_request(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	shutdown(rig.client.fd, SHUT_WR);
	origin_accepts();
	turns(5);
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
	expect_closed(&rig.client, "the client");
	assert_true(rig.client.eof);
}

static void an_early_response_ends_an_upload(void **state)
{
	(void)state;
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H "Content-Length: 1000000\r\n\r\nhello");
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly");
	expect_closed(&rig.origin, "the origin");
	say(&rig.client, "more");
	expect_closed(&rig.client, "the client");
	assert_true(rig.client.eof);
	assert_int_equal(harness_idle_upstreams(), 0);
}

/* The body of a response, byte i being i modulo 251, so that a hole or a swap shows. */
static char *pattern(size_t size)
{
	char *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i % 251);
	return bytes;
}

static size_t origin_pushes(const char *bytes, size_t size)
{
	size_t given = 0;

	for (int idle = 0; idle < 30 && given < size;) {
		ssize_t put = send(rig.origin.fd, bytes + given, size - given, MSG_NOSIGNAL);

		idle = put > 0 ? 0 : idle + 1;
		given += put > 0 ? (size_t)put : 0;
		turn();
	}
	return given;
}

static void a_slow_reader_holds_the_origin_back(void **state)
{
	enum { SIZE = 64 * 1024 * 1024 };
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n";
	char *body = pattern(SIZE);
	size_t sent = 0;
	size_t checked = 0;
	int buffer = 64 * 1024;

	(void)state;
	visit_with(true, buffer);
	say(&rig.client, GET("/"));
	origin_accepts();
	setsockopt(rig.origin.fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	say(&rig.origin, head);
	sent = origin_pushes(body, SIZE);
	/* What the kernel's four buffers and ours hold; far from the whole. */
	assert_true(sent < 16 * 1024 * 1024);
	client_gets_page(200);
	assert_memory_equal(rig.client.bytes, head, sizeof head - 1);
	memmove(rig.client.bytes, rig.client.bytes + sizeof head - 1, rig.client.size - (sizeof head - 1));
	rig.client.size -= sizeof head - 1;
	for (int i = 0; i < 100000 && checked < SIZE; i++) {
		assert_memory_equal(rig.client.bytes, body + checked, rig.client.size);
		checked += rig.client.size;
		rig.client.size = 0;
		if (sent < SIZE) {
			ssize_t put = send(rig.origin.fd, body + sent, SIZE - sent, MSG_NOSIGNAL);
			sent += put > 0 ? (size_t)put : 0;
		}
		turn();
		look(&rig.client);
	}
	assert_int_equal(checked, SIZE);
	free(body);
}

static void a_slow_origin_holds_the_client_back(void **state)
{
	enum { SIZE = 64 * 1024 * 1024 };
	char *body = pattern(SIZE);
	size_t sent = 0;

	(void)state;
	visit();
	say(&rig.client, "PUT / HTTP/1.1\r\n" H "Content-Length: 67108864\r\n\r\n");
	origin_accepts();
	origin_gets("PUT / HTTP/1.1\r\n" H XF "Content-Length: 67108864\r\n\r\n");
	for (int idle = 0; idle < 30 && sent < SIZE;) {
		ssize_t put = send(rig.client.fd, body + sent, SIZE - sent, MSG_NOSIGNAL);

		idle = put > 0 ? 0 : idle + 1;
		sent += put > 0 ? (size_t)put : 0;
		turn();
	}
	assert_true(sent < 32 * 1024 * 1024);
	for (size_t checked = 0; checked < SIZE;) {
		look(&rig.origin);
		assert_memory_equal(rig.origin.bytes, body + checked, rig.origin.size);
		checked += rig.origin.size;
		rig.origin.size = 0;
		if (sent < SIZE) {
			ssize_t put = send(rig.client.fd, body + sent, SIZE - sent, MSG_NOSIGNAL);
			sent += put > 0 ? (size_t)put : 0;
		}
		turn();
		assert_false(rig.origin.eof || rig.origin.reset || rig.is_closed);
	}
	free(body);
}

static void a_large_chunked_response_arrives_whole(void **state)
{
	enum { PIECE = 100000, COUNT = 50 };
	char *piece = malloc(PIECE + 16);
	size_t data = 0;

	(void)state;
	visit_with(true, 64 * 1024);
	say(&rig.client, "GET / HTTP/1.0\r\n\r\n");
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	memcpy(piece, "186a0\r\n", 7);
	memset(piece + 7, 'x', PIECE);
	memcpy(piece + 7 + PIECE, "\r\n", 2);
	for (int i = 0; i < COUNT; i++) {
		size_t given = 0;

		while (given < PIECE + 9) {
			ssize_t put = send(rig.origin.fd, piece + given, PIECE + 9 - given, MSG_NOSIGNAL);

			given += put > 0 ? (size_t)put : 0;
			turn();
			look(&rig.client);
			data += rig.client.size;
			forget(&rig.client);
		}
	}
	say(&rig.origin, "0\r\n\r\n");
	while (!rig.client.eof && !rig.client.reset) {
		turn();
		look(&rig.client);
		data += rig.client.size;
		forget(&rig.client);
	}
	assert_int_equal(data, (size_t)PIECE * COUNT);
	free(piece);
}

static void drain_finishes_what_is_in_flight(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/1"));
	origin_accepts();
	http_conn_drain(rig.conn);
	turns(3);
	assert_false(rig.is_closed);
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
	expect_closed(&rig.client, "the client");
	turns(2);
	assert_true(rig.is_closed);
}

static void drain_closes_an_idle_connection_but_answers_what_is_already_there(void **state)
{
	(void)state;
	visit();
	turn();
	http_conn_drain(rig.conn);
	expect_closed(&rig.client, "an idle client");
	turn();
	visit();
	turn();
	say(&rig.client, GET("/"));
	http_conn_drain(rig.conn);
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

static void a_draining_node_says_connection_close(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	atomic_store(&rig.edge.draining, true);
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	expect_closed(&rig.client, "the client");
}

static void requests_are_counted_by_class_and_connections_by_kind(void **state)
{
	const struct http_metrics *metrics = &rig.config->metrics;
	const struct upstream_metrics *connections = upstreams_metrics(rig.edge.upstreams);
	int64_t ok = metric_get(metrics->requests[2]);
	int64_t gone = metric_get(metrics->requests[0]);
	int64_t fresh = metric_get(connections->connections_new);
	int64_t reused = metric_get(connections->connections_reused);

	(void)state;
	visit();
	for (int i = 0; i < 2; i++) {
		say(&rig.client, GET("/"));
		if (i == 0)
			origin_accepts();
		origin_gets(FORWARDED("/"));
		say(&rig.origin, "HTTP/1.1 204 No Content\r\n\r\n");
		client_gets("HTTP/1.1 204 No Content\r\n\r\n");
	}
	say(&rig.client, GET("/"));
	origin_gets(FORWARDED("/"));
	reset_connection(&rig.client);
	turns(3);
	assert_int_equal(metric_get(metrics->requests[2]) - ok, 2);
	assert_int_equal(metric_get(metrics->requests[0]) - gone, 1);
	assert_int_equal(metric_get(connections->connections_new) - fresh, 1);
	assert_int_equal(metric_get(connections->connections_reused) - reused, 2);
}

static void the_access_log_has_a_line_for_each_request(void **state)
{
	int ends[2];
	struct seen lines = {.fd = -1};

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	rig.edge.access_log = access_log_new(ends[1]);
	rig.config->access_log = true;
	visit();
	say(&rig.client,
	    "GET /a\"b?token=secret HTTP/1.1\r\n" H
	    "Cookie: secret\r\nUser-Agent: a\"b\r\nReferer: https://u:secret@a.example/x?secret\r\n\r\n");
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	client_gets("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	seen_reset(&lines, ends[0]);
	access_log_free(rig.edge.access_log);
	rig.edge.access_log = NULL;
	lines.size = (size_t)read(ends[0], lines.bytes, SEEN_MAX);
	lines.bytes[lines.size] = '\0';
	assert_non_null(strstr(lines.bytes,
	    " client=192.0.2.7 method=GET host=a.example path=\"/a\\\"b\" http=1.1 status=200 bytes_in="));
	assert_non_null(strstr(lines.bytes, " bytes_out=125 served_before=0 "));
	assert_non_null(strstr(lines.bytes, " request_id=" ID " "));
	assert_non_null(strstr(lines.bytes, " user_agent=\"a\\\"b\" referer=a.example/x\n"));
	assert_non_null(strstr(lines.bytes, " upstream=127.0.0.1:"));
	assert_null(strstr(lines.bytes, "secret"));
	seen_reset(&lines, -1);
	free(lines.bytes);
	close(ends[1]);
}

static void abort_closes_at_once_and_says_so(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	http_conn_abort(rig.conn);
	turns(2);
	assert_true(rig.is_closed);
	expect_closed(&rig.client, "the client");
	expect_closed(&rig.origin, "the origin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(a_request_and_its_response_pass),
	    rig_test(a_response_is_given_the_date_and_the_requests_id),
	    rig_test(the_clients_of_a_cdn_are_told_apart_on_one_connection),
	    rig_test(the_next_request_reuses_both_connections),
	    rig_test(pipelined_requests_are_answered_in_order),
	    rig_test(thousands_of_pipelined_requests_need_no_stack),
	    rig_test(a_tireless_client_lets_others_have_their_turn),
	    rig_test(a_body_with_a_length_is_streamed_up),
	    rig_test(a_chunked_body_and_its_trailers_are_streamed_up),
	    rig_test(chunks_and_trailers_are_streamed_down),
	    rig_test(a_response_until_close_becomes_chunks),
	    rig_test(head_204_and_304_have_no_body),
	    rig_test(expect_100_continue_goes_both_ways),
	    rig_test(expect_100_continue_may_be_refused_without_the_body),
	    rig_test(early_hints_are_passed_on),
	    rig_test(who_awaits_100_is_not_hurried_by_a_103),
	    rig_test(behind_a_1xx_the_answer_is_awaited_as_before),
	    rig_test(http_1_0_gets_no_interim_response_and_no_chunks),
	    rig_test(http_1_0_may_keep_the_connection),
	    rig_test(a_connection_ends_when_its_site_is_not_served_any_more),
	    rig_test(connection_close_is_obeyed),
	    rig_test(a_client_may_close_its_half_after_the_request),
	    rig_test(an_early_response_ends_an_upload),
	    rig_test(a_slow_reader_holds_the_origin_back),
	    rig_test(a_slow_origin_holds_the_client_back),
	    rig_test(a_large_chunked_response_arrives_whole),
	    rig_test(drain_finishes_what_is_in_flight),
	    rig_test(drain_closes_an_idle_connection_but_answers_what_is_already_there),
	    rig_test(a_draining_node_says_connection_close),
	    rig_test(requests_are_counted_by_class_and_connections_by_kind),
	    rig_test(the_access_log_has_a_line_for_each_request),
	    rig_test(abort_closes_at_once_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
