/*
 * At most one log line a second from one place, however fast what it reports comes in. A counter in the
 * metrics says how often it really happened.
 */
#ifndef EDGE_LOG_RATE_H
#define EDGE_LOG_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/clock.h"

struct log_rate {
	atomic_int_fast64_t next_ms;
};

/* True: write it. Any thread; of several at once, one writes. */
static inline bool log_rate_allows(struct log_rate *rate)
{
	int64_t now = clock_monotonic_ms();
	int_fast64_t next = atomic_load_explicit(&rate->next_ms, memory_order_relaxed);

	return now >= next && atomic_compare_exchange_strong(&rate->next_ms, &next, now + 1000);
}

#endif
