/* Rounds of a background thread: the first at once, the next after its pause, none after the stop. */
#include "common/daemon/background.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"

enum { HOUR_MS = 60 * 60 * 1000, PATIENCE_MS = 20 * 1000 };

struct work {
	int64_t pause_ms;
	atomic_int rounds;
	atomic_bool saw_stop;
};

static int64_t count_round(void *arg, struct background *self)
{
	struct work *work = arg;
	(void)self;
	atomic_fetch_add(&work->rounds, 1);
	return work->pause_ms;
}

static void await_rounds(struct work *work, int count)
{
	int64_t until = clock_monotonic_ms() + PATIENCE_MS;
	while (atomic_load(&work->rounds) < count)
		if (clock_monotonic_ms() > until)
			fail_msg("%d rounds after %d ms", atomic_load(&work->rounds), PATIENCE_MS);
}

static void the_first_round_begins_at_once_and_a_stop_ends_the_pause(void **state)
{
	struct work work = {.pause_ms = HOUR_MS};
	(void)state;
	struct background *background = background_start("test", count_round, &work);
	await_rounds(&work, 1);
	int64_t begun = clock_monotonic_ms();
	background_stop(background);
	assert_true(clock_monotonic_ms() - begun < PATIENCE_MS);
	assert_int_equal(atomic_load(&work.rounds), 1);
}

static void rounds_follow_each_other(void **state)
{
	struct work work = {.pause_ms = 0};
	(void)state;
	struct background *background = background_start("test", count_round, &work);
	await_rounds(&work, 3);
	background_stop(background);
}

static int64_t work_until_stopped(void *arg, struct background *self)
{
	struct work *work = arg;
	atomic_fetch_add(&work->rounds, 1);
	while (!background_is_stopping(self))
		;
	atomic_store(&work->saw_stop, true);
	return 0;
}

static void a_long_round_learns_of_the_stop(void **state)
{
	struct work work = {.pause_ms = 0};
	(void)state;
	struct background *background = background_start("test", work_until_stopped, &work);
	await_rounds(&work, 1);
	background_stop(background);
	assert_true(atomic_load(&work.saw_stop));
	assert_int_equal(atomic_load(&work.rounds), 1);
}

static void nothing_is_stopped_where_nothing_was_started(void **state)
{
	(void)state;
	background_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_round_begins_at_once_and_a_stop_ends_the_pause),
	    cmocka_unit_test(rounds_follow_each_other),
	    cmocka_unit_test(a_long_round_learns_of_the_stop),
	    cmocka_unit_test(nothing_is_stopped_where_nothing_was_started),
	};
	return cmocka_run_group_tests_name("background", tests, NULL, NULL);
}
