/*
 * How many requests has a token sent lately? A token bucket for each, in this process's memory: a fleet of N
 * verifiers grants N times as much. At most RATE_LIMIT_HOLDERS are remembered; one that is forgotten begins
 * with a full bucket. Thread-safe.
 */
#ifndef VERIFIER_ACCESS_RATE_LIMIT_H
#define VERIFIER_ACCESS_RATE_LIMIT_H

#include <stdint.h>

enum { RATE_LIMIT_HOLDERS = 4096 };

struct rate_limit;

/* Each holder may send `rate` a second, and twice as many at once. 0: any number. */
struct rate_limit *rate_limit_new(int rate);
void rate_limit_free(struct rate_limit *limit);

/* 0: go on. Else the seconds to wait. `now_ms` is monotonic. */
int rate_limit_take(struct rate_limit *limit, int64_t holder, int64_t now_ms);

#endif
