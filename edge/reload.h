/*
 * SIGHUP: the settings, and the files that they name, once more. All of it is read before anything changes: a
 * bad value or file leaves the node as it was, with a line in the log that says what and where.
 */
#ifndef EDGE_RELOAD_H
#define EDGE_RELOAD_H

#include "edge/worker.h"

struct pass_groups;
struct seal_keys;

/* What a reload reaches. Called on main's thread only. */
struct reload {
	int argc;
	char **argv;
	struct edge *edge;
	struct seal_keys *keys;
	struct pass_groups *pass_groups;
	struct worker **workers;
	int worker_count;
};

void reload_run(const struct reload *reload);

#endif
