#include "verifier/http/mhd_deadline.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/background.h"

/* In a crowd, whom we wait for has this long. */
enum { LOOK_MS = 500, CROWDED_MS = 3000 };

struct mhd_deadline {
	struct mhd_deadline *next, **link;
	int fd;
	int64_t since_ms, at_ms; /* at_ms 0: none */
};

struct mhd_deadlines {
	struct background *thread;
	pthread_mutex_t lock;
	struct mhd_deadline *first;
	unsigned count, crowd;
};

static void shut_late(struct mhd_deadlines *deadlines, int64_t now_ms)
{
	bool crowded = deadlines->count > deadlines->crowd;
	for (struct mhd_deadline *at = deadlines->first; at; at = at->next)
		if (at->at_ms && (at->at_ms <= now_ms || (crowded && at->since_ms + CROWDED_MS <= now_ms)))
			shutdown(at->fd, SHUT_RDWR);
}

static int64_t round_of(void *arg, struct background *self)
{
	struct mhd_deadlines *deadlines = arg;
	(void)self;
	pthread_mutex_lock(&deadlines->lock);
	shut_late(deadlines, clock_monotonic_ms());
	pthread_mutex_unlock(&deadlines->lock);
	return LOOK_MS;
}

struct mhd_deadlines *mhd_deadlines_start(unsigned connections)
{
	struct mhd_deadlines *deadlines = mem_alloc(sizeof *deadlines);
	deadlines->crowd = connections / 4 * 3;
	pthread_mutex_init(&deadlines->lock, NULL);
	deadlines->thread = background_start("deadlines", round_of, deadlines);
	return deadlines;
}

void mhd_deadlines_stop(struct mhd_deadlines *deadlines)
{
	background_stop(deadlines->thread);
	pthread_mutex_destroy(&deadlines->lock);
	free(deadlines);
}

static void set_deadline(struct mhd_deadline *deadline, int timeout_ms)
{
	deadline->since_ms = clock_monotonic_ms();
	deadline->at_ms = timeout_ms ? deadline->since_ms + timeout_ms : 0;
}

struct mhd_deadline *mhd_deadlines_add(
    struct mhd_deadlines *deadlines, struct MHD_Connection *connection, int timeout_ms)
{
	struct mhd_deadline *deadline = mem_alloc(sizeof *deadline);
	deadline->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	set_deadline(deadline, timeout_ms);
	pthread_mutex_lock(&deadlines->lock);
	deadline->next = deadlines->first;
	deadline->link = &deadlines->first;
	if (deadline->next)
		deadline->next->link = &deadline->next;
	deadlines->first = deadline;
	deadlines->count++;
	pthread_mutex_unlock(&deadlines->lock);
	return deadline;
}

void mhd_deadlines_remove(struct mhd_deadlines *deadlines, struct mhd_deadline *deadline)
{
	pthread_mutex_lock(&deadlines->lock);
	*deadline->link = deadline->next;
	if (deadline->next)
		deadline->next->link = deadline->link;
	deadlines->count--;
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
	set_deadline(deadline, timeout_ms);
	pthread_mutex_unlock(&deadlines->lock);
}
