#include "edge/pass/pass_metrics.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

/* A route's own name, or what stands for those that came later. */
static const char *name_of(const char *route)
{
	static char *known[PASS_METRICS_ROUTES_MAX];

	for (size_t i = 0; i < PASS_METRICS_ROUTES_MAX; i++) {
		if (!known[i])
			known[i] = mem_string(route);
		if (strcmp(known[i], route) == 0)
			return route;
	}
	return "other";
}

struct pass_metrics pass_metrics_of(const char *route)
{
	static const char bytes[] = "postern_edge_passthrough_bytes_total";
	static const char bytes_help[] = "Bytes passed on without terminating TLS, from clients and to them.";
	char label[512];
	char labels[600];

	metrics_label(label, sizeof label, "route", name_of(route));
	struct pass_metrics metrics = {
	    .connections = metrics_counter("postern_edge_passthrough_connections_total", label,
		"Connections that were passed on without terminating TLS, or were to be, by route."),
	    .open = metrics_gauge(
		"postern_edge_passthrough_open", label, "Connections that are being passed on now."),
	};
	snprintf(labels, sizeof labels, "%s,direction=\"in\"", label);
	metrics.bytes_in = metrics_counter(bytes, labels, bytes_help);
	snprintf(labels, sizeof labels, "%s,direction=\"out\"", label);
	metrics.bytes_out = metrics_counter(bytes, labels, bytes_help);
	return metrics;
}
