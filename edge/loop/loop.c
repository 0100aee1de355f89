#include "edge/loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

enum { BATCH = 256 };

struct loop {
	int epoll;
	bool stopped;
	int64_t now;

	/* The batch being dispatched; events of descriptors that a callback unwatches are struck out of it.
	 */
	struct epoll_event batch[BATCH];
	int batch_size;
	int batch_next;

	/* A binary heap by deadline; heap[1] is the nearest, a timer's slot is its index. */
	struct loop_timer **heap;
	size_t heap_size;
	size_t heap_room;

	struct loop_task *tasks;
	struct loop_task **tasks_end;
};

struct loop *loop_new(void)
{
	struct loop *loop = mem_alloc(sizeof *loop);

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0) {
		free(loop);
		return NULL;
	}
	loop->now = clock_monotonic_ms();
	loop->tasks_end = &loop->tasks;
	return loop;
}

int64_t loop_now(const struct loop *loop)
{
	return loop->now;
}

static void batch_strike(struct loop *loop, const struct loop_io *io)
{
	for (int i = loop->batch_next; i < loop->batch_size; i++)
		if (loop->batch[i].data.ptr == io)
			loop->batch[i].data.ptr = NULL;
}

enum result loop_watch(struct loop *loop, struct loop_io *io, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = io};
	int operation = io->known_as ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	assert(io->fd >= 0);
	if (io->known_as == io && io->events == events)
		return R_OK;
	if (epoll_ctl(loop->epoll, operation, io->fd, &event) < 0) {
		assert(errno == ENOMEM || errno == ENOSPC);
		return R_LIMIT;
	}
	if (io->known_as && io->known_as != io)
		batch_strike(loop, io->known_as);
	io->known_as = io;
	io->events = events;
	return R_OK;
}

void loop_unwatch(struct loop *loop, struct loop_io *io)
{
	if (!io->known_as)
		return;
	epoll_ctl(loop->epoll, EPOLL_CTL_DEL, io->fd, NULL);
	batch_strike(loop, io->known_as);
	io->known_as = NULL;
	io->events = 0;
}

void loop_close(struct loop *loop, struct loop_io *io)
{
	if (io->known_as)
		batch_strike(loop, io->known_as);
	io->known_as = NULL;
	io->events = 0;
	close(io->fd);
	io->fd = -1;
}

static void heap_put(struct loop *loop, size_t slot, struct loop_timer *timer)
{
	loop->heap[slot] = timer;
	timer->slot = slot;
}

static void heap_rise(struct loop *loop, size_t slot, struct loop_timer *timer)
{
	while (slot > 1 && loop->heap[slot / 2]->deadline_ms > timer->deadline_ms) {
		heap_put(loop, slot, loop->heap[slot / 2]);
		slot /= 2;
	}
	heap_put(loop, slot, timer);
}

static void heap_sink(struct loop *loop, size_t slot, struct loop_timer *timer)
{
	for (;;) {
		size_t child = 2 * slot;

		if (child > loop->heap_size)
			break;
		if (child < loop->heap_size &&
		    loop->heap[child + 1]->deadline_ms < loop->heap[child]->deadline_ms)
			child++;
		if (loop->heap[child]->deadline_ms >= timer->deadline_ms)
			break;
		heap_put(loop, slot, loop->heap[child]);
		slot = child;
	}
	heap_put(loop, slot, timer);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t delay_ms)
{
	loop_timer_clear(loop, timer);
	timer->deadline_ms = loop->now + (delay_ms > 1 ? delay_ms : 1);
	if (loop->heap_size + 1 >= loop->heap_room) {
		loop->heap_room = loop->heap_room ? 2 * loop->heap_room : 64;
		loop->heap = mem_resize(loop->heap, loop->heap_room * sizeof *loop->heap);
	}
	heap_rise(loop, ++loop->heap_size, timer);
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
	size_t slot = timer->slot;

	if (slot == 0)
		return;
	assert(slot <= loop->heap_size && loop->heap[slot] == timer);
	timer->slot = 0;
	struct loop_timer *last = loop->heap[loop->heap_size--];
	if (last == timer)
		return;
	heap_sink(loop, slot, last);
	heap_rise(loop, last->slot, last);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->queued)
		return;
	task->queued = true;
	task->next = NULL;
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
}

static int round_timeout(const struct loop *loop)
{
	if (loop->tasks)
		return 0;
	if (loop->heap_size == 0)
		return -1;
	int64_t delay = loop->heap[1]->deadline_ms - clock_monotonic_ms();
	if (delay < 0)
		return 0;
	return delay < 60 * 1000 ? (int)delay : 60 * 1000;
}

static void dispatch_events(struct loop *loop)
{
	loop->batch_next = 0;
	while (loop->batch_next < loop->batch_size) {
		const struct epoll_event *event = &loop->batch[loop->batch_next++];
		struct loop_io *io = event->data.ptr;

		if (io)
			io->on_ready(io, event->events);
	}
	loop->batch_size = loop->batch_next = 0;
}

/* A timer set by a callback is at least 1 ms away: each round ends. */
static void expire_timers(struct loop *loop)
{
	while (loop->heap_size > 0 && loop->heap[1]->deadline_ms <= loop->now) {
		struct loop_timer *timer = loop->heap[1];

		loop_timer_clear(loop, timer);
		timer->on_expire(timer);
	}
}

static void run_tasks(struct loop *loop)
{
	struct loop_task *task = loop->tasks;

	loop->tasks = NULL;
	loop->tasks_end = &loop->tasks;
	while (task) {
		struct loop_task *next = task->next;

		task->queued = false;
		task->run(task);
		task = next;
	}
}

void loop_run(struct loop *loop)
{
	loop->stopped = false;
	loop->now = clock_monotonic_ms();
	while (!loop->stopped) {
		int count = epoll_wait(loop->epoll, loop->batch, BATCH, round_timeout(loop));

		assert(count >= 0 || errno == EINTR);
		loop->batch_size = count > 0 ? count : 0;
		loop->now = clock_monotonic_ms();
		dispatch_events(loop);
		expire_timers(loop);
		run_tasks(loop);
	}
	while (loop->tasks)
		run_tasks(loop);
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->tasks)
		run_tasks(loop);
	close(loop->epoll);
	free(loop->heap);
	free(loop);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}
