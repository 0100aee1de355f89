/*
 * Which upstream a connection's requests go to: the one of its domain's own, else the settings'.
 */
#include "edge/front/h1_conn_state.h"

static struct upstream_target *target_of_site(struct h1_conn *conn, const struct site *site)
{
	return upstream_pool_target(conn->worker->upstreams, site ? site->options.upstream : NULL);
}

struct upstream_target *h1_target_find(struct h1_conn *conn)
{
	if (conn->request.shared)
		return target_of_site(conn, conn->request.shared);
	const struct site *site = h1_site_own(conn);
	if (!conn->has_target) {
		struct upstream_target *before = conn->target;

		conn->target = target_of_site(conn, site);
		upstream_target_unref(before);
		conn->has_target = true;
	}
	return conn->target ? upstream_target_ref(conn->target) : NULL;
}

/* Who asks the kernel for it pays a system call. */
const struct net_address *h1_target_local(struct h1_conn *conn)
{
	if (conn->peer.local.size == 0 && upstream_pool_config(conn->worker->upstreams)->proxy_v2)
		net_local_address(conn->stream.io.fd, &conn->peer.local, NULL);
	return &conn->peer.local;
}
