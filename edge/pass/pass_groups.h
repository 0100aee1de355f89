/*
 * Keeps the servers of the settings' routes known, looked up and checked, also while nobody connects: the
 * first client after a quiet night should not be the one that finds out who is down.
 */
#ifndef EDGE_PASS_GROUPS_H
#define EDGE_PASS_GROUPS_H

#include "edge/pass/pass_routes.h"

struct pass_groups;

/* The group of a route's servers: a reference for the caller. NULL: there is no room. */
struct upstream_group *pass_group_of(struct upstreams *upstreams, const struct pass_target *target);

/* `upstreams` is borrowed. */
struct pass_groups *pass_groups_hold(struct upstreams *upstreams, const struct pass_routes *routes);
/* Other routes: the groups that stay keep what is known of them. */
void pass_groups_change(struct pass_groups *groups, const struct pass_routes *routes);
void pass_groups_free(struct pass_groups *groups); /* NULL is fine */

#endif
