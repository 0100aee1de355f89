#include "edge/front/client.h"

#include <stdio.h>

#include "edge/site/site_cache.h"

/* ---- who it is */

/* The port of our socket is no port that a client knows: containers and balancers change it. */
static void read_peer(struct client *client, const struct conn_peer *peer)
{
	const struct trust *trust = client_trust(client);
	int told = net_port(&peer->local);

	client->peer = *peer;
	net_format_host(&peer->client, client->address);
	snprintf(client->port, sizeof client->port, "%u", (uint16_t)(told > 0 ? told : trust->https_port));
	client->behind_cdn = ip_ranges_contain(&trust->cdns, &peer->client);
}

void client_init(
    struct client *client, struct worker *worker, const struct stream *stream, const struct conn_peer *peer)
{
	*client = (struct client){.worker = worker,
	    .stream = stream,
	    .site_change = site_cache_change(worker->edge->sites),
	    .is_served = true};
	read_peer(client, peer);
}

void client_leave_upstream(struct client *client)
{
	upstream_target_unref(client->target);
	client->target = NULL;
	client->has_target = false;
}

void client_fini(struct client *client)
{
	client_leave_upstream(client);
	site_unref(client->site);
	client->site = NULL;
}

/* ---- the site of its name */

/* Looked up when it is first wanted and again when sites have changed, once for all who ask. */
static void look(struct client *client)
{
	struct site_cache *sites = client->worker->edge->sites;
	uint64_t change = site_cache_change(sites);

	if (client->has_looked && client->site_change == change)
		return;
	struct site *site = site_cache_find(sites, client->peer.sni);
	/* One that is passed on now is for its own server: what is open here ends as if it were gone. */
	bool is_served = site && !site_is_passed(site);
	if (client->site_change != change)
		client->is_served = is_served;
	if (!is_served) {
		site_unref(site);
	} else {
		site_unref(client->site);
		client->site = site;
		client->has_target = false;
	}
	client->has_looked = true;
	client->site_change = change;
}

const struct site *client_site(struct client *client)
{
	look(client);
	return client->site;
}

/* A site that was only evicted costs its visitors a new connection. */
bool client_is_served(struct client *client)
{
	if (!client->peer.tls)
		return true;
	if (client->site_change != site_cache_change(client->worker->edge->sites))
		look(client);
	return client->is_served;
}

/* A new connection now and then spreads clients over nodes, and ends what one may accumulate. */
static bool has_had_enough(const struct client *client)
{
	int64_t most = client_config(client)->max_requests;

	return most > 0 && client->request_count >= (uint64_t)most;
}

bool client_may_stay(struct client *client)
{
	return client_is_served(client) && !has_had_enough(client) &&
	       !atomic_load_explicit(&client->worker->edge->draining, memory_order_relaxed);
}

/* ---- where its requests go */

struct upstream_target *client_target_of(struct client *client, const struct site *site)
{
	return upstream_pool_target(client->worker->upstreams, site ? site->options.upstream : NULL);
}

struct upstream_target *client_target(struct client *client)
{
	const struct site *site = client_site(client);

	if (!client->has_target) {
		struct upstream_target *before = client->target;

		client->target = client_target_of(client, site);
		upstream_target_unref(before);
		client->has_target = true;
	}
	return client->target ? upstream_target_ref(client->target) : NULL;
}

/* Who asks the kernel for it pays a system call. */
const struct net_address *client_local(struct client *client)
{
	if (client->peer.local.size == 0 && upstream_pool_config(client->worker->upstreams)->proxy_v2)
		net_local_address(client->stream->io.fd, &client->peer.local, NULL);
	return &client->peer.local;
}
