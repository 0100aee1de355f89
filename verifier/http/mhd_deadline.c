#include "verifier/http/mhd_deadline.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "common/clock.h"
#include "common/condition.h"
#include "common/mem.h"

enum { LOOK_MS = 500 };

struct mhd_deadline {
	struct mhd_deadline *next, **link;
	int fd;
	int64_t at_ms; /* 0: none */
};

struct mhd_deadlines {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
	struct mhd_deadline *first;
};

static void shut_late(struct mhd_deadlines *deadlines, int64_t now_ms)
{
	for (struct mhd_deadline *at = deadlines->first; at; at = at->next)
		if (at->at_ms && at->at_ms <= now_ms)
			shutdown(at->fd, SHUT_RDWR);
}

static void *deadlines_run(void *arg)
{
	struct mhd_deadlines *deadlines = arg;
	pthread_mutex_lock(&deadlines->lock);
	while (!deadlines->stopping) {
		int64_t until = clock_monotonic_ms() + LOOK_MS;
		if (!condition_wait_until(&deadlines->stop, &deadlines->lock, until))
			shut_late(deadlines, clock_monotonic_ms());
	}
	pthread_mutex_unlock(&deadlines->lock);
	return NULL;
}

struct mhd_deadlines *mhd_deadlines_start(void)
{
	struct mhd_deadlines *deadlines = mem_alloc(sizeof *deadlines);
	pthread_mutex_init(&deadlines->lock, NULL);
	condition_init(&deadlines->stop);
	if (pthread_create(&deadlines->thread, NULL, deadlines_run, deadlines) != 0)
		abort();
	return deadlines;
}

void mhd_deadlines_stop(struct mhd_deadlines *deadlines)
{
	pthread_mutex_lock(&deadlines->lock);
	deadlines->stopping = true;
	pthread_cond_signal(&deadlines->stop);
	pthread_mutex_unlock(&deadlines->lock);
	pthread_join(deadlines->thread, NULL);
	pthread_cond_destroy(&deadlines->stop);
	pthread_mutex_destroy(&deadlines->lock);
	free(deadlines);
}

static int64_t deadline_at(int timeout_ms)
{
	return timeout_ms ? clock_monotonic_ms() + timeout_ms : 0;
}

struct mhd_deadline *mhd_deadlines_add(
    struct mhd_deadlines *deadlines, struct MHD_Connection *connection, int timeout_ms)
{
	struct mhd_deadline *deadline = mem_alloc(sizeof *deadline);
	deadline->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	deadline->at_ms = deadline_at(timeout_ms);
	pthread_mutex_lock(&deadlines->lock);
	deadline->next = deadlines->first;
	deadline->link = &deadlines->first;
	if (deadline->next)
		deadline->next->link = &deadline->next;
	deadlines->first = deadline;
	pthread_mutex_unlock(&deadlines->lock);
	return deadline;
}

void mhd_deadlines_remove(struct mhd_deadlines *deadlines, struct mhd_deadline *deadline)
{
	pthread_mutex_lock(&deadlines->lock);
	*deadline->link = deadline->next;
	if (deadline->next)
		deadline->next->link = deadline->link;
	pthread_mutex_unlock(&deadlines->lock);
	free(deadline);
}

void mhd_deadlines_set(struct mhd_deadlines *deadlines, struct MHD_Connection *connection, int timeout_ms)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct mhd_deadline *deadline = info ? info->socket_context : NULL;
	if (!deadline)
		return;
	pthread_mutex_lock(&deadlines->lock);
	deadline->at_ms = deadline_at(timeout_ms);
	pthread_mutex_unlock(&deadlines->lock);
}
