#include "edge/front/request_internal.h"

#include "common/base/clock.h"
#include "edge/admission.h"
#include "edge/front/shared_host.h"
#include "edge/http/http_date.h"
#include "edge/site/site_cache.h"

const char *request_address(const struct request *request)
{
	return request->address[0] ? request->address : request->client->address;
}

/* ---- its beginning and its end */

/* `head` NULL: it could not be read. */
static void start(struct request *request, struct client *client, const struct request_front *front,
    const struct http_head *head, const struct request_arrival *arrival)
{
	*request = (struct request){
	    .client = client,
	    .front = front,
	    .state = REQUEST_ANSWERED,
	    .version = HTTP_1_1,
	    .stream = arrival->stream,
	    .to_head = arrival->to_head,
	    .served_before = client->request_count++,
	    .started_us = clock_monotonic_us(),
	    .head_us = arrival->head_us,
	    .first_byte_us = -1,
	    .connect_us = -1,
	    .bytes_in = arrival->size,
	    .entry = client_config(client)->access_log ? access_entry_new(head) : NULL,
	};
}

static void identify(struct request *request, const struct http_head *head)
{
	const struct client *client = request->client;

	request->version = (enum http_version)head->version;
	request->to_head = http_slice_equal(head->method, "HEAD");
	identity_request_id(request->id, head);
	if (client->behind_cdn)
		identity_client(request->address, head, &client->peer.client, &client_trust(client)->cdns);
}

static void write_access_line(struct request *request, int64_t took_us, const char *ended)
{
	const struct client *client = request->client;
	const struct conn_times *times = &client->peer.times;
	bool is_first = request->served_before == 0;

	access_entry_end(request->entry, client->worker->edge->access_log,
	    &(struct access_outcome){
		.client = request_address(request),
		.request_id = request->id[0] ? request->id : NULL,
		.status = request->status,
		.version = request->version,
		.bytes_in = request->bytes_in,
		.bytes_out = request->bytes_out,
		.served_before = request->served_before,
		.retries = request->retries,
		.ssl = client->stream->ssl,
		.sni = client->peer.sni,
		.hello_us = is_first ? times->hello : -1,
		.certificate_us = is_first ? times->certificate : -1,
		.handshake_us = is_first ? times->handshake : -1,
		.head_us = request->head_us,
		.connect_us = request->connect_us,
		.first_byte_us = request->first_byte_us,
		.total_us = took_us,
		.ended = ended,
	    });
	request->entry = NULL;
}

static void count(const struct request *request, int64_t took_us)
{
	const struct http_metrics *metrics = &client_config(request->client)->metrics;

	metric_add(metrics->requests[request->status / 100], 1);
	metric_add(metrics->versions[request->version], 1);
	metric_add(metrics->bytes_in, (int64_t)request->bytes_in);
	metric_add(metrics->bytes_out, (int64_t)request->bytes_out);
	histogram_observe_us(metrics->head_seconds, request->head_us);
	histogram_observe_us(request->tunnel ? metrics->tunnel_seconds : metrics->request_seconds, took_us);
	if (request->connect_us >= 0)
		histogram_observe_us(metrics->connect_seconds, request->connect_us);
	if (request->first_byte_us >= 0)
		histogram_observe_us(metrics->first_byte_seconds, request->first_byte_us);
}

void request_drop(struct request *request)
{
	if (!request->exchange)
		return;
	request->retries = exchange_retries(request->exchange);
	request->connect_us = exchange_connect_us(request->exchange);
	request->reset_code = exchange_reset_code(request->exchange);
	exchange_free(request->exchange);
	request->exchange = NULL;
	request->state = REQUEST_ANSWERED;
}

void request_end(struct request *request, bool whole)
{
	if (request->state == REQUEST_NONE)
		return;
	request_drop(request);
	int64_t took_us = clock_monotonic_us() - request->started_us;
	count(request, took_us);
	const char *ended = request->tunnel ? request_tunnel_close(request, whole) : NULL;
	if (request->entry)
		write_access_line(request, took_us, ended);
	if (whole && request->challenge_row)
		challenges_mark_seen(request->client->worker->edge->challenges, request->challenge_row);
	site_unref(request->shared);
	request->shared = NULL;
	request->state = REQUEST_NONE;
}

/* ---- the response of an upstream */

/* Who gets a response without Date writes one (RFC 9110 section 6.6.1). */
static void complete_head(struct request *request, struct http_head *head)
{
	bool has_date = false;
	bool has_id = false;

	for (size_t i = 0; i < head->field_count; i++) {
		has_date = has_date || head->fields[i].id == HTTP_DATE;
		has_id = has_id || head->fields[i].id == HTTP_REQUEST_ID;
	}
	request_options_complete(request, head);
	if (!has_date)
		http_head_add(head, http_slice_of("Date"), http_slice_of(http_date_now()), HTTP_DATE);
	if (!has_id)
		http_head_add(
		    head, http_slice_of("X-Request-Id"), http_slice_of(request->id), HTTP_REQUEST_ID);
}

static void on_head(void *arg, struct http_head *head, bool interim)
{
	struct request *request = arg;

	if (!interim && request_tunnel_is_wrong(request, head)) {
		request_drop(request);
		request_answer_failure(request, 502);
		return;
	}
	if (!interim) {
		request->status = head->status;
		request->first_byte_us = clock_monotonic_us() - request->started_us;
		access_entry_set_upstream(request->entry, exchange_upstream(request->exchange));
		complete_head(request, head);
		if (head->body == HTTP_BODY_TUNNEL)
			request_tunnel_open(request);
	}
	request->front->on_head(request, head, interim);
}

