/*
 * Which upstream a connection's requests go to: the one of its domain's own, else the settings'.
 */
#include "edge/front/h1_conn_state.h"
#include "edge/site/site_cache.h"

static struct upstream_target *target_of_site(struct h1_conn *conn, const struct site *site)
{
	return upstream_pool_target(conn->worker->upstreams, site ? site->options.upstream : NULL);
}

/* Looked up again when sites have changed. One that is not in memory any more leaves the target as it was:
 * the connection ends with this response. */
static void refresh(struct h1_conn *conn)
{
	struct site_cache *sites = conn->worker->edge->sites;
	uint64_t change = site_cache_change(sites);

	if (conn->has_target && conn->target_change == change)
		return;
	struct site *site = site_cache_find(sites, conn->peer.sni);
	if (site || !conn->has_target) {
		struct upstream_target *before = conn->target;

		conn->target = target_of_site(conn, site);
		upstream_target_unref(before);
	}
	conn->has_target = true;
	conn->target_change = change;
	site_unref(site);
}

struct upstream_target *h1_target_find(struct h1_conn *conn)
{
	if (conn->request.shared)
		return target_of_site(conn, conn->request.shared);
	refresh(conn);
	return conn->target ? upstream_target_ref(conn->target) : NULL;
}

/* Who asks the kernel for it pays a system call. */
const struct net_address *h1_target_local(struct h1_conn *conn)
{
	if (conn->peer.local.size == 0 && upstream_pool_config(conn->worker->upstreams)->proxy_v2)
		net_local_address(conn->stream.io.fd, &conn->peer.local, NULL);
	return &conn->peer.local;
}
