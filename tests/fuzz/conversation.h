/*
 * What the harnesses share that talk with an edge from both sides: one client, and the app's side of every
 * connection that the edge opens to it. Included once in a program, like the harness below it.
 *
 * An input is a list of steps: who does what, two bytes of size, and what is said.
 */
#ifndef TESTS_CONVERSATION_H
#define TESTS_CONVERSATION_H

#include <signal.h>

#include "edge/front/h2_conn.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/edge/h1_harness.h"

enum { STEPS_MAX = 24, ORIGINS_MAX = 16 };

static struct seen origins[ORIGINS_MAX];
static size_t origin_count;

static void run_stop(struct loop_task *task)
{
	(void)task;
	loop_stop(rig.loop);
}

static void accept_origins(void)
{
	int fd = -1;

	while (origin_count < ORIGINS_MAX &&
	       (fd = accept4(rig.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		origins[origin_count] = (struct seen){.fd = -1};
		seen_reset(&origins[origin_count++], fd);
	}
}

/* The loop, as far as it gets without waiting. */
static void rounds(int count)
{
	static struct loop_task task = {.run = run_stop};

	for (int i = 0; i < count; i++) {
		loop_defer(rig.loop, &task);
		loop_run(rig.loop);
		accept_origins();
		look(&rig.client);
		for (size_t j = 0; j < origin_count; j++)
			look(&origins[j]);
	}
}

/* The one that was connected to last. NULL: none yet. */
static struct seen *latest_origin(void)
{
	return origin_count > 0 ? &origins[origin_count - 1] : NULL;
}

static void begin(bool is_http2)
{
	static bool is_set_up;
	sigset_t alarm;

	if (!is_set_up)
		harness_setup(NULL);
	is_set_up = true;
	rig.shows_own = true;
	rig.new_conn = is_http2 ? h2_conn_new : h1_conn_new;
	origin_count = 0;
	/* libFuzzer's clock would interrupt a connect. */
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigprocmask(SIG_BLOCK, &alarm, NULL);
	visit();
	sigprocmask(SIG_UNBLOCK, &alarm, NULL);
}

static void play_all(const uint8_t *data, size_t size, void (*play)(uint8_t, const uint8_t *, size_t))
{
	for (size_t at = 0, steps = 0; at + 3 <= size && steps < STEPS_MAX && rig.conn; steps++) {
		size_t length = (size_t)data[at + 1] << 8 | data[at + 2];
		uint8_t step = data[at];

		at += 3;
		length = length < size - at ? length : size - at;
		play(step, data + at, length);
		at += length;
	}
}

/* By resets: thousands of conversations a minute would use up the ports otherwise. */
static void end(void)
{
	reset_connection(&rig.client);
	for (size_t i = 0; i < origin_count; i++)
		reset_connection(&origins[i]);
	rounds(2);
	if (rig.conn)
		http_conn_abort(rig.conn);
	rounds(2);
	fuzz_check(!rig.conn);
	for (size_t i = 0; i < origin_count; i++) {
		seen_reset(&origins[i], -1);
		free(origins[i].bytes);
	}
	rounds(2);
	fuzz_check(harness_idle_upstreams() == 0);
}

#endif
