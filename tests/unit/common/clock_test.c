/* Clocks go forward, agree with the system's, and can be replaced. */
#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static int64_t fixed_us(void)
{
	return 1234567;
}

static int64_t fixed_ms(void)
{
	return 42;
}

static void monotonic_never_goes_back(void **state)
{
	(void)state;
	int64_t last = clock_monotonic_us();
	for (int i = 0; i < 10000; i++) {
		int64_t now = clock_monotonic_us();
		assert_true(now >= last);
		last = now;
	}
	assert_true(clock_monotonic_ms() >= last / 1000);
	assert_true(clock_monotonic_ms() - last / 1000 < 60000);
}

static void wall_clock_is_the_systems(void **state)
{
	(void)state;
	int64_t before = time(NULL), wall = clock_wall_ms() / 1000, after = time(NULL);
	/* time() may lag behind by a tick. */
	assert_true(wall >= before && wall <= after + 1);
}

static void tests_replace_each_clock_alone(void **state)
{
	(void)state;
	clock_replace(fixed_us, NULL);
	assert_int_equal(clock_monotonic_us(), 1234567);
	assert_int_equal(clock_monotonic_ms(), 1234);
	assert_true(clock_wall_ms() > 42);
	clock_replace(NULL, fixed_ms);
	assert_int_equal(clock_wall_ms(), 42);
	assert_int_not_equal(clock_monotonic_us(), 1234567);
	clock_replace(NULL, NULL);
	assert_true(clock_wall_ms() > 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(monotonic_never_goes_back),
	    cmocka_unit_test(wall_clock_is_the_systems),
	    cmocka_unit_test(tests_replace_each_clock_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
