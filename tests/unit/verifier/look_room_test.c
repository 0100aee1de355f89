/* How many thorough looks there are at once, and whose. */
#include "verifier/diagnose/look_room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int64_t now_ms;

/* As many as there is room for. */
static int take(struct look_room *room, const char *tenant, bool is_poller)
{
	int count = 0;
	for (; look_room_enter(room, tenant, is_poller, now_ms) >= 0; count++)
		now_ms += 1000 / LOOK_ROOM_PER_SECOND;
	return count;
}

static void a_tenant_leaves_some_to_others(void **state)
{
	(void)state;
	struct look_room room = {.next_start_ms = 0};
	assert_int_equal(take(&room, "slow", false), LOOK_ROOM * 3 / 4);
	assert_int_equal(take(&room, "b", false), LOOK_ROOM / 8);
	assert_int_equal(take(&room, "c", false), LOOK_ROOM / 8);
	assert_int_equal(take(&room, "d", false), 0);
}

static void a_tenant_leaves_some_of_the_pollers_to_others(void **state)
{
	(void)state;
	struct look_room room = {.next_start_ms = 0};
	assert_int_equal(take(&room, "slow", true), LOOK_ROOM_POLLER * 3 / 4);
	assert_int_equal(take(&room, "b", true), LOOK_ROOM_POLLER / 8);
	assert_int_equal(take(&room, "c", true), LOOK_ROOM_POLLER / 8);
	assert_int_equal(take(&room, "d", true), 0);
	/* Who clicks has the rest. */
	assert_int_equal(take(&room, "d", false), LOOK_ROOM * 3 / 4 - LOOK_ROOM_POLLER);
	assert_int_equal(take(&room, "e", false), LOOK_ROOM / 8);
}

static void a_place_that_is_left_is_anybodys(void **state)
{
	(void)state;
	struct look_room room = {.next_start_ms = 0};
	int first = look_room_enter(&room, "a", false, 0);
	assert_int_equal(first, 0);
	take(&room, "a", false);
	assert_int_equal(look_room_enter(&room, "a", false, 0), -1);
	look_room_leave(&room, first);
	assert_int_equal(look_room_enter(&room, "a", false, 0), first);
}

static void the_poller_begins_some_a_second(void **state)
{
	(void)state;
	struct look_room room = {.next_start_ms = 0};
	const int64_t pause = 1000 / LOOK_ROOM_PER_SECOND;
	assert_int_not_equal(look_room_enter(&room, "a", true, 5), -1);
	assert_int_equal(look_room_enter(&room, "b", true, 5 + pause - 1), -1);
	assert_int_not_equal(look_room_enter(&room, "b", false, 5 + pause - 1), -1);
	assert_int_not_equal(look_room_enter(&room, "b", true, 5 + pause), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_tenant_leaves_some_to_others),
	    cmocka_unit_test(a_tenant_leaves_some_of_the_pollers_to_others),
	    cmocka_unit_test(a_place_that_is_left_is_anybodys),
	    cmocka_unit_test(the_poller_begins_some_a_second),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
