/*
 * A loop under a clock that a test moves by hand: no test sleeps to see a deadline pass.
 */
#ifndef TESTS_SUPPORT_EDGE_LOOP_H
#define TESTS_SUPPORT_EDGE_LOOP_H

#include "common/base/clock.h"
#include "edge/loop/loop.h"

static int64_t fake_us = 1000 * 1000;

static int64_t fake_monotonic_us(void)
{
	return fake_us;
}

static int64_t fake_wall_ms(void)
{
	return 1700000000000 + fake_us / 1000;
}

static inline void fake_clock_begin(void)
{
	clock_replace(fake_monotonic_us, fake_wall_ms);
}

static struct loop *round_loop;

static inline void round_stop(struct loop_task *task)
{
	(void)task;
	loop_stop(round_loop);
}

/* One round: what is ready, what is due, what was put off. */
static inline void loop_round(struct loop *loop)
{
	struct loop_task stop = {.run = round_stop};

	round_loop = loop;
	loop_defer(loop, &stop);
	loop_run(loop);
}

/* Lets time pass, then a round. */
static inline void loop_pass(struct loop *loop, int64_t ms)
{
	fake_us += ms * 1000;
	loop_round(loop);
}

#endif
