/* A connection that becomes a tunnel behind a 101: when it does, what passes, and how it ends. */
#include "h1_harness.h"

#include "edge/http/h1_write.h"

#define ASKS "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
#define QUESTION "GET /chat HTTP/1.1\r\n" H ASKS "\r\n"
#define ASKED_OF_ORIGIN \
	"GET /chat HTTP/1.1\r\n" H \
	"Sec-WebSocket-Key: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" XF "\r\n"
#define SWITCH \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" \
	"Sec-WebSocket-Accept: y\r\n\r\n"
#define SWITCHED \
	"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: y\r\nUpgrade: WebSocket\r\n" \
	"Connection: upgrade\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static int64_t ended_before[TUNNEL_END_COUNT];

/* Since the last tunnel was asked for. */
static int64_t ended(enum tunnel_end end)
{
	return metric_get(rig.config->metrics.tunnel_ends[end]) - ended_before[end];
}

static int64_t open_now(void)
{
	return metric_get(rig.config->metrics.tunnels);
}

static void ask(const char *more)
{
	visit();
	for (int i = 0; i < TUNNEL_END_COUNT; i++)
		ended_before[i] = metric_get(rig.config->metrics.tunnel_ends[i]);
	say(&rig.client, QUESTION);
	say(&rig.client, more);
	origin_accepts();
	origin_gets(ASKED_OF_ORIGIN);
}

static void open_tunnel(void)
{
	ask("");
	say(&rig.origin, SWITCH);
	client_gets(SWITCHED);
}

static void half_close(struct seen *side)
{
	assert_int_equal(shutdown(side->fd, SHUT_WR), 0);
}

static void gets_the_end(struct seen *side, const char *who)
{
	expect_closed(side, who);
	assert_false(side->reset);
}

static void bytes_pass_both_ways_behind_a_101(void **state)
{
	(void)state;
	open_tunnel();
	assert_int_equal(open_now(), 1);
	say(&rig.client, "GET / HTTP/1.1\r\n\r\n");
	origin_gets("GET / HTTP/1.1\r\n\r\n");
	say(&rig.origin, "HTTP/1.1 101 Again\r\n\r\n");
	client_gets("HTTP/1.1 101 Again\r\n\r\n");
	assert_true(metric_get(rig.config->metrics.tunnel_bytes_in) >= 18);
}

static void what_follows_the_question_waits_for_the_101(void **state)
{
	(void)state;
	ask("early");
	turns(5);
	origin_gets("");
	say(&rig.origin, "HTTP/1.1 103 Early Hints\r\n\r\n");
	client_gets("HTTP/1.1 103 Early Hints\r\n\r\n");
	turns(5);
	origin_gets("");
	say(&rig.origin, SWITCH);
	origin_gets("early");
	client_gets(SWITCHED);
}

static void what_follows_the_101_comes_behind_it(void **state)
{
	(void)state;
	ask("");
	say(&rig.origin, SWITCH "first");
	client_gets(SWITCHED "first");
}

static void another_answer_is_an_ordinary_one(void **state)
{
	(void)state;
	ask(GET("/next"));
	say(&rig.origin, OK);
	client_gets(OK);
	expect_closed(&rig.origin, "the origin that may have believed in a tunnel");
	origin_accepts();
	origin_gets(FORWARDED("/next"));
	say(&rig.origin, OK);
	client_gets(OK);
	assert_int_equal(open_now(), 0);
}

static void expect_502_for(const char *question, const char *answer)
{
	visit();
	say(&rig.client, question);
	origin_accepts();
	say(&rig.origin, answer);
	client_gets_page(502);
	expect_closed(&rig.origin, answer);
	leave();
}

