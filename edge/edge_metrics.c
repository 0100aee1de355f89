#include "edge/edge_metrics.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static const char handshakes[] = "postern_edge_handshakes_total";
static const char handshakes_help[] = "TLS handshakes that were completed.";
static const char accepted[] = "postern_edge_accepted_total";
static const char accepted_help[] = "Connections accepted, by listener.";
static const char drained[] = "postern_edge_drain_queued_total";
static const char drained_help[] = "Connections that were queued when a drain closed the listeners: "
				   "accepted, or reset by the close for want of "
				   "descriptors.";
static const char lookups[] = "postern_edge_site_cache_lookups_total";
static const char lookups_help[] = "Look-ups of a name's certificate in memory.";

struct edge_metrics *edge_metrics_new(void)
{
	struct edge_metrics *metrics = mem_alloc(sizeof *metrics);

	*metrics = (struct edge_metrics){
	    .accepted_https = metrics_counter(accepted, "listener=\"https\"", accepted_help),
	    .accepted_http = metrics_counter(accepted, "listener=\"http\"", accepted_help),
	    .accepted_passthrough = metrics_counter(accepted, "listener=\"passthrough\"", accepted_help),
	    .waiters = metrics_gauge(
		"postern_edge_waiters", NULL, "Connections that wait for a certificate or a challenge."),
	    .handshakes_full = metrics_counter(handshakes, "kind=\"full\"", handshakes_help),
	    .handshakes_resumed = metrics_counter(handshakes, "kind=\"resumed\"", handshakes_help),
	    .cache_hits = metrics_counter(lookups, "result=\"hit\"", lookups_help),
	    .cache_misses = metrics_counter(lookups, "result=\"miss\"", lookups_help),
	    .accept_pauses = metrics_counter("postern_edge_accept_pauses_total", NULL,
		"Times that accepting was paused because descriptors or memory had run out."),
	    .drain_accepted = metrics_counter(drained, "outcome=\"accepted\"", drained_help),
	    .drain_reset = metrics_counter(drained, "outcome=\"reset\"", drained_help),
	    .hello_seconds = metrics_histogram("postern_edge_hello_seconds", NULL,
		"From accepting a TLS connection to its whole ClientHello."),
	    .handshake_seconds = metrics_histogram("postern_edge_handshake_seconds", NULL,
		"TLS handshakes that were completed, from the moment their certificate was there."),
	    .certificate_wait = metrics_histogram("postern_edge_certificate_wait_seconds", NULL,
		"Time that connections waited for a certificate, whatever came of it."),
	    .refused = {.name = "postern_edge_refused_total",
		.help = "Connections refused before their handshake, by cause."},
	    .handshake_failures = {.name = "postern_edge_handshake_failures_total",
		.help = "TLS handshakes that failed, by cause."},
	    .passthrough_ends = {.name = "postern_edge_passthrough_ends_total",
		.help = "Connections passed on without terminating TLS that have ended, by cause."},
	};
	return metrics;
}

void edge_metrics_free(struct edge_metrics *metrics)
{
	free(metrics);
}

static struct metric *find_metric(struct cause_counter *counter, const char *cause)
{
	char label[64];

	for (size_t i = 0; i < counter->count; i++)
		if (counter->seen[i].cause == cause || strcmp(counter->seen[i].cause, cause) == 0)
			return counter->seen[i].metric;
	metrics_label(label, sizeof label, "cause", cause);
	struct metric *metric = metrics_counter(counter->name, label, counter->help);
	if (counter->count < EDGE_CAUSES_MAX) {
		counter->seen[counter->count].cause = cause;
		counter->seen[counter->count++].metric = metric;
	}
	return metric;
}

void cause_counter_add(struct cause_counter *counter, const char *cause)
{
	metric_add(find_metric(counter, cause), 1);
}
