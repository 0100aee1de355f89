#include "edge/upstream/upstream_h2_flood.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct upstream_h2_flood flood;

static int begin(void **state)
{
	(void)state;
	flood = (struct upstream_h2_flood){.frames = 0};
	return 0;
}

static bool allows(uint8_t type, size_t length, uint8_t flags, bool is_awaited, int64_t now_ms)
{
	const nghttp2_frame_hd frame = {.type = type, .length = length, .flags = flags, .stream_id = 1};

	return upstream_h2_flood_allows(&flood, &frame, is_awaited, now_ms);
}

/* How many such frames are allowed at once, of 100,000. */
static int most(uint8_t type, size_t length, uint8_t flags, bool is_awaited)
{
	int count = 0;

	while (count < 100000 && allows(type, length, flags, is_awaited, 1000))
		count++;
	return count;
}

static void a_block_of_fields_has_an_end(void **state)
{
	(void)state;
	assert_true(allows(NGHTTP2_HEADERS, 64 * 1024, 0, true, 1));
	assert_true(allows(NGHTTP2_CONTINUATION, 64 * 1024, 0, true, 1));
	assert_false(allows(NGHTTP2_CONTINUATION, 1, 0, true, 1));
	assert_true(allows(NGHTTP2_HEADERS, 128 * 1024, 0, true, 1));
	assert_false(allows(NGHTTP2_HEADERS, 128 * 1024 + 1, 0, true, 1));
}

static void a_block_of_fields_comes_in_few_frames(void **state)
{
	(void)state;
	for (int block = 0; block < 3; block++) {
		assert_true(allows(NGHTTP2_HEADERS, 1, 0, true, 1));
		assert_int_equal(most(NGHTTP2_CONTINUATION, 0, 0, true), 16);
	}
}

static void what_carries_nothing_is_counted_together(void **state)
{
	(void)state;
	for (int i = 0; i < 250; i++) {
		assert_true(allows(NGHTTP2_SETTINGS, 0, 0, false, 1));
		assert_true(allows(NGHTTP2_PING, 8, 0, false, 1));
		assert_true(allows(NGHTTP2_RST_STREAM, 4, 0, false, 1));
		assert_true(allows(NGHTTP2_GOAWAY, 8, 0, false, 1));
		assert_true(allows(NGHTTP2_PRIORITY, 5, 0, false, 1));
		assert_true(allows(NGHTTP2_DATA, 0, 0, true, 1));
		assert_true(allows(NGHTTP2_HEADERS, 1, 0, false, 1));
		assert_true(allows(200, 1, 0, false, 1));
	}
	assert_false(allows(NGHTTP2_PING, 8, 0, false, 10000));
	assert_true(allows(NGHTTP2_PING, 8, 0, false, 10001));
}

static void what_was_asked_for_is_not_counted(void **state)
{
	(void)state;
	assert_int_equal(most(NGHTTP2_HEADERS, 1, 0, true), 100000);
	assert_int_equal(most(NGHTTP2_DATA, 1, 0, true), 100000);
	assert_int_equal(most(NGHTTP2_DATA, 0, NGHTTP2_FLAG_END_STREAM, true), 100000);
	assert_int_equal(most(NGHTTP2_PING, 8, 0, false), 2000);
}

static void what_we_send_may_be_answered(void **state)
{
	(void)state;
	assert_true(allows(NGHTTP2_DATA, 1, 0, true, 1000));
	for (int i = 0; i < 10; i++) {
		upstream_h2_flood_sent(&flood, NGHTTP2_HEADERS);
		upstream_h2_flood_sent(&flood, NGHTTP2_DATA);
		upstream_h2_flood_sent(&flood, NGHTTP2_PING);
	}
	assert_int_equal(most(NGHTTP2_WINDOW_UPDATE, 4, 0, true), 2000 + 10 * 4);
	assert_int_equal(most(NGHTTP2_RST_STREAM, 4, 0, true), 2000 + 10 * 2);
}

#define flood_test(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    flood_test(a_block_of_fields_has_an_end),
	    flood_test(a_block_of_fields_comes_in_few_frames),
	    flood_test(what_carries_nothing_is_counted_together),
	    flood_test(what_was_asked_for_is_not_counted),
	    flood_test(what_we_send_may_be_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