static void a_101_that_was_not_asked_for_is_502(void **state)
{
	(void)state;
	expect_502_for(GET("/"), SWITCH);
	expect_502_for("GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\n\r\n", SWITCH);
	expect_502_for(QUESTION, "HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n");
	expect_502_for(QUESTION, "HTTP/1.1 101 S\r\n\r\n");
	expect_502_for(QUESTION, "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc");
	expect_502_for(
	    QUESTION, "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

static void a_question_with_a_body_is_none(void **state)
{
	(void)state;
	expect_502_for("POST / HTTP/1.1\r\n" H ASKS "Content-Length: 4\r\n\r\nbody", SWITCH);
	visit();
	say(&rig.client, "POST / HTTP/1.1\r\n" H ASKS "Content-Length: 4\r\n\r\nbody");
	origin_accepts();
	origin_gets("POST / HTTP/1.1\r\n" H "Sec-WebSocket-Key: x\r\n" XF "Content-Length: 4\r\n\r\nbody");
}

static void it_gets_a_connection_of_its_own_and_is_never_sent_twice(void **state)
{
	(void)state;
	visit();
	say(&rig.client, GET("/"));
	origin_accepts();
	origin_gets(FORWARDED("/"));
	say(&rig.origin, OK);
	client_gets(OK);
	turns(2);
	assert_int_equal(harness_idle_upstreams(), 1);
	say(&rig.client, QUESTION);
	struct seen kept = rig.origin;
	rig.origin = (struct seen){.fd = -1};
	origin_accepts();
	origin_gets(ASKED_OF_ORIGIN);
	hang_up(&rig.origin);
	client_gets_page(502);
	assert_true(nobody_connects());
	seen_reset(&rig.origin, -1);
	close(kept.fd);
	free(kept.bytes);
}

static void the_client_may_end_first(void **state)
{
	(void)state;
	open_tunnel();
	say(&rig.client, "bye");
	half_close(&rig.client);
	expect_ending(&rig.origin, "bye");
	gets_the_end(&rig.origin, "the origin");
	say(&rig.origin, "not yet");
	client_gets("not yet");
	assert_false(rig.is_closed);
	hang_up(&rig.origin);
	gets_the_end(&rig.client, "the client");
	turns(2);
	assert_true(rig.is_closed);
	assert_int_equal(ended(TUNNEL_WHOLE), 1);
	assert_int_equal(open_now(), 0);
	assert_int_equal(harness_idle_upstreams(), 0);
}

static void the_origin_may_end_first(void **state)
{
	(void)state;
	open_tunnel();
	say(&rig.origin, "bye");
	half_close(&rig.origin);
	expect_ending(&rig.client, "bye");
	gets_the_end(&rig.client, "the client");
	say(&rig.client, "not yet");
	origin_gets("not yet");
	assert_false(rig.is_closed);
	hang_up(&rig.client);
	gets_the_end(&rig.origin, "the origin");
	turns(2);
	assert_true(rig.is_closed);
	assert_int_equal(ended(TUNNEL_WHOLE), 1);
}

static void who_asks_and_ends_is_half_closed_behind_the_101(void **state)
{
	(void)state;
	ask("all of it");
	half_close(&rig.client);
	turns(5);
	origin_gets("");
	say(&rig.origin, SWITCH);
	expect_ending(&rig.origin, "all of it");
	gets_the_end(&rig.origin, "the origin");
	say(&rig.origin, "answer");
	hang_up(&rig.origin);
	expect_ending(&rig.client, "answer");
}

static void what_waits_is_delivered_after_the_other_side_has_ended(void **state)
{
	static char much[400 * 1000];
	size_t given = 0;

	(void)state;
	memset(much, 'x', sizeof much);
	open_tunnel();
	half_close(&rig.origin);
	gets_the_end(&rig.client, "the client");
	/* The origin does not read meanwhile: what it gets waits in the edge, too. */
	while (given < sizeof much) {
		ssize_t put = send(rig.client.fd, much + given, sizeof much - given, MSG_NOSIGNAL);

		if (put <= 0)
			break;
		given += (size_t)put;
		turn();
	}
	hang_up(&rig.client);
	turns(5);
	for (int i = 0; i < PATIENCE_ROUNDS && rig.origin.size < given; i++) {
		look(&rig.origin);
		turn();
	}
	assert_int_equal(rig.origin.size, given);
	gets_the_end(&rig.origin, "the origin");
}

/* Returns how many bytes were taken of `from` before it was held back. */
static size_t fill(struct seen *from)
{
	static char piece[16 * 1024];
	size_t given = 0;
	int refused = 0;

	while (refused < 20) {
		ssize_t put = send(from->fd, piece, sizeof piece, MSG_NOSIGNAL);

		turn();
		refused = put > 0 ? 0 : refused + 1;
		given += put > 0 ? (size_t)put : 0;
		assert_true(given < 64 * 1024 * 1024);
	}
	return given;
}

static void who_does_not_read_holds_the_other_side_back(void **state)
{
	(void)state;
	open_tunnel();
	size_t to_client = fill(&rig.origin);
	size_t to_origin = fill(&rig.client);

	assert_true(to_client > 0 && to_origin > 0);
	half_close(&rig.origin);
	half_close(&rig.client);
	while (!rig.client.eof) {
		forget(&rig.client);
		look(&rig.client);
		turn();
		to_client -= rig.client.size;
	}
	assert_int_equal(to_client, 0);
	while (!rig.origin.eof) {
		forget(&rig.origin);
		look(&rig.origin);
		turn();
		to_origin -= rig.origin.size;
	}
	assert_int_equal(to_origin, 0);
}

static void a_silent_tunnel_is_cut(void **state)
{
	(void)state;
	rig.config->tunnel_idle_timeout_ms = 60000;
	open_tunnel();
	for (int i = 0; i < 4; i++) {
		time_passes(25000);
		say(&rig.client, "x");
		origin_gets("x");
		time_passes(25000);
		say(&rig.origin, "y");
		client_gets("y");
	}
	time_passes(59000);
	assert_false(rig.is_closed);
	time_passes(2000);
	assert_true(rig.is_closed);
	expect_closed(&rig.client, "the client");
	expect_closed(&rig.origin, "the origin");
	assert_true(rig.origin.reset);
	assert_int_equal(ended(TUNNEL_IDLE), 1);
}

static void no_other_deadline_is_for_a_tunnel(void **state)
{
	(void)state;
	open_tunnel();
	fill(&rig.origin);
	time_passes(3000 * 1000);
	assert_false(rig.is_closed);
	look(&rig.client);
	assert_false(rig.client.eof || rig.client.reset);
}

static void a_tunnel_ends_with_its_site(void **state)
{
	(void)state;
	store_site("a.example");
	open_tunnel();
	time_passes(30000);
	assert_false(rig.is_closed);
	site_cache_remove(rig.edge.sites, "a.example");
	time_passes(10000);
	assert_true(rig.is_closed);
	assert_int_equal(ended(TUNNEL_UNSERVED), 1);
}

static void a_drain_waits_for_it_and_then_cuts(void **state)
{
	(void)state;
	open_tunnel();
	http_conn_drain(rig.conn);
	say(&rig.client, "x");
	origin_gets("x");
	http_conn_abort(rig.conn);
	turns(2);
	expect_closed(&rig.origin, "the origin");
	assert_true(rig.is_closed);
	assert_int_equal(ended(TUNNEL_DRAIN), 1);
}

static void a_reset_reaches_the_other_side(void **state)
{
	(void)state;
	open_tunnel();
	reset_connection(&rig.client);
	expect_closed(&rig.origin, "the origin");
	assert_true(rig.origin.reset);
	turns(2);
	assert_int_equal(ended(TUNNEL_CLIENT), 1);
	open_tunnel();
	reset_connection(&rig.origin);
	expect_closed(&rig.client, "the client");
	assert_true(rig.client.reset);
	assert_int_equal(ended(TUNNEL_UPSTREAM), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(bytes_pass_both_ways_behind_a_101),
	    rig_test(what_follows_the_question_waits_for_the_101),
	    rig_test(what_follows_the_101_comes_behind_it),
	    rig_test(another_answer_is_an_ordinary_one),
	    rig_test(a_101_that_was_not_asked_for_is_502),
	    rig_test(a_question_with_a_body_is_none),
	    rig_test(it_gets_a_connection_of_its_own_and_is_never_sent_twice),
	    rig_test(the_client_may_end_first),
	    rig_test(the_origin_may_end_first),
	    rig_test(who_asks_and_ends_is_half_closed_behind_the_101),
	    rig_test(what_waits_is_delivered_after_the_other_side_has_ended),
	    rig_test(who_does_not_read_holds_the_other_side_back),
	    rig_test(a_silent_tunnel_is_cut),
	    rig_test(no_other_deadline_is_for_a_tunnel),
	    rig_test(a_tunnel_ends_with_its_site),
	    rig_test(a_drain_waits_for_it_and_then_cuts),
	    rig_test(a_reset_reaches_the_other_side),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
