/*
 * Named moments at which a test can kill or freeze this process: right after a step was persisted, right
 * before and after a request. They exist only in what `make crash-variant` builds; elsewhere they are
 * nothing.
 */
#ifndef ACME_CRASH_POINT_H
#define ACME_CRASH_POINT_H

#ifdef POSTERN_CRASH_POINTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* POSTERN_TEST_KILL_AT=name ends the process as kill -9 does; POSTERN_TEST_STOP_AT=name freezes it, once,
 * until SIGCONT. */
static inline void crash_point(const char *name)
{
	static atomic_flag stopped = ATOMIC_FLAG_INIT;
	const char *kill_at = getenv("POSTERN_TEST_KILL_AT");
	const char *stop_at = getenv("POSTERN_TEST_STOP_AT");
	if (kill_at && strcmp(kill_at, name) == 0)
		raise(SIGKILL);
	if (stop_at && strcmp(stop_at, name) == 0 && !atomic_flag_test_and_set(&stopped))
		raise(SIGSTOP);
}

#else

static inline void crash_point(const char *name)
{
	(void)name;
}

#endif

#endif