static size_t on_body(void *arg, const char *bytes, size_t size)
{
	struct request *request = arg;

	size_t taken = request->front->on_body(request, bytes, size);

	if (request->tunnel && taken > 0)
		request_tunnel_moved(request, 0, taken);
	return taken;
}

static void on_trailers(void *arg, struct http_head *trailers)
{
	struct request *request = arg;

	request->front->on_trailers(request, trailers);
}

static void on_end(void *arg)
{
	struct request *request = arg;

	if (!request->tunnel)
		request_drop(request);
	request->front->on_end(request);
}

static void on_pause(void *arg)
{
	struct request *request = arg;

	request->front->on_pause(request);
}

static void on_room(void *arg)
{
	struct request *request = arg;

	request->front->on_room(request);
}

/* A tunnel has an end of its own to be counted. */
static void cut(struct request *request, enum http_cut cause)
{
	if (!request->tunnel)
		metric_add(client_config(request->client)->metrics.cuts[cause], 1);
	request->front->on_cut(request);
}

static void on_failed(void *arg, int status)
{
	struct request *request = arg;

	if (request->tunnel)
		request_tunnel_ends(request, TUNNEL_UPSTREAM);
	request_drop(request);
	if (request->status == 0)
		request_answer_failure(request, status);
	else
		cut(request, CUT_APP);
}

static const struct exchange_front exchange_callbacks = {
    .on_head = on_head,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_pause = on_pause,
    .on_room = on_room,
    .on_failed = on_failed,
};

void request_break_off(struct request *request, int status)
{
	request_drop(request);
	if (request->status == 0)
		request_answer(request, &(struct reply){.status = status, .ends_connection = true});
	else
		cut(request, CUT_SLOW_CLIENT);
}

/* ---- on its way to the upstream */

static struct upstream_target *target_of(struct request *request)
{
	struct client *client = request->client;

	if (request->is_sorry)
		return upstream_pool_target(client->worker->upstreams, client_config(client)->sorry_upstream);
	if (request->shared)
		return client_target_of(client, request->shared);
	return client_target(client);
}

static void exchange(struct request *request, struct http_head *head)
{
	int status = 503;
	struct client *client = request->client;
	const char *sni = client->peer.sni;
	const char *address = request_address(request);
	char forwarded[IDENTITY_FORWARDED_SIZE];
	struct http_slice host = head->host.size > 0 ? head->host : http_slice_of(sni);
	const struct forward_identity identity = {
	    .client = address,
	    .sni = sni,
	    .port = client->port,
	    .forwarded = identity_forwarded(forwarded, address, host, client->peer.tls),
	    .request_id = request->id,
	    .via = client_trust(client)->via[head->version],
	    .tls = client->peer.tls,
	};
	const struct exchange_route route = {.target = target_of(request),
	    .identity = &identity,
	    .client = {.client = &client->peer.client, .local = client_local(client)}};

	request_tunnel_complete(request, head);
	if (route.target)
		request->exchange = exchange_start(
		    client->worker->upstreams, head, &route, &exchange_callbacks, request, &status);
	upstream_target_unref(route.target);
	if (request->exchange)
		request->state = REQUEST_EXCHANGE;
	else
		request_answer_failure(request, status);
}

void request_pass_on(struct request *request, struct http_head *head)
{
	if (!request_options_answer(request, head))
		exchange(request, head);
}

static void pass_on_shared(struct request *request, struct http_head *head, const char *host)
{
	const struct client *client = request->client;

	request->shared =
	    shared_host_find(client->worker->edge->sites, client->peer.sni, host, client->stream->ssl);
	if (request->shared)
		request_pass_on(request, head);
	else
		request_answer_misdirected(request, head);
}

static void shed(struct request *request)
{
	metric_add(client_config(request->client)->metrics.shed, 1);
	request_answer(request, &(struct reply){.status = 503, .ends_connection = true});
}

static void follow(struct request *request, struct http_head *head, const struct route *route)
{
	switch (route->action) {
	case ROUTE_UPSTREAM: request_pass_on(request, head); return;
	case ROUTE_SHARED: pass_on_shared(request, head, route->host.text); return;
	case ROUTE_CHALLENGE: request_answer_challenge(request, head, route); return;
	case ROUTE_REDIRECT: request_answer_plain(request, head, route); return;
	case ROUTE_ANSWER: break;
	}
	if (route->status == 421)
		request_answer_misdirected(request, head);
	else
		request_answer_failure(request, route->status);
}

void request_begin(struct request *request, struct client *client, const struct request_front *front,
    struct http_head *head, const struct request_arrival *arrival)
{
	struct route route;

	start(request, client, front, head, arrival);
	identify(request, head);
	route_request(&route, head, client->peer.tls ? client->peer.sni : NULL);
	if (route.action != ROUTE_ANSWER && identity_is_loop(head, client_trust(client)))
		route = (struct route){.action = ROUTE_ANSWER, .status = 508};
	if (route.action != ROUTE_ANSWER && admission_is_short_of_memory(client->worker))
		shed(request);
	else
		follow(request, head, &route);
}

void request_refuse(struct request *request, struct client *client, const struct request_front *front,
    int status, const struct request_arrival *arrival)
{
	start(request, client, front, NULL, arrival);
	request_answer(request, &(struct reply){.status = status, .ends_connection = true});
}
