#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/front/h2_limits.h"

enum { NOW = 1000 * 1000, MANY = 100 * 1000 };

/* How many frames that carry nothing are let through at once. */
static int idle_frames_at(struct h2_limits *limits, int64_t now)
{
	int count = 0;

	while (count < MANY && h2_limits_spend(limits, H2_LIMIT_IDLE_FRAMES, now))
		count++;
	return count;
}

static void slots_of_requests_given_up_come_free_with_time(void **state)
{
	struct h2_limits limits = {.slots_at_ms = NOW};

	(void)state;
	for (int i = 0; i < H2_SLOTS_MAX; i++)
		h2_limits_hold_slot(&limits, NOW);
	assert_int_equal(h2_limits_held_slots(&limits, NOW), H2_SLOTS_MAX);
	assert_int_equal(h2_limits_held_slots(&limits, NOW + 500), H2_SLOTS_MAX - H2_SLOTS_FREED_PER_S / 2);
	assert_int_equal(h2_limits_held_slots(&limits, NOW + 60 * 1000), 0);
}

static void purse_that_is_empty_fills_slowly(void **state)
{
	struct h2_limits limits = {.at_ms[H2_LIMIT_IDLE_FRAMES] = NOW};

	(void)state;
	assert_int_equal(idle_frames_at(&limits, NOW), 1024);
	assert_int_equal(idle_frames_at(&limits, NOW + 1000), 64 - 1);
	assert_int_equal(idle_frames_at(&limits, NOW + 3600 * 1000), 1024);
}

static void work_pays_for_frames_that_come_later_but_not_for_any_number(void **state)
{
	struct h2_limits limits = {.at_ms[H2_LIMIT_IDLE_FRAMES] = NOW};

	(void)state;
	h2_limits_earn(&limits, 100);
	assert_int_equal(idle_frames_at(&limits, NOW + 1000), 1024 + 100);
	h2_limits_earn(&limits, MANY);
	assert_int_equal(idle_frames_at(&limits, NOW + 2000), 1024 + 8192);
}

static void each_limit_has_its_own_purse_and_end(void **state)
{
	struct h2_limits limits = {0};

	(void)state;
	assert_true(idle_frames_at(&limits, NOW) < MANY);
	assert_true(h2_limits_spend(&limits, H2_LIMIT_RESETS, NOW));
	assert_true(h2_limits_spend(&limits, H2_LIMIT_OWN_RESETS, NOW));
	assert_int_equal(h2_limit_end(H2_LIMIT_RESETS), H2_END_CLIENT_RESETS);
	assert_int_equal(h2_limit_end(H2_LIMIT_OWN_RESETS), H2_END_STREAM_ERRORS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slots_of_requests_given_up_come_free_with_time),
	    cmocka_unit_test(purse_that_is_empty_fills_slowly),
	    cmocka_unit_test(work_pays_for_frames_that_come_later_but_not_for_any_number),
	    cmocka_unit_test(each_limit_has_its_own_purse_and_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
