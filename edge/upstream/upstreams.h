/*
 * All upstreams of the process: which groups there are, which addresses each has now. A group is what one
 * value of a domain's option `upstream` leads to, or all values of the setting together. Names are looked up
 * again and again by threads of its own; no worker ever waits for DNS.
 *
 * Bounds: UPSTREAM_GROUPS_MAX groups beside the settings', the least recently used one that nobody uses goes;
 * UPSTREAM_ADDRESSES_MAX addresses a group, UPSTREAM_ADDRESSES_TOTAL in all, of which those of the settings
 * may exceed it.
 */
#ifndef EDGE_UPSTREAMS_H
#define EDGE_UPSTREAMS_H

#include "edge/upstream/upstream_choice.h"
#include "edge/upstream/upstream_config.h"
#include "edge/upstream/upstream_metrics.h"

struct upstreams;
struct upstream_group;

enum { UPSTREAM_GROUPS_MAX = 1024, UPSTREAM_ADDRESSES_TOTAL = 4096 };

/* Takes a reference of its own. What is written as an IP address is there at once, without any thread. */
struct upstreams *upstreams_new(struct upstream_config *config);
/* Starts the threads that look names up. */
enum result upstreams_start(struct upstreams *upstreams, struct error *error);
/* Once no worker and no check is left. Waits a moment for look-ups under way; where one does not return, what
 * it needs is left behind for the end of the process. NULL is fine. */
void upstreams_free(struct upstreams *upstreams);

/* New settings, from any one thread. Addresses that stay keep what is known of them; requests in flight are
 * not touched; connections kept to addresses that went are closed. */
void upstreams_configure(struct upstreams *upstreams, struct upstream_config *config);
/* A reference for the caller. */
struct upstream_config *upstreams_config(struct upstreams *upstreams);
/* Grows with each upstreams_configure: cheap to ask. */
unsigned upstreams_config_version(const struct upstreams *upstreams);
const struct upstream_metrics *upstreams_metrics(const struct upstreams *upstreams);

/* Servers that bytes are passed to, whatever is spoken with them, and how they are checked. */
struct upstream_servers {
	const char
	    *key; /* the group's name in the table, which no URL can be: the same key, the same servers */
	const struct upstream_url *urls;
	size_t count;
	struct upstream_probe_plan probe;
};

/* `url` NULL: the settings' group. A reference for the caller; takes a lock. NULL: not an upstream, or no
 * room (both are logged and counted). */
struct upstream_group *upstreams_group(struct upstreams *upstreams, const char *url);
struct upstream_group *upstreams_servers(struct upstreams *upstreams, const struct upstream_servers *servers);
void upstreams_group_unref(struct upstreams *upstreams, struct upstream_group *group);
/* Whose turn it is: a number that counts up, of all threads together. */
unsigned upstream_group_turn(struct upstream_group *group);
/* Grows with each change of the addresses: cheap to ask. */
unsigned upstream_group_version(const struct upstream_group *group);
/* No address yet, and a look-up has not ended: worth waiting for. */
bool upstream_group_is_pending(const struct upstream_group *group);
/* The addresses now, as a reference for the caller. */
struct upstream_members *upstreams_members(
    struct upstreams *upstreams, struct upstream_group *group, unsigned *version);

/* For the checks: up to `max` addresses whose time has come, each a reference, marked as being checked.
 * `with_http`: those too that are asked for `upstream-health`. */
size_t upstreams_due_checks(
    struct upstreams *upstreams, int64_t now_ms, bool with_http, struct upstream_address **out, size_t max);
/* No checks by HTTP any more: nothing is known of addresses that had them. */
void upstreams_forget_health(struct upstreams *upstreams);

#endif
