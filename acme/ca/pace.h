/*
 * How fast may requests go out? A bucket of tokens by the monotonic clock: `burst` at once, then so many a
 * second. Servers in front of a CA refuse what comes faster, with a 503 that looks like trouble of the CA's.
 * Any thread.
 */
#ifndef ACME_PACE_H
#define ACME_PACE_H

#include <pthread.h>
#include <stdint.h>

struct pace {
	pthread_mutex_t lock;
	double per_s; /* 0: as fast as they come */
	double burst;
	double tokens;
	int64_t counted_us;
};

void pace_init(struct pace *pace, double per_s, double burst);
void pace_fini(struct pace *pace);

/* 0: go, a token is taken. Else none is, and so many milliseconds bring the next, for whoever comes first. */
int64_t pace_take(struct pace *pace);

#endif
