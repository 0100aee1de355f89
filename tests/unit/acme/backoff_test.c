/* When messages are tried again, and how long an endpoint is left alone. */
#include "acme/webhook/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { HOUR = 60 * 60 * 1000 };

static void assert_near(int64_t ms, int64_t expected)
{
	assert_in_range(ms, expected * 9 / 10, expected * 11 / 10);
}

static void message_is_tried_eleven_times_over_three_days(void **state)
{
	(void)state;
	static const int64_t steps[] = {
	    5000, 60000, 300000, 1800000, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR};
	for (int i = 0; i < 10; i++) {
		assert_near(backoff_message_ms(i + 1, 0, 0), steps[i]);
		assert_near(backoff_message_ms(i + 1, 0, UINT32_MAX), steps[i]);
	}
	assert_int_equal(backoff_message_ms(11, 0, 0), -1);
	assert_int_equal(backoff_message_ms(11, 60, 0), -1);
	assert_int_equal(backoff_message_ms(INT32_MAX, 0, 0), -1);
	assert_near(backoff_message_ms(0, 0, 7), 5000);
}

static void endpoint_rests_longer_each_time_up_to_a_quarter_of_an_hour(void **state)
{
	(void)state;
	int64_t before = 0;
	for (int i = 1; i <= 6; i++) {
		int64_t pause = backoff_endpoint_ms(i, 0, 0);
		assert_true(pause > before);
		before = pause;
	}
	assert_near(backoff_endpoint_ms(1, 0, UINT32_MAX), 2000);
	assert_near(backoff_endpoint_ms(6, 0, UINT32_MAX), HOUR / 4);
	assert_near(backoff_endpoint_ms(INT32_MAX, 0, 0), HOUR / 4);
	assert_near(backoff_endpoint_ms(0, 0, 0), 2000);
}

static void retry_after_is_a_least_and_believed_for_an_hour(void **state)
{
	(void)state;
	assert_int_equal(backoff_message_ms(1, 120, 0), 120000);
	assert_near(backoff_message_ms(4, 120, 0), 1800000);
	assert_int_equal(backoff_endpoint_ms(1, INT64_MAX, 0), HOUR);
	assert_near(backoff_endpoint_ms(1, -5, 0), 2000);
}

static void times_are_spread(void **state)
{
	(void)state;
	assert_true(backoff_message_ms(3, 0, 1) != backoff_message_ms(3, 0, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(message_is_tried_eleven_times_over_three_days),
	    cmocka_unit_test(endpoint_rests_longer_each_time_up_to_a_quarter_of_an_hour),
	    cmocka_unit_test(retry_after_is_a_least_and_believed_for_an_hour),
	    cmocka_unit_test(times_are_spread),
	};
	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
