/*
 * What is counted of connections that are passed on, by route.
 */
#ifndef EDGE_PASS_METRICS_H
#define EDGE_PASS_METRICS_H

#include "common/daemon/metrics.h"

/* Series stay for ever: of all reloads together so many routes have their own, later ones share `other`. */
enum { PASS_METRICS_ROUTES_MAX = 48 };

struct pass_metrics {
	struct metric *connections;
	struct metric *bytes_in, *bytes_out; /* from and to clients */
	struct metric *open;
};

/* Main's thread, at start or at a reload. */
struct pass_metrics pass_metrics_of(const char *route);

#endif
