#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "edge/pass/pass_circles.h"

static struct pass_circles *circles;

static int set_up(void **state)
{
	(void)state;
	circles = pass_circles_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pass_circles_free(circles);
	return 0;
}

static bool enter(unsigned number, uint64_t *mark)
{
	uint8_t random[PASS_RANDOM_SIZE] = {0};

	memcpy(random, &number, sizeof number);
	return pass_circles_enter(circles, random, mark);
}

/* As often as it may. The marks are all the same. */
static void fill(unsigned number, uint64_t *mark)
{
	for (unsigned turn = 0; turn < PASS_TURNS_MAX; turn++)
		assert_true(enter(number, mark));
}

static void who_is_on_the_way_too_often_does_not_enter(void **state)
{
	uint64_t mark = 0;

	(void)state;
	for (unsigned number = 0; number < 100; number++) {
		fill(number, &mark);
		assert_false(enter(number, &mark));
		assert_false(enter(number, &mark));
	}
}

static void who_has_left_may_come_again(void **state)
{
	uint64_t mark = 0;
	uint64_t other = 0;

	(void)state;
	fill(1, &mark);
	fill(2, &other);
	pass_circles_leave(circles, mark);
	assert_true(enter(1, &mark));
	assert_false(enter(1, &mark));
	assert_false(enter(2, &other));
	for (unsigned turn = 0; turn < 2 * PASS_TURNS_MAX; turn++)
		pass_circles_leave(circles, mark); /* those who never entered are not counted */
	fill(1, &mark);
	assert_false(enter(1, &mark));
}

/* Slots are few: a crowd takes another's, and that one is found out when it has come round as often again. */
static void who_lost_the_slot_is_counted_anew(void **state)
{
	uint64_t first = 0;
	uint64_t last = 0;
	unsigned number = 1;

	(void)state;
	fill(0, &first);
	do
		assert_true(enter(number++, &last));
	while (!enter(0, &first));
	pass_circles_leave(circles, last); /* leaves the other's slot as it is */
	for (unsigned turn = 1; turn < PASS_TURNS_MAX; turn++)
		assert_true(enter(0, &first));
	assert_false(enter(0, &first));
}

static void nothing_to_leave_is_fine(void **state)
{
	(void)state;
	pass_circles_leave(NULL, 0);
	pass_circles_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(who_is_on_the_way_too_often_does_not_enter, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_has_left_may_come_again, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(who_lost_the_slot_is_counted_anew, set_up, tear_down),
	    cmocka_unit_test(nothing_to_leave_is_fine),
	};

	return cmocka_run_group_tests_name("edge/pass_circles", tests, NULL, NULL);
}
