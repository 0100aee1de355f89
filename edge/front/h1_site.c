/*
 * The site that a request is for, with what its domain's row asks for; and what of that a response carries.
 */
#include "edge/front/h1_conn_state.h"
#include "edge/site/site_cache.h"

/* Looked up when it is first wanted and again when sites have changed, once for all who ask. */
static void look(struct h1_conn *conn)
{
	struct site_cache *sites = conn->worker->edge->sites;
	uint64_t change = site_cache_change(sites);

	if (conn->has_looked && conn->site_change == change)
		return;
	struct site *site = site_cache_find(sites, conn->peer.sni);
	if (conn->site_change != change)
		conn->is_served = site;
	if (site) {
		site_unref(conn->site);
		conn->site = site;
		conn->has_target = false;
	}
	conn->has_looked = true;
	conn->site_change = change;
}

const struct site *h1_site_own(struct h1_conn *conn)
{
	look(conn);
	return conn->site;
}

/* A domain that is suspended or deleted gets no handshake any more; who had theirs before must not stay for
 * ever. A site that was only evicted costs its visitors a new connection. */
bool h1_site_is_served(struct h1_conn *conn)
{
	if (!conn->peer.tls)
		return true;
	if (conn->site_change != site_cache_change(conn->worker->edge->sites))
		look(conn);
	return conn->is_served;
}

/* RFC 6797 section 7.2: never without TLS. What the origin says counts more than what we were told. */
void h1_site_complete(struct h1_conn *conn, struct http_head *head)
{
	static const char field[] = "strict-transport-security";

	if (!conn->peer.tls)
		return;
	const struct site *site = conn->request.shared ? conn->request.shared : h1_site_own(conn);
	if (site && site->options.hsts && !http_head_find(head, field, NULL))
		http_head_add(head, http_slice_of("Strict-Transport-Security"),
		    http_slice_of(site->options.hsts), HTTP_OTHER);
}
