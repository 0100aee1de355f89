#include "edge/upstream/upstream_metrics.h"

#include <string.h>

#include "common/base/mem.h"
#include "edge/upstream/upstream_url.h"

static void init_connections(struct upstream_metrics *metrics)
{
	static const char connections[] = "postern_edge_upstream_connections_total";
	static const char connections_help[] = "Requests sent to an upstream, by connection.";
	static const char handshakes[] = "postern_edge_upstream_handshakes_total";
	static const char handshakes_help[] = "TLS handshakes with upstreams that were completed.";

	metrics->connections_new = metrics_counter(connections, "kind=\"new\"", connections_help);
	metrics->connections_reused = metrics_counter(connections, "kind=\"reused\"", connections_help);
	metrics->tls_full = metrics_counter(handshakes, "kind=\"full\"", handshakes_help);
	metrics->tls_resumed = metrics_counter(handshakes, "kind=\"resumed\"", handshakes_help);
}

static void init_troubles(struct upstream_metrics *metrics)
{
	static const char retries[] = "postern_edge_upstream_retries_total";
	static const char retries_help[] =
	    "Requests sent once more, by what became of the connection before.";
	char label[64];

	for (int i = 0; i < UPSTREAM_FAILURE_COUNT; i++)
		metrics->failures[i] = metrics_counter("postern_edge_upstream_failures_total",
		    metrics_label(
			label, sizeof label, "cause", upstream_failure_name((enum upstream_failure)i)),
		    "Requests that an upstream address did not answer whole, retried ones included.");
	metrics->retries[UPSTREAM_RETRY_CONNECT] =
	    metrics_counter(retries, "reason=\"connect\"", retries_help);
	metrics->retries[UPSTREAM_RETRY_DEAD] = metrics_counter(retries, "reason=\"dead\"", retries_help);
	metrics->retries[UPSTREAM_RETRY_CLOSED] = metrics_counter(retries, "reason=\"closed\"", retries_help);
	metrics->retries[UPSTREAM_RETRY_UNPROCESSED] =
	    metrics_counter(retries, "reason=\"unprocessed\"", retries_help);
	metrics->h2_broken = metrics_counter("postern_edge_upstream_h2_broken_total", NULL,
	    "HTTP/2 connections to upstreams ended by us: what came broke the protocol, or was a flood.");
	metrics->ejections = metrics_counter("postern_edge_upstream_ejections_total", NULL,
	    "Times that an upstream address got nothing for a while, after failures in a row.");
}

static void init_background(struct upstream_metrics *metrics)
{
	static const char lookups[] = "postern_edge_upstream_lookups_total";
	static const char lookups_help[] = "Look-ups of upstreams' names.";
	static const char checks[] = "postern_edge_upstream_checks_total";
	static const char checks_help[] = "Health checks of upstream addresses.";

	metrics->lookups_ok = metrics_counter(lookups, "result=\"ok\"", lookups_help);
	metrics->lookups_failed = metrics_counter(lookups, "result=\"failed\"", lookups_help);
	metrics->checks_ok = metrics_counter(checks, "result=\"ok\"", checks_help);
	metrics->checks_failed = metrics_counter(checks, "result=\"failed\"", checks_help);
	metrics->groups_refused = metrics_counter("postern_edge_upstream_groups_refused_total", NULL,
	    "Domains' own upstreams that were not taken: no URL, or more of them in use than there is room.");
}

void upstream_metrics_init(struct upstream_metrics *metrics)
{
	init_connections(metrics);
	init_troubles(metrics);
	init_background(metrics);
	metrics->outstanding = metrics_gauge(
	    "postern_edge_upstream_outstanding", NULL, "Requests that are with an upstream now.");
	metrics->idle =
	    metrics_gauge("postern_edge_upstream_idle", NULL, "Connections kept open to upstreams, unused.");
	metrics->h2_connections = metrics_gauge(
	    "postern_edge_upstream_h2_connections", NULL, "Open HTTP/2 connections to upstreams.");
	metrics->groups = metrics_gauge("postern_edge_upstream_groups", NULL,
	    "Upstreams that are known: the settings' and domains' own.");
	metrics->addresses = metrics_gauge(
	    "postern_edge_upstream_known_addresses", NULL, "Different upstream addresses that are known.");
}

static bool has_room(const char *upstream)
{
	static char *known[UPSTREAM_GAUGES_MAX];

	for (size_t i = 0; i < UPSTREAM_GAUGES_MAX; i++) {
		if (!known[i])
			known[i] = mem_string(upstream);
		if (strcmp(known[i], upstream) == 0)
			return true;
	}
	return false;
}

struct upstream_gauges upstream_gauges_of(const char *upstream)
{
	char label[UPSTREAM_URL_MAX + 32];

	if (!has_room(upstream))
		return (struct upstream_gauges){.up = NULL};
	metrics_label(label, sizeof label, "upstream", upstream);
	return (struct upstream_gauges){
	    .up = metrics_gauge("postern_edge_upstream_up", label,
		"Addresses of an upstream that requests can go to: neither down nor ejected."),
	    .addresses = metrics_gauge(
		"postern_edge_upstream_addresses", label, "Addresses of an upstream, well or not."),
	};
}
