#include "edge/front/h2_conn.h"

#include "edge/front/h2_limits.h"
#include "tests/unit/edge/h1_harness.h"
#include "tests/unit/edge/h2_frames.h"

static void say_frame(int kind, int flags, int stream, const void *bytes, size_t size)
{
	char frame[H2_FRAME_MAX];

	give(&rig.client, frame, h2_frame_write(frame, kind, flags, stream, bytes, size));
}

static void say_head(int stream, int flags, const char *block)
{
	say_frame(HEADERS, flags | END_HEADERS, stream, block, strlen(block));
}

static const unsigned char *heard(int kind, int stream, int nth)
{
	look(&rig.client);
	return h2_frame_find(rig.client.bytes, rig.client.size, kind, stream, nth);
}

static const unsigned char *hear(int kind, int stream, int nth)
{
	const unsigned char *frame = NULL;

	for (int i = 0; i < PATIENCE_ROUNDS && !(frame = heard(kind, stream, nth)); i++)
		turn();
	if (!frame)
		fail_msg("frame %d of kind %d on stream %d does not come", nth, kind, stream);
	return frame;
}

static int error_of(const unsigned char *frame)
{
	return frame[3] == GOAWAY ? frame[16] : frame[12];
}

static void visit_h2(void)
{
	int one = 1;

	rig.new_conn = h2_conn_new;
	rig.shows_own = true;
	visit();
	setsockopt(rig.client.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	give(&rig.client, H2_HELLO, sizeof H2_HELLO - 1);
	hear(SETTINGS, 0, 1);
}

static void a_request_goes_to_the_app_and_its_answer_back(void **state)
{
	(void)state;
	visit_h2();
	say_head(1, END_STREAM, GET_HEAD NAME);
	origin_accepts();
	for (int i = 0; i < 200 && rig.origin.size < 30; i++) {
		turn();
		look(&rig.origin);
	}
	assert_memory_equal(rig.origin.bytes, "GET / HTTP/1.1\r\nHost: a.example\r\n", 33);
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
	const unsigned char *data = hear(DATA, 1, 0);
	assert_memory_equal(data + 9, "hello", 5);
	/* With a known length its end needs no frame of its own. */
	assert_true(data[4] & END_STREAM);
	turns(2);
	assert_int_equal(harness_idle_upstreams(), 1);
}

static void a_reset_in_the_same_breath_costs_no_upstream(void **state)
{
	(void)state;
	visit_h2();
	give(&rig.client, "\0\0\x0e\1\5\0\0\0\1" GET_HEAD NAME "\0\0\4\3\0\0\0\0\1\0\0\0\10", 9 + 14 + 13);
	turns(5);
	assert_true(accept(rig.listener, NULL, NULL) < 0);
	assert_non_null(rig.conn);
}

static void an_idle_connection_is_told_twice_to_go(void **state)
{
	(void)state;
	visit_h2();
	time_passes(61000);
	const unsigned char *first = hear(GOAWAY, 0, 0);
	assert_int_equal(first[9], 0x7f);
	const unsigned char *ping = hear(PING, 0, 0);
	say_frame(PING, ACK, 0, ping + 9, 8);
	const unsigned char *last = hear(GOAWAY, 0, 1);
	assert_int_equal(last[12], 0);
	assert_int_equal(error_of(last), 0);
}

static void a_drain_does_not_wait_for_ever_for_its_ping(void **state)
{
	(void)state;
	visit_h2();
	http_conn_drain(rig.conn);
	hear(PING, 0, 0);
	assert_null(heard(GOAWAY, 0, 1));
	time_passes(2100);
	hear(GOAWAY, 0, 1);
	time_passes(2100);
	assert_null(rig.conn);
}

static void what_the_end_of_a_drain_cuts_is_counted(void **state)
{
	(void)state;
	visit_h2();
	say_head(1, END_STREAM, GET_HEAD NAME);
	origin_accepts();
	say(&rig.origin, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	hear(HEADERS, 1, 0);
	say_head(3, END_STREAM, GET_HEAD NAME);
	say_head(5, END_STREAM, GET_HEAD NAME);
	turns(5);
	int64_t before = metric_get(rig.config->metrics.cuts[CUT_DRAIN]);
	http_conn_drain(rig.conn);
	leave();
	assert_int_equal(metric_get(rig.config->metrics.cuts[CUT_DRAIN]), before + 2);
}

static void a_body_that_does_not_come_is_408(void **state)
{
	(void)state;
	visit_h2();
	say_head(1, 0, POST_HEAD NAME);
	origin_accepts();
	for (int i = 0; i < 40; i++)
		time_passes(1000);
	/* 408 is in no static table: a literal. */
	const unsigned char *head = hear(HEADERS, 1, 0);
	assert_true(head && (memmem(head, 64, "\x68\x0f", 2) || memmem(head, 64, "408", 3)));
	assert_int_equal(error_of(hear(RST_STREAM, 1, 0)), 0);
}

/* What is not whole then will never be, and need not wait for body-timeout. */
static void the_end_of_tcp_ends_what_is_not_whole(void **state)
{
	(void)state;
	visit_h2();
	say_head(1, 0, POST_HEAD NAME);
	origin_accepts();
	shutdown(rig.client.fd, SHUT_WR);
	expect_closed(&rig.origin, "the app");
	turns(2);
	assert_null(rig.conn);
}

static void look_ups_of_two_streams_are_told_apart(void **state)
{
	struct challenge_reply reply = {.connection = 77, .result = R_OK, .stream = 3, .id = 9};

	(void)state;
	visit_h2();
	rig.challenge_result = R_OK;
	for (int stream = 1; stream <= 3; stream += 2)
		say_head(stream, END_STREAM, "\x82\x87\x04\x1d/.well-known/acme-challenge/t\x01\x09" NAME);
	turns(5);
	strcpy(reply.key_authorization, "t.x");
	http_conn_challenge(rig.conn, &reply);
	assert_memory_equal(hear(DATA, 3, 0) + 9, "t.x", 3);
	assert_null(heard(HEADERS, 1, 0));
	reply.stream = 5;
	http_conn_challenge(rig.conn, &reply);
	turns(2);
	assert_null(heard(HEADERS, 1, 0));
}

/* The database may still be at work for them: whoever asks and resets is refused in the end. */
static void look_ups_that_were_reset_keep_their_slots(void **state)
{
	enum { BATCH = 64, ALL = H2_SLOTS_MAX + 2 * BATCH };

	(void)state;
	visit_h2();
	rig.challenge_result = R_OK;
	for (int i = 0; i < ALL; i += BATCH) {
		for (int j = i; j < i + BATCH; j++)
			say_head(2 * j + 1, END_STREAM,
			    "\x82\x87\x04\x1d/.well-known/acme-challenge/t\x01\x09" NAME);
		turns(2);
		for (int j = i; j < i + BATCH; j++)
			say_frame(RST_STREAM, 0, 2 * j + 1, "\0\0\0\10", 4);
		turns(2);
	}
	assert_null(heard(RST_STREAM, 2 * H2_SLOTS_MAX - 1, 0));
	assert_int_equal(error_of(hear(RST_STREAM, 2 * ALL - 1, 0)), 7);
}

static void a_purse_fills_with_time_and_with_work(void **state)
{
	struct h2_limits limits = {.slots = 0};
	int count = 0;

	(void)state;
	while (h2_limits_spend(&limits, H2_LIMIT_IDLE_FRAMES, 1000))
		count++;
	assert_int_equal(count, 1024);
	assert_false(h2_limits_spend(&limits, H2_LIMIT_IDLE_FRAMES, 1000));
	h2_limits_earn(&limits, 3);
	assert_true(h2_limits_spend(&limits, H2_LIMIT_IDLE_FRAMES, 1000));
	assert_false(h2_limits_spend(&limits, H2_LIMIT_IDLE_FRAMES, 1000));
	assert_true(h2_limits_spend(&limits, H2_LIMIT_IDLE_FRAMES, 1100));
	assert_true(h2_limits_spend(&limits, H2_LIMIT_RESETS, 1100));
}

static void slots_that_were_given_up_come_free_slowly(void **state)
{
	struct h2_limits limits = {.slots = 0};

	(void)state;
	for (int i = 0; i < 128; i++)
		h2_limits_hold_slot(&limits, 5000);
	assert_int_equal(h2_limits_held_slots(&limits, 5000), 128);
	assert_int_equal(h2_limits_held_slots(&limits, 5500), 64);
	assert_int_equal(h2_limits_held_slots(&limits, 7000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    rig_test(a_request_goes_to_the_app_and_its_answer_back),
	    rig_test(a_reset_in_the_same_breath_costs_no_upstream),
	    rig_test(an_idle_connection_is_told_twice_to_go),
	    rig_test(a_drain_does_not_wait_for_ever_for_its_ping),
	    rig_test(what_the_end_of_a_drain_cuts_is_counted),
	    rig_test(a_body_that_does_not_come_is_408),
	    rig_test(the_end_of_tcp_ends_what_is_not_whole),
	    rig_test(look_ups_of_two_streams_are_told_apart),
	    rig_test(look_ups_that_were_reset_keep_their_slots),
	    cmocka_unit_test(a_purse_fills_with_time_and_with_work),
	    cmocka_unit_test(slots_that_were_given_up_come_free_slowly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
