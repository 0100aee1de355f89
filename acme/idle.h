/*
 * The threads that have nothing to do: which of them is woken next? The one that worked last, since its
 * connections to the database and to the CA are warm: a first hit on a fresh one costs twice the database's
 * time. One of them, the next to be woken, looks every IDLE_POLL_MS without being told. Any thread.
 */
#ifndef ACME_IDLE_H
#define ACME_IDLE_H

#include <pthread.h>
#include <stdbool.h>

enum { IDLE_POLL_MS = 1000 };

struct idle;

/* A thread's place among them; its fields are idle.c's. */
struct idle_place {
	pthread_cond_t changed;
	bool is_woken;
	struct idle_place *below;
};

/* `limit`: how many wake-ups are kept while nobody is idle. */
struct idle *idle_new(int limit);
void idle_free(struct idle *idle);
void idle_place_init(struct idle_place *place);
void idle_place_fini(struct idle_place *place);

/* There is something to do for one: wakes it, or is remembered for the next that has nothing to do. */
void idle_wake(struct idle *idle);
/* Until there is something to do, perhaps, or idle_stop. */
void idle_wait(struct idle *idle, struct idle_place *place);
/* Nobody waits any more, now and later. */
void idle_stop(struct idle *idle);
int idle_count(struct idle *idle);

#endif
