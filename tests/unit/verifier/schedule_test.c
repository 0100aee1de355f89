/* Often at first, hourly at last, and not for ever. */
#include "verifier/claim/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void first_ten_minutes_are_looked_at_every_fifteen_seconds(void **state)
{
	(void)state;
	for (int checks = 0; checks <= 40; checks++)
		assert_int_equal(schedule_next_s(checks), 15);
}

static void waits_only_grow_up_to_an_hour(void **state)
{
	(void)state;
	int last = 0, next;
	for (int checks = 0; (next = schedule_next_s(checks)) >= 0; checks++) {
		assert_true(next >= last && next <= 3600);
		last = next;
	}
	assert_int_equal(last, 3600);
}

static void it_ends_after_thirty_days(void **state)
{
	(void)state;
	long total = 0;
	int checks = 0, next;
	for (; (next = schedule_next_s(checks)) >= 0; checks++)
		total += next;
	assert_in_range(total, 30L * 86400, 30L * 86400 + 3600);
	assert_int_equal(schedule_next_s(checks + 1), -1);
	assert_int_equal(schedule_next_s(2000000000), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(first_ten_minutes_are_looked_at_every_fifteen_seconds),
	    cmocka_unit_test(waits_only_grow_up_to_an_hour),
	    cmocka_unit_test(it_ends_after_thirty_days),
	};
	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
