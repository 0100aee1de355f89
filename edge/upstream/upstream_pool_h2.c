/*
 * A shelf's HTTP/2 connections, idle or not: which one takes another request, and when one is closed.
 */
#include "edge/upstream/upstream_pool_state.h"

static bool is_gone(const struct upstream_shelf *shelf)
{
	return atomic_load_explicit(&shelf->place.address->gone, memory_order_relaxed);
}

static void mark_idle(struct upstream_shelf *shelf, struct upstream_h2_link *link, int64_t since_ms)
{
	int change = (since_ms != 0) - (link->idle_since_ms != 0);

	link->idle_since_ms = since_ms;
	if (change == 0)
		return;
	shelf->idle_h2 += (size_t)change;
	shelf->pool->idle_count += (size_t)change;
	metric_add(shelf->pool->metrics->idle, change);
}

static void forget(struct upstream_shelf *shelf, struct upstream_h2_link *link)
{
	mark_idle(shelf, link, 0);
	LIST_REMOVE(link, entry);
}

static void drop(struct upstream_shelf *shelf, struct upstream_h2_link *link)
{
	forget(shelf, link);
	upstream_h2_close(link->conn);
	upstream_shelf_drop(shelf);
}

static bool is_wanted(const struct upstream_shelf *shelf)
{
	const struct upstream_config *config = shelf->pool->config;

	return !is_gone(shelf) && !config->proxy_v2 && (shelf->place.address->h2c || config->http2);
}

static void on_idle(void *arg, struct upstream_h2 *conn)
{
	struct upstream_shelf *shelf = arg;

	if (upstream_h2_is_retired(conn) || !is_wanted(shelf) || shelf->idle_h2 == UPSTREAM_IDLE_MAX) {
		drop(shelf, upstream_h2_link(conn));
		return;
	}
	mark_idle(shelf, upstream_h2_link(conn), loop_now(shelf->pool->loop));
	upstream_pool_start_sweeping(shelf->pool);
}

static void on_gone(void *arg, struct upstream_h2 *conn)
{
	struct upstream_shelf *shelf = arg;

	forget(shelf, upstream_h2_link(conn));
	upstream_shelf_drop(shelf);
}

static const struct upstream_h2_owner owner = {.on_idle = on_idle, .on_gone = on_gone};

void upstream_shelf_open_h2(
    struct upstream_shelf *shelf, struct upstream_opened *opened, struct upstream_wait_list *list)
{
	int64_t connect_us = opened->connect_us;
	struct upstream_h2 *conn = upstream_h2_new(&shelf->place, opened, &owner, shelf);

	LIST_INSERT_HEAD(&shelf->h2, upstream_h2_link(conn), entry);
	shelf->users++;
	while (list->count > 0 && upstream_h2_has_room(conn))
		upstream_waiters_move_first(list, upstream_h2_open(conn, connect_us));
}

/* The oldest that can: those that a burst has opened are left alone and end. */
struct upstream_call *upstream_shelf_join(struct upstream_shelf *shelf)
{
	struct upstream_h2_link *link = NULL;
	struct upstream_h2_link *chosen = NULL;

	if (LIST_EMPTY(&shelf->h2) || !is_wanted(shelf))
		return NULL;
	LIST_FOREACH(link, &shelf->h2, entry)
	if (upstream_h2_has_room(link->conn))
		chosen = link;
	if (!chosen)
		return NULL;
	mark_idle(shelf, chosen, 0);
	return upstream_h2_open(chosen->conn, -1);
}

static bool is_due(const struct upstream_h2_link *link, int64_t now)
{
	return link->idle_since_ms != 0 && link->idle_since_ms + UPSTREAM_IDLE_MS <= now;
}

/* One that is not wanted any more, but has streams, ends with the last of them. */
void upstream_shelf_sweep_h2(struct upstream_shelf *shelf, bool all, int64_t now)
{
	struct upstream_h2_link *link = LIST_FIRST(&shelf->h2);

	while (link) {
		struct upstream_h2_link *next = LIST_NEXT(link, entry);

		if (upstream_h2_streams(link->conn) == 0 && (all || !is_wanted(shelf) || is_due(link, now)))
			drop(shelf, link);
		link = next;
	}
}
