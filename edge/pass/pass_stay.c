/*
 * How long a connection that is open may stay: until it has been silent for too long, and where its domain's
 * option led, no longer than the domain would still let it in.
 */
#include "edge/pass/pass_conn_internal.h"

#include "edge/site/site_cache.h"

/* No byte of its own tells a connection that its domain was suspended. */
enum { STAY_LOOK_MS = 5 * 1000 };

/* Other servers do not matter to who is there already. */
static bool is_welcome(const struct pass_conn *conn)
{
	char address[NET_ADDRESS_TEXT];
	struct site *site = site_cache_find(conn->worker->edge->sites, conn->line.name);
	bool is = site && site_is_passed(site) &&
		  domain_options_admit(&site->options, net_format_host(&conn->peer, address));

	site_unref(site);
	return is;
}

/* A site that was only evicted, with nothing changed since, is no reason. */
static bool may_stay(struct pass_conn *conn)
{
	uint64_t change = site_cache_change(conn->worker->edge->sites);

	if (!conn->of_domain || conn->site_change == change)
		return true;
	conn->site_change = change;
	return is_welcome(conn);
}

static int64_t silence_left(const struct pass_conn *conn)
{
	return conn->moved_ms + conn->worker->config->pass->idle_ms - loop_now(conn->worker->loop);
}

static void wait_on(struct pass_conn *conn, int64_t left)
{
	bool looks = conn->of_domain || !conn->has_settled;

	deadline_set(&conn->deadline, looks && left > STAY_LOOK_MS ? STAY_LOOK_MS : left);
}

/* The listener's sockets are probed from the beginning; for a connection of moments it is not worth a
 * microsecond. */
static void settle(struct pass_conn *conn)
{
	if (!conn->has_settled)
		stream_probe(&conn->upstream);
	conn->has_settled = true;
}

void pass_stay_begin(struct pass_conn *conn)
{
	conn->moved_ms = loop_now(conn->worker->loop);
	wait_on(conn, silence_left(conn));
}

void pass_stay_on_deadline(struct pass_conn *conn)
{
	int64_t left = silence_left(conn);

	if (left <= 0)
		pass_conn_end(conn, "idle_timeout", true);
	else if (!may_stay(conn))
		pass_conn_end(conn, "unserved", true);
	else {
		settle(conn);
		wait_on(conn, left);
	}
}
