/* Who of the idle threads is woken, and who looks unasked. */
#include "acme/idle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/clock.h"

enum { THREADS = 3, MANY = 20, SECONDS = 20 };

struct waiter {
	struct idle *idle;
	struct idle_place place;
	pthread_t thread;
	atomic_int returns; /* of idle_wait */
	atomic_bool stop;
};

static void *wait_once(void *arg)
{
	struct waiter *waiter = arg;
	idle_wait(waiter->idle, &waiter->place);
	atomic_fetch_add(&waiter->returns, 1);
	return NULL;
}

static void *wait_again_and_again(void *arg)
{
	struct waiter *waiter = arg;
	while (!atomic_load(&waiter->stop))
		wait_once(waiter);
	return NULL;
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void await_idle(struct idle *idle, int count)
{
	int64_t end = clock_monotonic_ms() + SECONDS * 1000;
	while (idle_count(idle) != count && clock_monotonic_ms() < end)
		pause_ms(1);
	assert_int_equal(idle_count(idle), count);
}

static void start(struct waiter *waiter, struct idle *idle, void *(*run)(void *))
{
	waiter->idle = idle;
	atomic_store(&waiter->returns, 0);
	atomic_store(&waiter->stop, false);
	idle_place_init(&waiter->place);
	assert_int_equal(pthread_create(&waiter->thread, NULL, run, waiter), 0);
}

static void join(struct waiter *waiter)
{
	pthread_join(waiter->thread, NULL);
	idle_place_fini(&waiter->place);
}

static void who_came_last_is_woken_first(void **state)
{
	(void)state;
	struct idle *idle = idle_new(THREADS);
	struct waiter waiters[THREADS];
	for (int i = 0; i < THREADS; i++) {
		start(&waiters[i], idle, wait_once);
		await_idle(idle, i + 1);
	}
	for (int i = THREADS - 1; i >= 0; i--) {
		idle_wake(idle);
		join(&waiters[i]);
		assert_int_equal(idle_count(idle), i);
	}
	idle_free(idle);
}

static void a_wake_up_that_finds_nobody_is_kept_for_the_next(void **state)
{
	(void)state;
	struct idle *idle = idle_new(MANY);
	struct waiter waiter;
	for (int i = 0; i < 2 * MANY; i++)
		idle_wake(idle);
	int64_t start_ms = clock_monotonic_ms();
	for (int i = 0; i < MANY; i++) {
		start(&waiter, idle, wait_once);
		join(&waiter);
	}
	assert_true(clock_monotonic_ms() - start_ms < MANY * IDLE_POLL_MS / 2);
	/* No more of them than the limit says. */
	start(&waiter, idle, wait_once);
	await_idle(idle, 1);
	idle_stop(idle);
	join(&waiter);
	idle_free(idle);
}

static void one_looks_unasked_and_the_others_sleep(void **state)
{
	(void)state;
	struct idle *idle = idle_new(THREADS);
	struct waiter waiters[THREADS];
	int looks = 0;
	for (int i = 0; i < THREADS; i++) {
		start(&waiters[i], idle, wait_again_and_again);
		await_idle(idle, i + 1);
	}
	int64_t end = clock_monotonic_ms() + SECONDS * 1000;
	while (atomic_load(&waiters[THREADS - 1].returns) < 2 && clock_monotonic_ms() < end)
		pause_ms(10);
	for (int i = 0; i < THREADS; i++)
		looks += atomic_load(&waiters[i].returns) > 0;
	/* On a machine that stood still for a second a second one may have. */
	assert_true(looks < THREADS);
	for (int i = 0; i < THREADS; i++)
		atomic_store(&waiters[i].stop, true);
	idle_stop(idle);
	for (int i = 0; i < THREADS; i++)
		join(&waiters[i]);
	idle_free(idle);
}

static void where_the_one_that_looks_is_at_work_another_looks(void **state)
{
	(void)state;
	struct idle *idle = idle_new(2);
	struct waiter first;
	struct waiter second;
	start(&first, idle, wait_once);
	await_idle(idle, 1);
	start(&second, idle, wait_once);
	await_idle(idle, 2);
	idle_wake(idle);
	join(&second);
	join(&first); /* its time has come without a wake-up */
	idle_free(idle);
}

static void a_stop_ends_all_waits(void **state)
{
	(void)state;
	struct idle *idle = idle_new(THREADS);
	struct waiter waiters[THREADS];
	for (int i = 0; i < THREADS; i++)
		start(&waiters[i], idle, wait_once);
	await_idle(idle, THREADS);
	idle_stop(idle);
	for (int i = 0; i < THREADS; i++)
		join(&waiters[i]);
	idle_free(idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_came_last_is_woken_first),
	    cmocka_unit_test(a_wake_up_that_finds_nobody_is_kept_for_the_next),
	    cmocka_unit_test(one_looks_unasked_and_the_others_sleep),
	    cmocka_unit_test(where_the_one_that_looks_is_at_work_another_looks),
	    cmocka_unit_test(a_stop_ends_all_waits),
	};
	return cmocka_run_group_tests_name("idle", tests, NULL, NULL);
}
