/*
 * The admin listener of a daemon: /metrics, /healthz (the process lives), /readyz (it should get traffic). Small,
 * private, on libmicrohttpd with one thread of its own; never the data path.
 */
#ifndef COMMON_ADMIN_H
#define COMMON_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/result.h"

struct admin;

/* `ready` is called on the admin thread; it writes the reason when it says no. */
struct admin_hooks {
	bool (*ready)(void *arg, char *reason, size_t size);
	void *arg;
};

enum result admin_start(struct admin **out, const char *listen, const struct admin_hooks *hooks, struct error *error);
void admin_stop(struct admin *admin);

#endif
