#include "common/daemon/background.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/log/log.h"

struct background {
	background_run *run;
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping, woken;
	char name[16];
};

/* False: stop. */
static bool pause_for(struct background *background, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;
	bool in_time = ms > 0;
	pthread_mutex_lock(&background->lock);
	while (!background->stopping && !background->woken && in_time)
		in_time = condition_wait_until(&background->stop, &background->lock, until);
	bool go_on = !background->stopping;
	background->woken = false;
	pthread_mutex_unlock(&background->lock);
	return go_on;
}

static void *rounds(void *arg)
{
	struct background *background = arg;
	pthread_setname_np(pthread_self(), background->name);
	int64_t ms = 0;
	while (pause_for(background, ms))
		ms = background->run(background->arg, background);
	return NULL;
}

struct background *background_start(const char *name, background_run *run, void *arg)
{
	struct background *background = mem_alloc(sizeof *background);
	for (size_t i = 0; i + 1 < sizeof background->name && name[i] != '\0'; i++)
		background->name[i] = name[i];
	background->run = run;
	background->arg = arg;
	pthread_mutex_init(&background->lock, NULL);
	condition_init(&background->stop);
	if (pthread_create(&background->thread, NULL, rounds, background) != 0) {
		log_error("cannot start a thread", log_str("name", background->name));
		abort();
	}
	return background;
}

void background_stop(struct background *background)
{
	if (!background)
		return;
	pthread_mutex_lock(&background->lock);
	background->stopping = true;
	pthread_cond_signal(&background->stop);
	pthread_mutex_unlock(&background->lock);
	pthread_join(background->thread, NULL);
	pthread_cond_destroy(&background->stop);
	pthread_mutex_destroy(&background->lock);
	free(background);
}

void background_wake(struct background *background)
{
	pthread_mutex_lock(&background->lock);
	background->woken = true;
	pthread_cond_signal(&background->stop);
	pthread_mutex_unlock(&background->lock);
}

bool background_is_stopping(struct background *background)
{
	pthread_mutex_lock(&background->lock);
	bool stopping = background->stopping;
	pthread_mutex_unlock(&background->lock);
	return stopping;
}
