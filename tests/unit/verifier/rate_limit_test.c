#include "verifier/access/rate_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void twice_the_rate_at_once_then_the_rate(void **state)
{
	(void)state;
	struct rate_limit *limit = rate_limit_new(10);
	for (int i = 0; i < 20; i++)
		assert_int_equal(rate_limit_take(limit, 7, 1000), 0);
	assert_int_equal(rate_limit_take(limit, 7, 1000), 1);
	assert_int_equal(rate_limit_take(limit, 8, 1000), 0);
	assert_int_equal(rate_limit_take(limit, 7, 1100), 0);
	assert_int_equal(rate_limit_take(limit, 7, 1100), 1);
	rate_limit_free(limit);
}

static void refusals_cost_nothing(void **state)
{
	(void)state;
	struct rate_limit *limit = rate_limit_new(1);
	assert_int_equal(rate_limit_take(limit, 7, 0), 0);
	assert_int_equal(rate_limit_take(limit, 7, 0), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(rate_limit_take(limit, 7, 0), 1);
	assert_int_equal(rate_limit_take(limit, 7, 1000), 0);
	rate_limit_free(limit);
}

static void more_holders_than_places_stay_limited_or_begin_anew(void **state)
{
	(void)state;
	struct rate_limit *limit = rate_limit_new(1);
	for (int64_t holder = 1; holder <= 3 * RATE_LIMIT_HOLDERS; holder++)
		assert_int_equal(rate_limit_take(limit, holder, 0), 0);
	rate_limit_free(limit);
}

static void zero_is_no_limit(void **state)
{
	(void)state;
	struct rate_limit *limit = rate_limit_new(0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(rate_limit_take(limit, 7, 0), 0);
	rate_limit_free(limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(twice_the_rate_at_once_then_the_rate),
	    cmocka_unit_test(refusals_cost_nothing),
	    cmocka_unit_test(more_holders_than_places_stay_limited_or_begin_anew),
	    cmocka_unit_test(zero_is_no_limit),
	};
	return cmocka_run_group_tests_name("rate_limit", tests, NULL, NULL);
}
