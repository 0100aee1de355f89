/* A bucket of tokens: so many at once, then so many a second, and never more than it holds. */
#include "acme/ca/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/clock.h"

static int64_t now_us;

static int64_t fake_now(void)
{
	return now_us;
}

static int setup(void **state)
{
	(void)state;
	now_us = 1000 * 1000;
	clock_replace(fake_now, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clock_replace(NULL, NULL);
	return 0;
}

static int taken(struct pace *pace)
{
	int count = 0;
	while (pace_take(pace) == 0)
		count++;
	return count;
}

static void a_burst_goes_at_once_and_the_rest_at_its_pace(void **state)
{
	(void)state;
	struct pace pace;
	pace_init(&pace, 20, 10);
	assert_int_equal(taken(&pace), 10);
	assert_in_range(pace_take(&pace), 50, 51);
	for (int second = 0; second < 3; second++) {
		int count = 0;
		for (int step = 0; step < 20; step++) {
			now_us += 50 * 1000;
			count += taken(&pace);
		}
		assert_in_range(count, 19, 20);
	}
	pace_fini(&pace);
}

static void what_is_not_taken_is_kept_up_to_the_burst(void **state)
{
	(void)state;
	struct pace pace;
	pace_init(&pace, 20, 10);
	taken(&pace);
	now_us += 250 * 1000;
	assert_int_equal(taken(&pace), 5);
	now_us += INT64_C(3600) * 1000 * 1000;
	assert_int_equal(taken(&pace), 10);
	pace_fini(&pace);
}

static void without_a_rate_nobody_waits(void **state)
{
	(void)state;
	struct pace pace;
	pace_init(&pace, 0, 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pace_take(&pace), 0);
	pace_fini(&pace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_burst_goes_at_once_and_the_rest_at_its_pace, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_not_taken_is_kept_up_to_the_burst, setup, teardown),
	    cmocka_unit_test_setup_teardown(without_a_rate_nobody_waits, setup, teardown),
	};
	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
