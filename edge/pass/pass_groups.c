#include "edge/pass/pass_groups.h"

#include <stdlib.h>

#include "common/base/mem.h"

struct pass_groups {
	struct upstreams *upstreams;
	struct upstream_group **held;
	size_t count;
};

struct upstream_group *pass_group_of(struct upstreams *upstreams, const struct pass_target *target)
{
	const struct upstream_servers servers = {
	    .key = target->key, .urls = target->servers, .count = target->count, .probe = target->probe};

	return upstreams_servers(upstreams, &servers);
}

static void hold(struct pass_groups *groups, const struct pass_routes *routes)
{
	size_t count = pass_routes_count(routes);

	groups->held = count > 0 ? mem_alloc_array(count, sizeof(struct upstream_group *)) : NULL;
	for (groups->count = 0; groups->count < count; groups->count++)
		groups->held[groups->count] =
		    pass_group_of(groups->upstreams, &pass_routes_at(routes, groups->count)->target);
}

static void let_go(struct pass_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		if (groups->held[i])
			upstreams_group_unref(groups->upstreams, groups->held[i]);
	free(groups->held);
}

struct pass_groups *pass_groups_hold(struct upstreams *upstreams, const struct pass_routes *routes)
{
	struct pass_groups *groups = mem_alloc(sizeof *groups);

	groups->upstreams = upstreams;
	hold(groups, routes);
	return groups;
}

void pass_groups_change(struct pass_groups *groups, const struct pass_routes *routes)
{
	struct pass_groups before = *groups;

	hold(groups, routes);
	let_go(&before);
}

void pass_groups_free(struct pass_groups *groups)
{
	if (!groups)
		return;
	let_go(groups);
	free(groups);
}
