/*
 * What a domain's requests go to, as one worker sees it: the group's addresses at some moment with the
 * worker's shelf of each, so that choosing takes no lock and no look-up.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/upstream/upstream_pool_state.h"

/* A look-up takes milliseconds, or its group is waited for by the deadline. */
enum { WAIT_STEP_MS = 10 };

static void forget_members(struct upstream_target *target)
{
	if (!target->members)
		return;
	for (size_t i = 0; i < target->members->count; i++)
		upstream_shelf_drop(target->shelves[i]);
	upstream_members_unref(target->members);
	target->members = NULL;
}

static void see_members(struct upstream_target *target)
{
	struct upstream_pool *pool = target->pool;
	unsigned version = 0;
	struct upstream_members *members = upstreams_members(pool->upstreams, target->group, &version);
	struct upstream_shelf *shelves[UPSTREAM_ADDRESSES_MAX];

	/* Held before the old ones are let go: a shelf that stays keeps its connections. */
	for (size_t i = 0; i < members->count; i++)
		shelves[i] = upstream_shelf_hold(pool, members->addresses[i]);
	forget_members(target);
	memcpy(target->shelves, shelves, members->count * sizeof *shelves);
	target->members = members;
	target->version = version;
}

struct upstream_target *upstream_target_ref(struct upstream_target *target)
{
	target->references++;
	return target;
}

void upstream_target_unref(struct upstream_target *target)
{
	if (!target || --target->references > 0)
		return;
	struct upstream_pool *pool = target->pool;
	name_table_remove(&pool->targets, &target->entry);
	forget_members(target);
	upstreams_group_unref(pool->upstreams, target->group);
	free(target->url);
	free(target);
}

static struct upstream_target *target_new(struct upstream_pool *pool, const char *url)
{
	struct upstream_group *group = upstreams_group(pool->upstreams, url);

	if (!group)
		return NULL;
	struct upstream_target *target = mem_alloc(sizeof *target);
	target->pool = pool;
	target->references = 1;
	target->group = group;
	target->url = mem_string(url);
	target->entry.name = url ? target->url : "";
	name_table_add(&pool->targets, &target->entry);
	see_members(target);
	return target;
}

struct upstream_target *upstream_pool_target(struct upstream_pool *pool, const char *url)
{
	if (!url)
		return upstream_target_ref(pool->defaults);
	struct name_entry *entry = name_table_find(&pool->targets, url);
	return entry ? upstream_target_ref(loop_owner(entry, struct upstream_target, entry))
		     : target_new(pool, url);
}

/* ---- choosing */

struct upstream_shelf *upstream_pool_choose(struct upstream_pool *pool, struct upstream_target *target,
    const struct upstream_address *const *tried, size_t tried_count)
{
	if (upstream_group_version(target->group) != target->version)
		see_members(target);
	/* Behind the members: CAs that are older than an address would vouch for it in their stead. */
	upstream_pool_refresh(pool);
	int index = upstream_choose(target->members, &(struct upstream_choice){
							 .now_ms = loop_now(pool->loop),
							 .slow_start_ms = pool->config->slow_start_ms,
							 .tried = tried,
							 .tried_count = tried_count,
							 .random = &pool->random,
						     });
	if (index == UPSTREAM_CHOICE_NONE)
		return NULL;
	struct upstream_shelf *shelf = target->shelves[index];
	shelf->users++;
	atomic_fetch_add_explicit(&shelf->place.address->outstanding, 1, memory_order_relaxed);
	return shelf;
}

struct upstream_shelf *upstream_pool_visit(struct upstream_pool *pool, struct upstream_address *address)
{
	upstream_pool_refresh(pool);
	atomic_fetch_add_explicit(&address->outstanding, 1, memory_order_relaxed);
	return upstream_shelf_hold(pool, address);
}

void upstream_shelf_leave(struct upstream_shelf *shelf)
{
	atomic_fetch_sub_explicit(&shelf->place.address->outstanding, 1, memory_order_relaxed);
	upstream_shelf_drop(shelf);
}

/* ---- waiting for a first look-up */

bool upstream_target_is_pending(const struct upstream_target *target)
{
	return upstream_group_is_pending(target->group);
}

static struct upstream_wait *first_over(struct upstream_pool *pool)
{
	struct upstream_wait *wait = NULL;

	TAILQ_FOREACH(wait, &pool->waits, entry)
	if (wait->until_ms <= loop_now(pool->loop) || !upstream_group_is_pending(wait->target->group))
		return wait;
	return NULL;
}

/* Each may end others' waits. */
static void on_wait_step(struct loop_timer *timer)
{
	struct upstream_pool *pool = loop_owner(timer, struct upstream_pool, wait_timer);
	struct upstream_wait *wait = NULL;

	while ((wait = first_over(pool))) {
		TAILQ_REMOVE(&pool->waits, wait, entry);
		wait->on_over(wait);
	}
	if (!TAILQ_EMPTY(&pool->waits))
		loop_timer_set(pool->loop, &pool->wait_timer, WAIT_STEP_MS);
}

void upstream_pool_wait(struct upstream_pool *pool, struct upstream_wait *wait)
{
	wait->until_ms = loop_now(pool->loop) + pool->timeouts.connect_ms;
	TAILQ_INSERT_TAIL(&pool->waits, wait, entry);
	if (!loop_timer_is_set(&pool->wait_timer))
		loop_timer_set(pool->loop, &pool->wait_timer, WAIT_STEP_MS);
}

void upstream_pool_stop_waiting(struct upstream_pool *pool, struct upstream_wait *wait)
{
	TAILQ_REMOVE(&pool->waits, wait, entry);
}

/* ---- start and end */

void upstream_targets_init(struct upstream_pool *pool)
{
	TAILQ_INIT(&pool->waits);
	pool->wait_timer.on_expire = on_wait_step;
	pool->defaults = target_new(pool, NULL);
}

void upstream_targets_fini(struct upstream_pool *pool)
{
	loop_timer_clear(pool->loop, &pool->wait_timer);
	upstream_target_unref(pool->defaults);
	name_table_fini(&pool->targets);
}
