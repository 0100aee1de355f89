/*
 * A request that has become a tunnel: how long both sides may be silent, whether its name is still served,
 * and what is counted of it. Its bytes are its front end's and its exchange's.
 */
#include <stdlib.h>

#include "common/base/mem.h"
#include "edge/front/request_internal.h"
#include "edge/loop/deadline.h"
#include "edge/site/site_cache.h"

/* The first byte of a request that would find out that its name is not served any more never comes. */
enum { TUNNEL_LOOK_MS = 5 * 1000 };

struct request_tunnel {
	struct request *request;
	struct deadline deadline;
	int64_t moved_ms; /* the last byte */
	enum tunnel_end end;
};

static int64_t now_of(const struct request *request)
{
	return loop_now(request->client->worker->loop);
}

/* Its name has a site in memory, and that would let its visitor in: as for a request that came now. */
static bool is_served(const struct request *request)
{
	if (!client_is_served(request->client))
		return false;
	if (!request->shared) {
		const struct site *own = client_site(request->client);

		return !own || domain_options_admit(&own->options, request_address(request));
	}
	struct site *site = site_cache_find(request->client->worker->edge->sites, request->shared->name.text);
	bool admits = site && domain_options_admit(&site->options, request_address(request));
	site_unref(site);
	return admits;
}

/* Until the next look, or until it has been silent for too long. */
static int64_t next_look(const struct request_tunnel *tunnel)
{
	const struct request *request = tunnel->request;
	int64_t until = tunnel->moved_ms + client_config(request->client)->tunnel_idle_timeout_ms;
	int64_t left = until - now_of(request);

	return left < TUNNEL_LOOK_MS ? left : TUNNEL_LOOK_MS;
}

static void give_up(struct request *request, enum tunnel_end end)
{
	request_tunnel_ends(request, end);
	request->front->on_cut(request);
}

static void on_deadline(struct deadline *deadline)
{
	struct request_tunnel *tunnel = loop_owner(deadline, struct request_tunnel, deadline);
	int64_t wait_ms = next_look(tunnel);

	if (!is_served(tunnel->request))
		give_up(tunnel->request, TUNNEL_UNSERVED);
	else if (wait_ms <= 0)
		give_up(tunnel->request, TUNNEL_IDLE);
	else
		deadline_set(&tunnel->deadline, wait_ms);
}

/* ---- asked for over HTTP/2 */

void request_tunnel_complete(struct request *request, struct http_head *head)
{
	if (head->version != HTTP_2 || head->upgrade.size == 0)
		return;
	http_head_remove(head, "sec-websocket-key");
	websocket_key_make(request->websocket_key);
	http_head_add(
	    head, http_slice_of("Sec-WebSocket-Key"), http_slice_of(request->websocket_key), HTTP_OTHER);
}

/* Without the right answer to our key it is no WebSocket that has opened; and any 2xx would tell the client
 * that one has. */
bool request_tunnel_is_wrong(const struct request *request, const struct http_head *head)
{
	if (!request->websocket_key[0])
		return false;
	if (head->body != HTTP_BODY_TUNNEL)
		return head->status < 300;
	const struct http_field *accept = http_head_find(head, "sec-websocket-accept", NULL);
	return !accept || !websocket_is_accepted(request->websocket_key, accept->value);
}

/* ---- its life */

void request_tunnel_open(struct request *request)
{
	struct request_tunnel *tunnel = mem_alloc(sizeof *tunnel);

	tunnel->request = request;
	tunnel->moved_ms = now_of(request);
	tunnel->end = TUNNEL_CLIENT;
	deadline_init(&tunnel->deadline, request->client->worker->loop, on_deadline);
	deadline_set(&tunnel->deadline, next_look(tunnel));
	metric_add(client_config(request->client)->metrics.tunnels, 1);
	request->tunnel = tunnel;
}

void request_tunnel_moved(struct request *request, size_t in, size_t out)
{
	const struct http_metrics *metrics = &client_config(request->client)->metrics;

	request->tunnel->moved_ms = now_of(request);
	if (in > 0)
		metric_add(metrics->tunnel_bytes_in, (int64_t)in);
	if (out > 0)
		metric_add(metrics->tunnel_bytes_out, (int64_t)out);
}

void request_tunnel_ends(struct request *request, enum tunnel_end end)
{
	request->tunnel->end = end;
}

const char *request_tunnel_close(struct request *request, bool whole)
{
	static const char *const names[TUNNEL_END_COUNT] = {
	    [TUNNEL_WHOLE] = "whole",
	    [TUNNEL_CLIENT] = "client",
	    [TUNNEL_UPSTREAM] = "upstream",
	    [TUNNEL_IDLE] = "idle",
	    [TUNNEL_UNSERVED] = "unserved",
	    [TUNNEL_DRAIN] = "drain",
	};
	const struct http_metrics *metrics = &client_config(request->client)->metrics;
	enum tunnel_end end = whole ? TUNNEL_WHOLE : request->tunnel->end;

	metric_add(metrics->tunnels, -1);
	metric_add(metrics->tunnel_ends[end], 1);
	deadline_fini(&request->tunnel->deadline);
	free(request->tunnel);
	request->tunnel = NULL;
	return names[end];
}
