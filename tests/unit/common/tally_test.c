/* Tallies: nothing that a thread added is lost, neither while it runs nor after it. */
#include "common/base/tally.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/buf.h"

enum { THREADS = 8, ADDITIONS = 20000 };

static unsigned cell;

static void *add(void *arg)
{
	for (int i = 0; i < ADDITIONS; i++)
		tally_add(cell, 1);
	return arg;
}

static void run_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add, NULL), 0);
	tally_sum(cell);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void what_ended_threads_counted_stays_counted(void **state)
{
	(void)state;
	cell = tally_new(1);
	run_threads();
	assert_int_equal(tally_sum(cell), THREADS * ADDITIONS);
	run_threads();
	assert_int_equal(tally_sum(cell), 2 * THREADS * ADDITIONS);
}

static void what_one_thread_adds_another_may_take_away(void **state)
{
	(void)state;
	cell = tally_new(1);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, add, NULL), 0);
	pthread_join(thread, NULL);
	tally_add(cell, -ADDITIONS - 5);
	assert_int_equal(tally_sum(cell), -5);
}

static void cells_are_neighbours_and_do_not_overlap(void **state)
{
	(void)state;
	unsigned three = tally_new(3), next = tally_new(1);
	assert_true(three >= TALLY_FIRST_FREE);
	assert_int_equal(next, three + 3);
	tally_add(three + 2, 7);
	assert_int_equal(tally_sum(three + 1), 0);
	assert_int_equal(tally_sum(next), 0);
}

static void buffers_are_counted_with_what_they_have_allocated(void **state)
{
	(void)state;
	int64_t before = tally_sum(TALLY_BUFFER_BYTES);
	struct buf buf;
	buf_init(&buf, 100000);
	assert_int_equal(tally_sum(TALLY_BUFFER_BYTES), before);
	for (int i = 0; i < 10000; i++)
		buf_append_string(&buf, "ten bytes.");
	assert_int_equal(tally_sum(TALLY_BUFFER_BYTES), before + (int64_t)buf.capacity);
	buf_fini(&buf);
	buf_fini(&buf);
	assert_int_equal(tally_sum(TALLY_BUFFER_BYTES), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_ended_threads_counted_stays_counted),
	    cmocka_unit_test(what_one_thread_adds_another_may_take_away),
	    cmocka_unit_test(cells_are_neighbours_and_do_not_overlap),
	    cmocka_unit_test(buffers_are_counted_with_what_they_have_allocated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
