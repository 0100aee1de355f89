/* What an HTTP/2 connection to an upstream says, when, and what it makes of the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "common/base/tally.h"
#include "edge/loop/deadline.h"
#include "edge/upstream/upstream_h2_flood.h"
#include "tests/support/h2_upstream.h"

#define GET "GET /a HTTP/1.1\r\nHost: app.test\r\nX-Seen: 1\r\n\r\n"
#define POST "POST /b HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n"
#define PUT "PUT /b HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\n"

static const struct upstream_request whole = {.is_whole = true};
static const struct upstream_request chunked = {.body = HTTP_BODY_CHUNKED};
static const struct upstream_request sized = {.body = HTTP_BODY_LENGTH};

enum { FRAMES_MAX = 4096, SEEN_MAX = 1024 * 1024 };

struct seen_frame {
	int type, flags, stream;
	size_t size;
	uint32_t word; /* the first four bytes of what it holds */
};

static struct seen_frame frames[FRAMES_MAX];
static size_t frame_count;
static unsigned char seen[SEEN_MAX];
static size_t seen_size;

static uint32_t word_at(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Reads what the connection has said so far, but for its magic. */
static void look(void)
{
	ssize_t got = 0;

	h2_rig_rounds(ROUNDS_TO_SETTLE);
	while ((got = recv(h2_rig.peer, seen + seen_size, SEEN_MAX - seen_size, 0)) > 0) {
		seen_size += (size_t)got;
		h2_rig_rounds(ROUNDS_TO_SETTLE);
	}
	frame_count = 0;
	for (size_t at = NGHTTP2_CLIENT_MAGIC_LEN; at + 9 <= seen_size;) {
		const unsigned char *head = seen + at;
		size_t size = word_at(head) >> 8;

		assert_true(frame_count < FRAMES_MAX);
		frames[frame_count++] = (struct seen_frame){
		    head[3], head[4], (int)word_at(head + 5), size, size >= 4 ? word_at(head + 9) : 0};
		at += 9 + size;
	}
}

/* Of what it says nothing is kept. */
static void drain(void)
{
	char bytes[4096];

	h2_rig_rounds(ROUNDS_TO_SETTLE);
	while (recv(h2_rig.peer, bytes, sizeof bytes, 0) > 0)
		continue;
}

static const struct seen_frame *last_of(int type, int stream)
{
	look();
	for (size_t i = frame_count; i-- > 0;)
		if (frames[i].type == type && frames[i].stream == stream)
			return &frames[i];
	return NULL;
}

static size_t count_of(int type)
{
	size_t count = 0;

	look();
	for (size_t i = 0; i < frame_count; i++)
		count += frames[i].type == type;
	return count;
}

static void say(int type, int flags, int stream, const void *bytes, size_t size)
{
	unsigned char frame[9 + 20000] = {(unsigned char)(size >> 16), (unsigned char)(size >> 8),
	    (unsigned char)size, (unsigned char)type, (unsigned char)flags, 0, 0,
	    (unsigned char)(stream >> 8), (unsigned char)stream};

	memcpy(frame + 9, bytes, size);
	h2_rig_say(frame, 9 + size);
}

static void say_word(int type, int stream, uint32_t word)
{
	const unsigned char bytes[] = {(unsigned char)(word >> 24), (unsigned char)(word >> 16),
	    (unsigned char)(word >> 8), (unsigned char)word};

	say(type, 0, stream, bytes, 4);
}

static void say_head(int stream, bool is_last)
{
	say(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (is_last ? NGHTTP2_FLAG_END_STREAM : 0), stream,
	    "\x88", 1);
}

static void say_goaway(uint32_t last_stream)
{
	const unsigned char bytes[8] = {0, 0, 0, (unsigned char)last_stream};

	say(NGHTTP2_GOAWAY, 0, 0, bytes, sizeof bytes);
}

static int begin(void **state)
{
	(void)state;
	seen_size = frame_count = 0;
	h2_rig_begin();
	atomic_store(&h2_rig.address->h2_streams, 0);
	say(NGHTTP2_SETTINGS, 0, 0, "", 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	h2_rig_end();
	return 0;
}

static void expect_rest(struct ask *ask, enum result wanted, const char *bytes)
{
	struct buf rest;

	buf_init(&rest, UPSTREAM_OUT_MAX);
	assert_int_equal(upstream_call_recover(ask->call, &rest), wanted);
	if (bytes)
		assert_string_equal(buf_string(&rest), bytes);
	buf_fini(&rest);
}

/* ---- requests */

static void a_request_without_a_body_is_one_frame(void **state)
{
	(void)state;
	h2_rig_ask(GET, &whole);
	const struct seen_frame *head = last_of(NGHTTP2_HEADERS, 1);
	assert_non_null(head);
	assert_int_equal(head->flags, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM);
	assert_memory_equal(seen, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	assert_int_equal(frames[0].type, NGHTTP2_SETTINGS);
	/* SETTINGS_ENABLE_PUSH, 0 */
	assert_memory_equal(seen + NGHTTP2_CLIENT_MAGIC_LEN + 9, "\0\2\0\0\0\0", 6);
	assert_null(last_of(NGHTTP2_DATA, 1));
}

static void what_rests_behind_the_head_is_sent_as_body(void **state)
{
	struct upstream_request about = {.body = HTTP_BODY_CHUNKED, .is_whole = true};

	(void)state;
	h2_rig_ask(POST "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n", &about);
	const struct seen_frame *data = last_of(NGHTTP2_DATA, 1);
	assert_non_null(data);
	assert_int_equal(data->size, 5);
	assert_int_equal(data->flags, 0);
	const struct seen_frame *trailers = last_of(NGHTTP2_HEADERS, 1);
	assert_true(trailers > data);
	assert_true(trailers->flags & NGHTTP2_FLAG_END_STREAM);
}

static void a_body_waits_for_the_upstreams_window(void **state)
{
	static char bytes[UPSTREAM_SEND_BUFFER];
	struct ask *ask = h2_rig_ask(POST, &chunked);
	size_t taken = 0;
	size_t more = 0;

	(void)state;
	do {
		look();
		more = upstream_call_send(ask->call, bytes, sizeof bytes);
		taken += more;
	} while (more > 0);
	assert_int_equal(taken, 65535 + UPSTREAM_SEND_BUFFER);
	assert_int_equal(ask->rooms, 0);
	say_word(NGHTTP2_WINDOW_UPDATE, 0, 20000);
	say_word(NGHTTP2_WINDOW_UPDATE, 1, 20000);
	look();
	assert_int_equal(ask->rooms, 1);
	assert_int_equal(upstream_call_send(ask->call, bytes, sizeof bytes), 20000);
}

static void an_empty_body_still_ends(void **state)
{
	struct ask *ask = h2_rig_ask(POST, &chunked);

	(void)state;
	assert_false(last_of(NGHTTP2_HEADERS, 1)->flags & NGHTTP2_FLAG_END_STREAM);
	upstream_call_send_end(ask->call, NULL);
	const struct seen_frame *data = last_of(NGHTTP2_DATA, 1);
	assert_non_null(data);
	assert_int_equal(data->flags, NGHTTP2_FLAG_END_STREAM);
}

/* ---- responses */

static void windows_open_as_the_client_takes(void **state)
{
	static char bytes[16384];
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	ask->appetite = 0;
	say_head(1, false);
	for (int i = 0; i < 3; i++)
		say(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes);
	assert_null(last_of(NGHTTP2_WINDOW_UPDATE, 1));
	ask->appetite = SIZE_MAX;
	upstream_call_resume(ask->call);
	assert_int_equal(ask->taken, 3 * sizeof bytes);
	const struct seen_frame *update = last_of(NGHTTP2_WINDOW_UPDATE, 1);
	assert_non_null(update);
	assert_int_equal(update->word, 3 * sizeof bytes);
}

static void a_client_that_keeps_up_gets_a_larger_window(void **state)
{
	static char bytes[16384];
	uint64_t granted = 0;

	(void)state;
	h2_rig_ask(GET, &whole);
	say_head(1, false);
	for (int i = 0; i < 6; i++) {
		say(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes);
		look();
	}
	for (size_t i = 0; i < frame_count; i++)
		if (frames[i].type == NGHTTP2_WINDOW_UPDATE && frames[i].stream == 1)
			granted += frames[i].word;
	assert_true(granted >= UPSTREAM_H2_WINDOW_FAST - UPSTREAM_H2_WINDOW);
}

/* Its window is what waits for it here. */
static void a_client_that_was_slow_once_gets_no_larger_window(void **state)
{
	static char bytes[16384];
	enum { PIECES = 8 };
	uint64_t granted = 0;
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	say_head(1, false);
	ask->appetite = 0;
	say(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes);
	ask->appetite = SIZE_MAX;
	upstream_call_resume(ask->call);
	for (int i = 1; i < PIECES; i++) {
		say(NGHTTP2_DATA, 0, 1, bytes, sizeof bytes);
		look();
	}
	for (size_t i = 0; i < frame_count; i++)
		if (frames[i].type == NGHTTP2_WINDOW_UPDATE && frames[i].stream == 1)
			granted += frames[i].word;
	assert_int_equal(ask->taken, PIECES * sizeof bytes);
	assert_true(granted <= PIECES * sizeof bytes);
}

static void what_came_whole_outlives_the_connection(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	ask->appetite = 2;
	say_head(1, false);
	say(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "body", 4);
	h2_rig_hang_up();
	assert_null(h2_rig.conn);
	assert_false(ask->failed);
	ask->appetite = SIZE_MAX;
	upstream_call_resume(ask->call);
	assert_true(ask->ended);
	assert_int_equal(ask->taken, 4);
}

static void what_came_whole_is_no_less_for_a_reset_behind_it(void **state)
{
	struct ask *ask = h2_rig_ask(POST, &chunked);

	(void)state;
	ask->appetite = 2;
	say_head(1, false);
	say(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "body", 4);
	say_word(NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
	assert_false(ask->failed);
	ask->appetite = SIZE_MAX;
	upstream_call_resume(ask->call);
	assert_true(ask->ended);
	assert_int_equal(ask->taken, 4);
}

/* A flood ends the connection in the middle of what was read. */
static void what_came_whole_outlives_what_breaks_the_connection(void **state)
{
	enum { FRAME = 9, CONTINUATIONS = UPSTREAM_H2_FLOOD_CONTINUATIONS_MAX + 1 };
	static const unsigned char answer[] = "\0\0\1\1\4\0\0\0\1\x88"
					      "\0\0\4\0\1\0\0\0\1"
					      "body"
					      "\0\0\1\1\0\0\0\0\3\x88";
	unsigned char bytes[sizeof answer - 1 + CONTINUATIONS * FRAME];
	struct ask *ask = h2_rig_ask(GET, &whole);
	struct ask *other = h2_rig_ask(GET, &whole);

	(void)state;
	look();
	memcpy(bytes, answer, sizeof answer - 1);
	for (size_t i = 0; i < CONTINUATIONS; i++)
		memcpy(bytes + sizeof answer - 1 + i * FRAME, "\0\0\0\x9\0\0\0\0\3", FRAME);
	h2_rig_say(bytes, sizeof bytes);
	assert_null(h2_rig.conn);
	assert_true(ask->ended);
	assert_int_equal(ask->taken, 4);
	assert_true(other->failed);
}

static void a_cut_response_fails(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	say_head(1, false);
	say(NGHTTP2_DATA, 0, 1, "bo", 2);
	h2_rig_hang_up();
	assert_true(ask->failed);
	assert_int_equal(ask->failure, UPSTREAM_CLOSED);
	expect_rest(ask, R_NONE, NULL);
}

/* ---- what may be sent again */

static void above_a_goaways_last_stream_all_may_be_sent_again(void **state)
{
	struct ask *first = h2_rig_ask(GET, &whole);
	struct ask *second = h2_rig_ask(PUT, &sized);

	(void)state;
	assert_int_equal(upstream_call_send(second->call, "body", 4), 4);
	upstream_call_send_end(second->call, NULL);
	look();
	say_goaway(1);
	assert_false(first->failed);
	assert_true(second->failed);
	assert_int_equal(second->failure, UPSTREAM_UNPROCESSED);
	expect_rest(second, R_OK, PUT "body");
	assert_false(upstream_h2_has_room(h2_rig.conn));
	say_head(1, true);
	assert_true(first->ended);
	assert_null(h2_rig.conn);
}

static void a_refused_stream_rests_as_it_was_and_the_connection_has_no_room_for_a_moment(void **state)
{
	struct ask *ask = h2_rig_ask(POST, &chunked);

	(void)state;
	upstream_call_send(ask->call, "hello", 5);
	look();
	say_word(NGHTTP2_RST_STREAM, 1, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(ask->failure, UPSTREAM_UNPROCESSED);
	expect_rest(ask, R_OK, POST "5\r\nhello\r\n");
	assert_false(upstream_h2_has_room(h2_rig.conn));
	loop_pass(h2_rig.loop, UPSTREAM_H2_REFUSED_MS);
	assert_true(upstream_h2_has_room(h2_rig.conn));
}

/* Its stream is over, which its user hears at the end of the round; a piece of the body comes before. */
static void send_late(struct deadline *deadline)
{
	struct ask *ask = &h2_rig.asks[1];

	(void)deadline;
	assert_false(ask->failed);
	assert_int_equal(upstream_call_send(ask->call, "late", 4), 4);
	upstream_call_send_end(ask->call, NULL);
}

static void what_is_sent_before_the_refusal_is_told_is_not_lost(void **state)
{
	static const unsigned char goaway[] = "\0\0\x8\7\0\0\0\0\0\0\0\0\1\0\0\0";
	struct deadline due;

	(void)state;
	h2_rig_ask(GET, &whole);
	look();
	deadline_init(&due, h2_rig.loop, send_late);
	deadline_set(&due, 1);
	fake_us += 1000;
	(void)!send(h2_rig.peer, goaway, sizeof goaway, MSG_NOSIGNAL);
	struct ask *ask = h2_rig_ask(POST "5\r\nearly\r\n", &chunked);
	assert_true(ask->failed);
	assert_int_equal(ask->failure, UPSTREAM_UNPROCESSED);
	expect_rest(ask, R_OK, POST "5\r\nearly\r\n4\r\nlate\r\n0\r\n\r\n");
	deadline_fini(&due);
}

static void who_has_too_much_gets_nothing_new_for_a_moment(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	look();
	say_word(NGHTTP2_RST_STREAM, 1, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_int_equal(ask->failure, UPSTREAM_RESET);
	assert_false(upstream_h2_has_room(h2_rig.conn));
	loop_pass(h2_rig.loop, UPSTREAM_H2_REFUSED_MS);
	assert_true(upstream_h2_has_room(h2_rig.conn));
}

static void a_long_body_is_not_kept(void **state)
{
	static char bytes[UPSTREAM_H2_REPLAY_MAX];
	struct ask *ask = h2_rig_ask(POST, &chunked);

	(void)state;
	upstream_call_send(ask->call, bytes, sizeof bytes);
	look();
	say_word(NGHTTP2_RST_STREAM, 1, NGHTTP2_REFUSED_STREAM);
	assert_int_equal(ask->failure, UPSTREAM_UNPROCESSED);
	expect_rest(ask, R_NONE, NULL);
}

static void the_end_of_a_connection_leaves_only_what_has_no_body(void **state)
{
	struct ask *get = h2_rig_ask(GET, &whole);
	struct ask *post = h2_rig_ask(POST, &chunked);

	(void)state;
	upstream_call_send(post->call, "x", 1);
	look();
	h2_rig_hang_up();
	assert_int_equal(get->failure, UPSTREAM_CLOSED);
	expect_rest(get, R_LOST, GET);
	expect_rest(post, R_NONE, NULL);
}

static void other_resets_are_not_taken_for_refusals(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	look();
	say_word(NGHTTP2_RST_STREAM, 1, NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(ask->failure, UPSTREAM_RESET);
	expect_rest(ask, R_LOST, GET);
	assert_non_null(h2_rig.conn);
}

static void who_wants_http11_has_not_looked_at_it(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	h2_rig.address->tls = true;
	look();
	say_word(NGHTTP2_RST_STREAM, 1, NGHTTP2_HTTP_1_1_REQUIRED);
	h2_rig.address->tls = false;
	assert_int_equal(ask->failure, UPSTREAM_UNPROCESSED);
	assert_int_equal(upstream_call_reset_code(ask->call), NGHTTP2_HTTP_1_1_REQUIRED);
	assert_false(upstream_h2_is_retired(h2_rig.conn));
	expect_rest(ask, R_OK, GET);
}

/* As gRPC's servers do, to learn how much fits into the path; and those that end what nobody reads. */
static void pings_and_resets_for_what_was_sent_are_no_flood(void **state)
{
	const int count = 2 * UPSTREAM_H2_FLOOD_FRAMES_MAX;

	(void)state;
	for (int i = 0; i < count; i++) {
		int stream = 2 * i + 1;
		struct ask *ask = h2_rig_ask(
		    PUT "body", &(struct upstream_request){.body = HTTP_BODY_LENGTH, .is_whole = true});

		say(NGHTTP2_PING, 0, 0, "12345678", 8);
		say_head(stream, true);
		say_word(NGHTTP2_RST_STREAM, stream, NGHTTP2_NO_ERROR);
		say_word(NGHTTP2_WINDOW_UPDATE, 0, 4);
		assert_true(ask->ended);
		memset(ask, 0, sizeof *ask);
		drain();
	}
	assert_non_null(h2_rig.conn);
}

static void more_pings_than_that_are_one(void **state)
{
	(void)state;
	for (int i = 0; i <= UPSTREAM_H2_FLOOD_FRAMES_MAX && h2_rig.conn; i++) {
		say(NGHTTP2_PING, 0, 0, "12345678", 8);
		drain();
	}
	assert_null(h2_rig.conn);
}

/* Its server would take more for an attack, and end what others have on it. */
static void a_connection_that_many_have_left_takes_no_more(void **state)
{
	(void)state;
	for (int i = 0; i < UPSTREAM_H2_RESETS_MAX; i++) {
		assert_false(upstream_h2_is_retired(h2_rig.conn));
		struct ask *ask = h2_rig_ask(GET, &whole);
		ask_leave(ask);
		memset(ask, 0, sizeof *ask);
	}
	look();
	assert_int_equal(count_of(NGHTTP2_RST_STREAM), UPSTREAM_H2_RESETS_MAX);
	assert_true(upstream_h2_is_retired(h2_rig.conn));
	assert_false(upstream_h2_has_room(h2_rig.conn));
}

/* Its PROXY header speaks for one client; a reload may have switched the headers off meanwhile. */
static void a_connection_that_is_about_one_client_takes_one_request(void **state)
{
	(void)state;
	h2_rig_end();
	h2_rig_begin_with(true);
	say(NGHTTP2_SETTINGS, 0, 0, "", 0);
	assert_true(upstream_h2_has_room(h2_rig.conn));
	h2_rig_ask(GET, &whole);
	assert_false(upstream_h2_has_room(h2_rig.conn));
	say_head(1, true);
	assert_false(upstream_h2_has_room(h2_rig.conn));
	assert_true(upstream_h2_is_retired(h2_rig.conn));
}

static void memory_is_counted_and_given_back(void **state)
{
	int64_t before = tally_sum(TALLY_BUFFER_BYTES);
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	assert_true(before > 0); /* nghttp2's */
	assert_true(tally_sum(TALLY_BUFFER_BYTES) > before);
	ask_leave(ask);
	end(NULL);
	assert_int_equal(tally_sum(TALLY_BUFFER_BYTES), 0);
	begin(NULL);
}

static void who_allows_no_stream_is_not_kept(void **state)
{
	(void)state;
	say(NGHTTP2_SETTINGS, 0, 0, "\0\3\0\0\0\0", 6);
	assert_true(upstream_h2_is_retired(h2_rig.conn));
}

/* ---- time */

static void a_silent_upstream_is_asked_whether_it_is_there(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	h2_rig.timeouts.first_byte_ms = 3600 * 1000;
	h2_rig_rounds(2);
	upstream_call_flush(ask->call);
	loop_pass(h2_rig.loop, UPSTREAM_H2_PING_AFTER_MS - 1);
	assert_int_equal(count_of(NGHTTP2_PING), 0);
	loop_pass(h2_rig.loop, 1);
	assert_int_equal(count_of(NGHTTP2_PING), 1);
	say(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
	loop_pass(h2_rig.loop, UPSTREAM_H2_PING_AFTER_MS);
	assert_int_equal(count_of(NGHTTP2_PING), 1);
	loop_pass(h2_rig.loop, UPSTREAM_H2_PING_AGAIN_MS - UPSTREAM_H2_PING_AFTER_MS);
	assert_int_equal(count_of(NGHTTP2_PING), 2);
	assert_false(ask->failed);
	loop_pass(h2_rig.loop, UPSTREAM_H2_PING_WAIT_MS);
	assert_true(ask->failed);
	assert_int_equal(ask->failure, UPSTREAM_CLOSED);
	assert_null(h2_rig.conn);
	h2_rig.timeouts.first_byte_ms = 60000;
}

static void an_idle_connection_is_not_asked(void **state)
{
	(void)state;
	look();
	loop_pass(h2_rig.loop, 1000 * 1000);
	assert_int_equal(count_of(NGHTTP2_PING), 0);
	assert_non_null(h2_rig.conn);
}

static void a_stream_that_takes_too_long_is_cancelled_alone(void **state)
{
	struct ask *slow = h2_rig_ask(GET, &whole);

	(void)state;
	look();
	loop_pass(h2_rig.loop, 8000);
	struct ask *later = h2_rig_ask(GET, &whole);
	h2_rig.timeouts.first_byte_ms = 8000;
	upstream_call_flush(slow->call);
	h2_rig.timeouts.first_byte_ms = 60000;
	loop_pass(h2_rig.loop, 8000);
	assert_true(slow->failed);
	assert_int_equal(slow->failure, UPSTREAM_TIMEOUT);
	assert_false(later->failed);
	const struct seen_frame *reset = last_of(NGHTTP2_RST_STREAM, 1);
	assert_non_null(reset);
	assert_int_equal(reset->word, NGHTTP2_CANCEL);
}

/* ---- room */

static void the_upstream_says_how_many_at_a_time_and_is_remembered(void **state)
{
	(void)state;
	say(NGHTTP2_SETTINGS, 0, 0, "\0\3\0\0\0\2", 6);
	struct ask *first = h2_rig_ask(GET, &whole);
	assert_true(upstream_h2_has_room(h2_rig.conn));
	h2_rig_ask(GET, &whole);
	assert_false(upstream_h2_has_room(h2_rig.conn));
	assert_int_equal(upstream_h2_most_streams(h2_rig.address), 2);
	look();
	say_head(1, true);
	assert_true(first->ended);
	assert_true(upstream_h2_has_room(h2_rig.conn));
}

/* They would wait for streams that may last for hours. */
static void what_is_more_than_it_allows_goes_elsewhere(void **state)
{
	static const unsigned char two[] = "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\2";
	struct ask *asks[4];

	(void)state;
	look();
	(void)!send(h2_rig.peer, two, sizeof two - 1, MSG_NOSIGNAL);
	for (int i = 0; i < 4; i++) {
		struct buf bytes;

		asks[i] = &h2_rig.asks[i];
		buf_init(&bytes, UPSTREAM_OUT_MAX);
		buf_append(&bytes, GET, sizeof GET - 1);
		asks[i]->call = upstream_h2_open(h2_rig.conn, -1);
		upstream_call_attach(asks[i]->call, &ask_user, asks[i]);
		upstream_call_start(asks[i]->call, &bytes, &whole);
		upstream_call_flush(asks[i]->call);
	}
	look();
	assert_int_equal(count_of(NGHTTP2_HEADERS), 2);
	for (int i = 0; i < 4; i++)
		assert_int_equal(asks[i]->failed, i >= 2);
	assert_int_equal(asks[2]->failure, UPSTREAM_UNPROCESSED);
	expect_rest(asks[2], R_OK, GET);
	expect_rest(asks[3], R_OK, GET);
	assert_int_equal(count_of(NGHTTP2_RST_STREAM), 0);
}

static void the_owner_hears_of_the_last_stream(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	look();
	assert_int_equal(h2_rig.idles, 0);
	say_head(1, true);
	assert_true(ask->ended);
	assert_int_equal(h2_rig.idles, 1);
	upstream_h2_close(h2_rig.conn);
	h2_rig.conn = NULL;
	assert_non_null(last_of(NGHTTP2_GOAWAY, 0));
}

static void who_leaves_cancels(void **state)
{
	struct ask *ask = h2_rig_ask(GET, &whole);

	(void)state;
	look();
	ask_leave(ask);
	const struct seen_frame *reset = last_of(NGHTTP2_RST_STREAM, 1);
	assert_non_null(reset);
	assert_int_equal(reset->word, NGHTTP2_CANCEL);
	say_head(1, true);
	assert_non_null(h2_rig.conn);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(a_request_without_a_body_is_one_frame),
	    CASE(what_rests_behind_the_head_is_sent_as_body),
	    CASE(a_body_waits_for_the_upstreams_window),
	    CASE(an_empty_body_still_ends),
	    CASE(windows_open_as_the_client_takes),
	    CASE(a_client_that_keeps_up_gets_a_larger_window),
	    CASE(a_client_that_was_slow_once_gets_no_larger_window),
	    CASE(what_came_whole_outlives_the_connection),
	    CASE(what_came_whole_is_no_less_for_a_reset_behind_it),
	    CASE(what_came_whole_outlives_what_breaks_the_connection),
	    CASE(a_cut_response_fails),
	    CASE(above_a_goaways_last_stream_all_may_be_sent_again),
	    CASE(a_refused_stream_rests_as_it_was_and_the_connection_has_no_room_for_a_moment),
	    CASE(what_is_sent_before_the_refusal_is_told_is_not_lost),
	    CASE(who_has_too_much_gets_nothing_new_for_a_moment),
	    CASE(a_long_body_is_not_kept),
	    CASE(the_end_of_a_connection_leaves_only_what_has_no_body),
	    CASE(other_resets_are_not_taken_for_refusals),
	    CASE(who_wants_http11_has_not_looked_at_it),
	    CASE(a_silent_upstream_is_asked_whether_it_is_there),
	    CASE(an_idle_connection_is_not_asked),
	    CASE(a_stream_that_takes_too_long_is_cancelled_alone),
	    CASE(the_upstream_says_how_many_at_a_time_and_is_remembered),
	    CASE(what_is_more_than_it_allows_goes_elsewhere),
	    CASE(the_owner_hears_of_the_last_stream),
	    CASE(who_leaves_cancels),
	    CASE(pings_and_resets_for_what_was_sent_are_no_flood),
	    CASE(more_pings_than_that_are_one),
	    CASE(a_connection_that_many_have_left_takes_no_more),
	    CASE(a_connection_that_is_about_one_client_takes_one_request),
	    CASE(memory_is_counted_and_given_back),
	    CASE(who_allows_no_stream_is_not_kept),
	};

	return cmocka_run_group_tests_name("edge/upstream_h2", tests, NULL, NULL);
}
