/*
 * The admin listener of a daemon: /metrics, /healthz (the process lives), /readyz (it should get traffic).
 * Small, private, on libmicrohttpd with one thread of its own; never the data path.
 */
#ifndef COMMON_ADMIN_H
#define COMMON_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/result.h"

struct admin;

/* `ready` is called on the admin thread; it writes the reason when it says no. */
struct admin_hooks {
	bool (*ready)(void *arg, char *reason, size_t size);
	void *arg;
};

/* `listen` as in net_parse_address; port 0 takes a free one. Logs `admin listening` with the address. At most
 * 32 connections, each ended after 10 s of silence. `hooks` is copied; NULL: always ready. Adds the metrics
 * of metrics_add_process. */
/* `listen` NULL (`--admin-listen=`): none is wanted; *out is NULL, which admin_stop takes. */
enum result admin_start(
    struct admin **out, const char *listen, const struct admin_hooks *hooks, struct error *error);
/* The address it is bound to, as text; lives as long as `admin`. */
const char *admin_address(const struct admin *admin);
/* Ends its thread and closes its connections. NULL is ignored. */
void admin_stop(struct admin *admin);

#endif
