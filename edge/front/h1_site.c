/*
 * The site that a request is for, with what its domain's row asks for; and what of that a response carries.
 */
#include "edge/front/h1_conn_state.h"
#include "edge/site/site_cache.h"

/* Looked up again when sites have changed. One that has left the memory meanwhile stays good for the rest of
 * the connection, which ends soon. */
static const struct site *own_site(struct h1_conn *conn)
{
	struct site_cache *sites = conn->worker->edge->sites;
	uint64_t change = site_cache_change(sites);

	if (conn->site_change == change)
		return conn->site;
	struct site *site = site_cache_find(sites, conn->peer.sni);
	if (site) {
		site_unref(conn->site);
		conn->site = site;
	}
	conn->site_change = change;
	return conn->site;
}

/* RFC 6797 section 7.2: never without TLS. What the origin says counts more than what we were told. */
void h1_site_complete(struct h1_conn *conn, struct http_head *head)
{
	static const char field[] = "strict-transport-security";

	if (!conn->peer.tls)
		return;
	const struct site *site = conn->request.shared ? conn->request.shared : own_site(conn);
	if (site && site->options.hsts && !http_head_find(head, field, NULL))
		http_head_add(head, http_slice_of("Strict-Transport-Security"),
		    http_slice_of(site->options.hsts), HTTP_OTHER);
}
