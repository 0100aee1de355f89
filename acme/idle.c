#include "acme/idle.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"

/* `top` came last, and is woken first. */
struct idle {
	pthread_mutex_t lock;
	struct idle_place *top;
	int wakeups; /* not yet taken by anybody */
	int limit;
	bool stopped;
};

struct idle *idle_new(int limit)
{
	struct idle *idle = mem_alloc(sizeof *idle);
	pthread_mutex_init(&idle->lock, NULL);
	idle->limit = limit;
	return idle;
}

void idle_free(struct idle *idle)
{
	if (!idle)
		return;
	pthread_mutex_destroy(&idle->lock);
	free(idle);
}

void idle_place_init(struct idle_place *place)
{
	*place = (struct idle_place){.is_woken = false};
	condition_init(&place->changed);
}

void idle_place_fini(struct idle_place *place)
{
	pthread_cond_destroy(&place->changed);
}

/* Who is uppermost now is the one that looks unasked. */
static void remove_locked(struct idle *idle, struct idle_place *place)
{
	struct idle_place **at = &idle->top;
	while (*at != place)
		at = &(*at)->below;
	*at = place->below;
	if (idle->top)
		pthread_cond_signal(&idle->top->changed);
}

void idle_wake(struct idle *idle)
{
	pthread_mutex_lock(&idle->lock);
	struct idle_place *place = idle->top;
	if (place) {
		remove_locked(idle, place);
		place->is_woken = true;
		pthread_cond_signal(&place->changed);
	} else if (idle->wakeups < idle->limit)
		idle->wakeups++;
	pthread_mutex_unlock(&idle->lock);
}

/* A time that runs out counts for the uppermost alone: one who came later looks in its stead. */
static void sleep_locked(struct idle *idle, struct idle_place *place)
{
	int64_t until = 0;
	bool in_time = true;
	while (!idle->stopped && !place->is_woken && in_time) {
		if (idle->top != place) {
			until = 0;
			pthread_cond_wait(&place->changed, &idle->lock);
			continue;
		}
		if (until == 0)
			until = clock_monotonic_ms() + IDLE_POLL_MS;
		in_time = condition_wait_until(&place->changed, &idle->lock, until) || idle->top != place;
	}
}

void idle_wait(struct idle *idle, struct idle_place *place)
{
	pthread_mutex_lock(&idle->lock);
	if (idle->wakeups > 0)
		idle->wakeups--;
	else if (!idle->stopped) {
		place->is_woken = false;
		place->below = idle->top;
		idle->top = place;
		sleep_locked(idle, place);
		if (!place->is_woken)
			remove_locked(idle, place);
	}
	pthread_mutex_unlock(&idle->lock);
}

void idle_stop(struct idle *idle)
{
	pthread_mutex_lock(&idle->lock);
	idle->stopped = true;
	for (struct idle_place *place = idle->top; place; place = place->below)
		pthread_cond_signal(&place->changed);
	pthread_mutex_unlock(&idle->lock);
}

int idle_count(struct idle *idle)
{
	int count = 0;
	pthread_mutex_lock(&idle->lock);
	for (const struct idle_place *place = idle->top; place; place = place->below)
		count++;
	pthread_mutex_unlock(&idle->lock);
	return count;
}
