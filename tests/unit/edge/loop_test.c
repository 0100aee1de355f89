#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/edge_loop.h"

static int setup(void **state)
{
	fake_clock_begin();
	*state = loop_new();
	return 0;
}

static int teardown(void **state)
{
	loop_free(*state);
	clock_replace(NULL, NULL);
	return 0;
}

struct probe {
	struct loop_io io;
	int calls;
	uint32_t events;
	struct loop *loop;
	struct probe *victim; /* unwatched by the callback */
};

static void on_probe(struct loop_io *io, uint32_t events)
{
	struct probe *probe = loop_owner(io, struct probe, io);

	probe->calls++;
	probe->events = events;
	if (probe->victim)
		loop_unwatch(probe->loop, &probe->victim->io);
}

static void probe_init(struct probe *probe, struct loop *loop)
{
	*probe = (struct probe){.loop = loop, .io = {.fd = eventfd(1, EFD_NONBLOCK), .on_ready = on_probe}};
	assert_int_equal(loop_watch(loop, &probe->io, EPOLLIN), R_OK);
}

static void probe_fini(struct probe *probe)
{
	loop_unwatch(probe->loop, &probe->io);
	close(probe->io.fd);
}

static void ready_descriptor_is_told_until_silenced(void **state)
{
	struct probe probe;

	probe_init(&probe, *state);
	loop_round(*state);
	loop_round(*state);
	assert_int_equal(probe.calls, 2);
	assert_int_equal(probe.events, EPOLLIN);
	loop_watch(*state, &probe.io, 0);
	loop_round(*state);
	assert_int_equal(probe.calls, 2);
	loop_watch(*state, &probe.io, EPOLLIN);
	loop_round(*state);
	assert_int_equal(probe.calls, 3);
	probe_fini(&probe);
}

