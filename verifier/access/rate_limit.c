#include "verifier/access/rate_limit.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/mem.h"

/* A set of slots by the holder's number; within one the slot that has been full for longest is given away. */
enum { WAYS = 4, SETS = RATE_LIMIT_HOLDERS / WAYS, BURST_S = 2 };

struct bucket {
	int64_t holder;
	int64_t full_at_us; /* when it is whole again, by the monotonic clock */
};

struct rate_limit {
	pthread_mutex_t lock;
	int rate;
	struct bucket buckets[SETS][WAYS];
};

struct rate_limit *rate_limit_new(int rate)
{
	struct rate_limit *limit = mem_alloc(sizeof *limit);
	pthread_mutex_init(&limit->lock, NULL);
	limit->rate = rate;
	return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
	if (!limit)
		return;
	pthread_mutex_destroy(&limit->lock);
	free(limit);
}

static struct bucket *find(struct rate_limit *limit, int64_t holder)
{
	struct bucket *set = limit->buckets[(uint64_t)holder % SETS], *oldest = set;
	for (int i = 0; i < WAYS; i++) {
		if (set[i].holder == holder)
			return &set[i];
		if (set[i].full_at_us < oldest->full_at_us)
			oldest = &set[i];
	}
	*oldest = (struct bucket){.holder = holder};
	return oldest;
}

int rate_limit_take(struct rate_limit *limit, int64_t holder, int64_t now_ms)
{
	if (limit->rate == 0)
		return 0;
	int64_t now = now_ms * 1000, each = 1000000 / limit->rate;
	pthread_mutex_lock(&limit->lock);
	struct bucket *bucket = find(limit, holder);
	int64_t next = (bucket->full_at_us > now ? bucket->full_at_us : now) + each;
	int64_t over = next - now - BURST_S * 1000000LL;
	if (over <= 0)
		bucket->full_at_us = next;
	pthread_mutex_unlock(&limit->lock);
	return over <= 0 ? 0 : (int)((over + 999999) / 1000000);
}
