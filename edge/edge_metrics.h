/*
 * What a worker's connections count. Each worker has a struct of its own, which points at the process's
 * series: the registry's lock is met once per cause and worker.
 */
#ifndef EDGE_EDGE_METRICS_H
#define EDGE_EDGE_METRICS_H

#include "common/daemon/metrics.h"

enum { EDGE_CAUSES_MAX = 48 };

/* A counter by cause; causes are static words of this program. */
struct cause_counter {
	const char *name;
	const char *help;
	size_t count;
	struct {
		const char *cause;
		struct metric *metric;
	} seen[EDGE_CAUSES_MAX];
};

struct edge_metrics {
	struct metric *accepted_https, *accepted_http, *accepted_passthrough;
	struct metric *waiters;
	struct metric *handshakes_full, *handshakes_resumed;
	struct metric *cache_hits, *cache_misses;
	struct metric *accept_pauses;
	struct metric *drain_accepted, *drain_reset;
	struct histogram *hello_seconds, *certificate_wait, *handshake_seconds;
	struct cause_counter refused;
	struct cause_counter handshake_failures;
	struct cause_counter passthrough_ends;
};

struct edge_metrics *edge_metrics_new(void);
void edge_metrics_free(struct edge_metrics *metrics);
void cause_counter_add(struct cause_counter *counter, const char *cause);

#endif
