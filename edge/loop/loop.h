/*
 * A worker's event loop: epoll, timers and work put off to the end of the round. One thread, no locks.
 */
#ifndef EDGE_LOOP_H
#define EDGE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"

struct loop;

/* The struct that embeds an io, a timer, a task: what a callback starts with. */
#define loop_owner(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* A watched descriptor, embedded in its owner. `events` are EPOLLIN, EPOLLOUT, EPOLLRDHUP (level-triggered).
 * It may be moved by copying it while it is watched, if the new place calls loop_watch or loop_unwatch before
 * it returns to the loop. */
struct loop_io {
	int fd; /* -1: not watched */
	uint32_t events;
	void (*on_ready)(struct loop_io *io, uint32_t events);
	const struct loop_io *known_as; /* the loop's own: the address that epoll has; NULL: not registered */
};

/* A deadline, embedded in its owner; set again to move it. Resolution 1 ms, accuracy the loop's round; a
 * delay below 1 ms is 1 ms, so that a timer that sets itself again cannot hold up the round. */
struct loop_timer {
	int64_t deadline_ms; /* monotonic */
	size_t slot;         /* place in the heap, 0: not set */
	void (*on_expire)(struct loop_timer *timer);
};

/* Work for the end of this round, when no callback of the owner is on the stack: freeing itself, for one.
 * What is put off while such work runs comes at the end of the next round, which then does not sleep. */
struct loop_task {
	struct loop_task *next;
	bool queued;
	void (*run)(struct loop_task *task);
};

struct loop *loop_new(void);
/* Runs what was put off and not yet run: it may be a struct that frees itself. */
void loop_free(struct loop *loop);
/* The round's time, monotonic ms. */
int64_t loop_now(const struct loop *loop);

/* Sets what is watched; events 0 keeps the descriptor known but silent (only EPOLLERR and EPOLLHUP come).
 * R_LIMIT: the kernel has no more room. */
enum result loop_watch(struct loop *loop, struct loop_io *io, uint32_t events);
/* Before close(fd). No callback of this io comes after it. */
void loop_unwatch(struct loop *loop, struct loop_io *io);
/* Closes the descriptor, watched or not. With its last descriptor (nobody here duplicates one) the kernel
 * drops the socket from epoll by itself: a call less than loop_unwatch and close. */
void loop_close(struct loop *loop, struct loop_io *io);

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t delay_ms);
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);
static inline bool loop_timer_is_set(const struct loop_timer *timer)
{
	return timer->slot != 0;
}

void loop_defer(struct loop *loop, struct loop_task *task);

/* Runs until loop_stop (from a callback of this loop). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

#endif