static void silent_descriptor_still_tells_of_a_hangup(void **state)
{
	struct probe probe = {.loop = *state, .io = {.on_ready = on_probe}};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	probe.io.fd = fds[0];
	loop_watch(*state, &probe.io, 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_round(*state);
	assert_int_equal(probe.calls, 0);
	close(fds[1]);
	loop_round(*state);
	assert_int_equal(probe.calls, 1);
	assert_true(probe.events & EPOLLHUP);
	probe_fini(&probe);
}

static void unwatched_in_the_same_round_is_not_called(void **state)
{
	struct probe probes[2];

	for (int i = 0; i < 2; i++)
		probe_init(&probes[i], *state);
	probes[0].victim = &probes[1];
	probes[1].victim = &probes[0];
	loop_round(*state);
	assert_int_equal(probes[0].calls + probes[1].calls, 1);
	for (int i = 0; i < 2; i++)
		probe_fini(&probes[i]);
}

static void moved_descriptor_calls_its_new_place(void **state)
{
	struct probe old, moved;

	probe_init(&old, *state);
	moved = old;
	old = (struct probe){.io = {.fd = -1}};
	assert_int_equal(loop_watch(*state, &moved.io, EPOLLIN), R_OK);
	loop_round(*state);
	assert_int_equal(moved.calls, 1);
	assert_int_equal(old.calls, 0);
	probe_fini(&moved);
}

static void moved_descriptor_can_be_unwatched_at_once(void **state)
{
	struct probe old, moved;

	probe_init(&old, *state);
	moved = old;
	loop_unwatch(*state, &moved.io);
	loop_round(*state);
	assert_int_equal(old.calls + moved.calls, 0);
	close(moved.io.fd);
}

struct alarm {
	struct loop_timer timer;
	struct loop *loop;
	int calls, order;
	int64_t again_ms; /* sets itself again */
	struct alarm *victim;
};

static int alarm_order;

static void on_alarm(struct loop_timer *timer)
{
	struct alarm *alarm = loop_owner(timer, struct alarm, timer);

	alarm->calls++;
	alarm->order = ++alarm_order;
	if (alarm->again_ms >= 0)
		loop_timer_set(alarm->loop, timer, alarm->again_ms);
	if (alarm->victim)
		loop_timer_clear(alarm->loop, &alarm->victim->timer);
}

static struct alarm alarm_at(struct loop *loop)
{
	return (struct alarm){.loop = loop, .timer = {.on_expire = on_alarm}, .again_ms = -1};
}

static void timer_expires_at_its_time_and_once(void **state)
{
	struct alarm alarm = alarm_at(*state);

	loop_timer_set(*state, &alarm.timer, 100);
	loop_pass(*state, 99);
	assert_int_equal(alarm.calls, 0);
	assert_true(loop_timer_is_set(&alarm.timer));
	loop_pass(*state, 1);
	assert_int_equal(alarm.calls, 1);
	assert_false(loop_timer_is_set(&alarm.timer));
	loop_pass(*state, 1000);
	assert_int_equal(alarm.calls, 1);
}

static void timer_set_again_is_moved(void **state)
{
	struct alarm alarm = alarm_at(*state);

	loop_timer_set(*state, &alarm.timer, 100);
	loop_pass(*state, 50);
	loop_timer_set(*state, &alarm.timer, 100);
	loop_pass(*state, 60);
	assert_int_equal(alarm.calls, 0);
	loop_pass(*state, 40);
	assert_int_equal(alarm.calls, 1);
}

static void timer_that_sets_itself_at_once_ends_the_round(void **state)
{
	struct alarm alarm = alarm_at(*state);

	alarm.again_ms = 0;
	loop_timer_set(*state, &alarm.timer, 0);
	loop_pass(*state, 5);
	assert_int_equal(alarm.calls, 1);
	loop_timer_clear(*state, &alarm.timer);
}

static void timer_cleared_by_an_earlier_one_does_not_fire(void **state)
{
	struct alarm first = alarm_at(*state), second = alarm_at(*state);

	first.victim = &second;
	loop_timer_set(*state, &second.timer, 20);
	loop_timer_set(*state, &first.timer, 10);
	loop_pass(*state, 30);
	assert_int_equal(first.calls, 1);
	assert_int_equal(second.calls, 0);
}

/* Against the plain definition: whatever is set, moved and cleared, what is due fires in order of deadline.
 */
static void thousands_of_timers_fire_in_order(void **state)
{
	enum { COUNT = 3000 };
	struct alarm *alarms = calloc(COUNT, sizeof *alarms);
	int64_t deadline[COUNT];

	srandom(1);
	for (int i = 0; i < COUNT; i++) {
		alarms[i] = alarm_at(*state);
		loop_timer_set(*state, &alarms[i].timer, deadline[i] = 1 + random() % 1000);
	}
	for (int i = 0; i < COUNT; i += 3)
		loop_timer_set(*state, &alarms[i].timer, deadline[i] = 1 + random() % 1000);
	for (int i = 0; i < COUNT; i += 7) {
		loop_timer_clear(*state, &alarms[i].timer);
		deadline[i] = INT64_MAX;
	}
	alarm_order = 0;
	for (int64_t now = 0; now < 1000; now += 10) {
		loop_pass(*state, 10);
		for (int i = 0; i < COUNT; i++)
			assert_int_equal(alarms[i].calls, deadline[i] <= now + 10);
	}
	for (int i = 0; i < COUNT; i++)
		for (int j = i + 1; j < COUNT; j += 97)
			if (alarms[i].calls && alarms[j].calls && deadline[i] != deadline[j])
				assert_int_equal(
				    alarms[i].order < alarms[j].order, deadline[i] < deadline[j]);
	free(alarms);
}

struct work {
	struct loop_task task;
	struct loop *loop;
	int calls;
	bool again;
};

static void on_work(struct loop_task *task)
{
	struct work *work = loop_owner(task, struct work, task);

	work->calls++;
	if (work->again && work->calls < 3)
		loop_defer(work->loop, task);
}

static void task_runs_once_however_often_deferred(void **state)
{
	struct work work = {.loop = *state, .task = {.run = on_work}};

	loop_defer(*state, &work.task);
	loop_defer(*state, &work.task);
	loop_round(*state);
	loop_round(*state);
	assert_int_equal(work.calls, 1);
}

static void what_is_put_off_runs_before_the_loop_ends(void **state)
{
	struct work work = {.loop = *state, .task = {.run = on_work}, .again = true};

	loop_defer(*state, &work.task);
	loop_round(*state);
	assert_int_equal(work.calls, 3);
}

static void what_is_put_off_runs_before_the_loop_is_freed(void **state)
{
	struct loop *loop = loop_new();
	struct work work = {.loop = loop, .task = {.run = on_work}};

	(void)state;
	loop_defer(loop, &work.task);
	loop_free(loop);
	assert_int_equal(work.calls, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(ready_descriptor_is_told_until_silenced),
	    TEST(silent_descriptor_still_tells_of_a_hangup),
	    TEST(unwatched_in_the_same_round_is_not_called),
	    TEST(moved_descriptor_calls_its_new_place),
	    TEST(moved_descriptor_can_be_unwatched_at_once),
	    TEST(timer_expires_at_its_time_and_once),
	    TEST(timer_set_again_is_moved),
	    TEST(timer_that_sets_itself_at_once_ends_the_round),
	    TEST(timer_cleared_by_an_earlier_one_does_not_fire),
	    TEST(thousands_of_timers_fire_in_order),
	    TEST(task_runs_once_however_often_deferred),
	    TEST(what_is_put_off_runs_before_the_loop_ends),
	    TEST(what_is_put_off_runs_before_the_loop_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
