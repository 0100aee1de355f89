#include "edge/front/exchange.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/log/log.h"

enum {
	/* Each takes upstream-connect-timeout: more would keep a visitor waiting for longer than anybody
	 * does.
	 */
	CONNECT_TIMEOUTS_MAX = 2,
	ADDRESSES_MAX = 8, /* that one request is taken to */
	UNPROCESSED_MAX = 3,
	RESENT_MAX = 1, /* so that a request that kills its upstream does not kill them all */
};

struct exchange {
	struct upstream_pool *pool;
	const struct exchange_front *front;
	void *arg;
	struct upstream_call *call; /* NULL once the response has ended or failed */
	struct buf head;            /* the request at rest, while no call has taken it */
	struct upstream_request request;
	bool is_idempotent;
	char *upgrade;  /* the protocols it asks for; NULL: none */
	bool is_tunnel; /* its upstream changed to one of them */
	struct upstream_client client;
	struct upstream_target *target;
	struct upstream_shelf *shelf; /* where it is now; NULL between two addresses */
	const struct upstream_address *tried[ADDRESSES_MAX];
	size_t tried_count;
	int connect_timeouts;
	int resent;
	int unprocessed;
	uint32_t reset_code;
	int retries; /* of either kind, for the log */
	int64_t connect_us;
	enum upstream_failure failure; /* the last one */
	bool is_waiting;               /* for the first look-up of its upstream's name */
	struct upstream_wait wait;
};

static void open_tunnel(struct exchange *exchange)
{
	exchange->is_tunnel = true;
	upstream_address_succeeded(
	    upstream_shelf_address(exchange->shelf), upstream_pool_now(exchange->pool));
}

static void on_head(void *arg, struct http_head *head, bool interim)
{
	struct exchange *exchange = arg;

	if (head->body == HTTP_BODY_TUNNEL)
		open_tunnel(exchange);
	forward_response(head);
	exchange->front->on_head(exchange->arg, head, interim);
}

static size_t on_body(void *arg, const char *bytes, size_t size)
{
	struct exchange *exchange = arg;

	return exchange->front->on_body(exchange->arg, bytes, size);
}

static void on_trailers(void *arg, struct http_head *trailers)
{
	struct exchange *exchange = arg;

	forward_trailers(trailers);
	exchange->front->on_trailers(exchange->arg, trailers);
}

static void on_pause(void *arg)
{
	struct exchange *exchange = arg;

	exchange->front->on_pause(exchange->arg);
}

static void on_room(void *arg)
{
	struct exchange *exchange = arg;

	exchange->front->on_room(exchange->arg);
}

/* Where the request was, is over. */
static void leave(struct exchange *exchange)
{
	if (exchange->call)
		upstream_call_close(exchange->call);
	exchange->call = NULL;
	if (exchange->shelf)
		upstream_shelf_leave(exchange->shelf);
	exchange->shelf = NULL;
}

/* The shelf stays for the log until the exchange is freed. */
static void on_end(void *arg)
{
	struct exchange *exchange = arg;

	if (!exchange->is_tunnel) {
		upstream_address_succeeded(
		    upstream_shelf_address(exchange->shelf), upstream_pool_now(exchange->pool));
		upstream_pool_keep(exchange->pool, exchange->call);
		exchange->call = NULL;
	}
	exchange->front->on_end(exchange->arg);
}

static void on_moved(void *arg, struct upstream_call *call)
{
	struct exchange *exchange = arg;

	exchange->call = call;
	exchange->connect_us = upstream_call_connect_us(call);
}

static void on_failed(void *arg, enum upstream_failure failure);

static const struct upstream_user upstream_user = {
    .on_head = on_head,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_pause = on_pause,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_moved = on_moved,
};

static void use(struct exchange *exchange, struct upstream_call *call)
{
	exchange->call = call;
	exchange->connect_us = -1;
	upstream_call_attach(call, &upstream_user, exchange);
	upstream_call_start(call, &exchange->head, &exchange->request);
}

static void count_failure(struct exchange *exchange, enum upstream_failure failure)
{
	exchange->failure = failure;
	metric_add(upstream_pool_metrics(exchange->pool)->failures[failure], 1);
}

static void count_retry(struct exchange *exchange, enum upstream_retry reason)
{
	exchange->retries++;
	metric_add(upstream_pool_metrics(exchange->pool)->retries[reason], 1);
}

/* Says nothing of the address; or that it is there and has answered, if by a reset of this one request. */
static bool is_blameless(enum upstream_failure failure)
{
	return failure == UPSTREAM_LOCAL || failure == UPSTREAM_VERSION || failure == UPSTREAM_RESET ||
	       failure == UPSTREAM_UNPROCESSED;
}

/* Where only HTTP/1.1 will do, a server that speaks nothing but HTTP/2 ends the handshake: others would pay.
 */
static void blame(struct exchange *exchange, enum upstream_failure failure)
{
	struct upstream_address *address = upstream_shelf_address(exchange->shelf);
	bool asked_too_much = failure == UPSTREAM_TLS && exchange->client.needs_http1;

	if (is_blameless(failure) || asked_too_much ||
	    !upstream_address_failed(address, upstream_pool_now(exchange->pool)))
		return;
	metric_add(upstream_pool_metrics(exchange->pool)->ejections, 1);
	log_warn("an upstream address gets nothing for a while", log_str("address", address->text),
	    log_str("cause", upstream_failure_name(failure)));
}

static bool choose(struct exchange *exchange)
{
	if (exchange->tried_count == ADDRESSES_MAX)
		return false;
	exchange->shelf =
	    upstream_pool_choose(exchange->pool, exchange->target, exchange->tried, exchange->tried_count);
	return exchange->shelf;
}

/* This address is not chosen again for this request. */
static void give_up_address(struct exchange *exchange)
{
	exchange->tried[exchange->tried_count++] = upstream_shelf_address(exchange->shelf);
	leave(exchange);
}

static bool connect_here(struct exchange *exchange)
{
	enum upstream_failure failure = UPSTREAM_LOCAL;
	struct upstream_call *call =
	    upstream_pool_connect(exchange->pool, exchange->shelf, &exchange->client, &failure);

	if (call) {
		metric_add(upstream_pool_metrics(exchange->pool)->connections_new, 1);
		use(exchange, call);
		return true;
	}
	count_failure(exchange, failure);
	blame(exchange, failure);
	give_up_address(exchange);
	return false;
}

/* A new connection to the first chosen address that does not refuse at once. */
static bool connect_somewhere(struct exchange *exchange)
{
	while (choose(exchange))
		if (connect_here(exchange))
			return true;
	return false;
}

/* A kept connection, else a new one: always for what may become a tunnel, since it is not sent again where it
 * meets the end of a kept one. */
static bool go(struct exchange *exchange)
{
	if (!choose(exchange)) {
		count_failure(exchange, UPSTREAM_NONE);
		return false;
	}
	struct upstream_call *kept =
	    exchange->upgrade ? NULL : upstream_pool_take(exchange->pool, exchange->shelf, &exchange->client);
	if (kept) {
		use(exchange, kept);
		return true;
	}
	return connect_here(exchange) || connect_somewhere(exchange);
}

/* 503 where no upstream took it: it may try again later, or see a page of the operator's. */
static int status_of(enum upstream_failure failure)
{
	switch (failure) {
	case UPSTREAM_CONNECT_TIMEOUT:
	case UPSTREAM_TIMEOUT: return 504;
	case UPSTREAM_REFUSED:
	case UPSTREAM_LOCAL:
	case UPSTREAM_UNPROCESSED:
	case UPSTREAM_NONE: return 503;
	case UPSTREAM_RESET:
	case UPSTREAM_VERSION:
	case UPSTREAM_TLS:
	case UPSTREAM_CLOSED:
	case UPSTREAM_MALFORMED:
	case UPSTREAM_BROKEN:
	case UPSTREAM_FAILURE_COUNT: break;
	}
	return 502;
}

static void on_looked_up(struct upstream_wait *wait)
{
	struct exchange *exchange = loop_owner(wait, struct exchange, wait);

	exchange->is_waiting = false;
	exchange->request.was_elsewhere = true;
	if (go(exchange))
		upstream_call_flush(exchange->call);
	else
		exchange->front->on_failed(exchange->arg, status_of(exchange->failure));
}

static void wait_for_lookup(struct exchange *exchange)
{
	exchange->is_waiting = true;
	exchange->wait = (struct upstream_wait){.target = exchange->target, .on_over = on_looked_up};
	upstream_pool_wait(exchange->pool, &exchange->wait);
}

static bool is_idempotent(struct http_slice method)
{
	static const char *const names[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (http_slice_equal(method, names[i]))
			return true;
	return false;
}

struct exchange *exchange_start(struct upstream_pool *pool, struct http_head *head,
    const struct exchange_route *route, const struct exchange_front *front, void *arg, int *status)
{
	struct exchange *exchange = mem_alloc(sizeof *exchange);

	exchange->pool = pool;
	exchange->front = front;
	exchange->arg = arg;
	exchange->connect_us = -1;
	exchange->target = upstream_target_ref(route->target);
	exchange->client = route->client;
	exchange->is_idempotent = is_idempotent(head->method) && head->upgrade.size == 0;
	if (head->upgrade.size > 0)
		exchange->upgrade = mem_copy(head->upgrade.bytes, head->upgrade.size);
	exchange->client.needs_http1 = exchange->upgrade;
	exchange->request = (struct upstream_request){.body = head->body,
	    .to_head = http_slice_equal(head->method, "HEAD"),
	    .expects_continue = head->expects_continue,
	    .is_whole = head->body == HTTP_BODY_NONE,
	    .upgrade = exchange->upgrade};
	buf_init(&exchange->head, UPSTREAM_OUT_MAX);
	forward_request(head, route->identity);
	h1_write_request(&exchange->head, head);
	if (upstream_target_is_pending(exchange->target)) {
		wait_for_lookup(exchange);
		return exchange;
	}
	if (go(exchange))
		return exchange;
	*status = status_of(exchange->failure);
	exchange_free(exchange);
	return NULL;
}

void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->is_waiting)
		upstream_pool_stop_waiting(exchange->pool, &exchange->wait);
	leave(exchange);
	upstream_target_unref(exchange->target);
	buf_fini(&exchange->head);
	free(exchange->upgrade);
	free(exchange);
}

/* No connection: nothing has gone out, so any request may go to another address. */
static bool try_elsewhere(struct exchange *exchange, enum upstream_failure failure)
{
	if (failure == UPSTREAM_CONNECT_TIMEOUT && ++exchange->connect_timeouts >= CONNECT_TIMEOUTS_MAX)
		return false;
	give_up_address(exchange);
	if (!connect_somewhere(exchange))
		return false;
	count_retry(exchange, UPSTREAM_RETRY_CONNECT);
	return true;
}

/* Elsewhere if that can be: an upstream that is going down takes connections it will not serve. */
static bool connect_elsewhere_or_here(struct exchange *exchange)
{
	size_t here = exchange->tried_count;

	give_up_address(exchange);
	if (connect_somewhere(exchange))
		return true;
	exchange->tried[here] = exchange->tried[--exchange->tried_count];
	return connect_somewhere(exchange);
}

/* A connection that ended without a byte of an answer: a request of which nothing had gone out may go again,
 * and so may an idempotent one that is whole. The end of a kept connection may have met the request, so its
 * address is as good as any; that of a new one is its upstream's doing. */
static bool try_again(struct exchange *exchange, enum result recovered, bool was_used)
{
	bool is_safe = recovered == R_OK || exchange->is_idempotent;

	if (!is_safe || exchange->resent == RESENT_MAX)
		return false;
	exchange->resent++;
	if (was_used) {
		count_retry(exchange, UPSTREAM_RETRY_DEAD);
		return connect_elsewhere_or_here(exchange);
	}
	give_up_address(exchange);
	if (!connect_somewhere(exchange))
		return false;
	count_retry(exchange, UPSTREAM_RETRY_CLOSED);
	return true;
}

/* Any request may go again: the upstream has not looked at it. */
static bool try_unprocessed(struct exchange *exchange)
{
	if (++exchange->unprocessed > UNPROCESSED_MAX)
		return false;
	count_retry(exchange, UPSTREAM_RETRY_UNPROCESSED);
	return connect_elsewhere_or_here(exchange);
}

static bool recover(struct exchange *exchange, enum upstream_failure failure, bool was_used)
{
	enum result recovered = upstream_call_recover(exchange->call, &exchange->head);

	if (failure == UPSTREAM_UNPROCESSED &&
	    upstream_call_reset_code(exchange->call) == NGHTTP2_HTTP_1_1_REQUIRED)
		exchange->client.needs_http1 = true;
	upstream_call_close(exchange->call);
	exchange->call = NULL;
	if (recovered == R_NONE)
		return false;
	exchange->request.was_elsewhere = true;
	switch (failure) {
	case UPSTREAM_REFUSED:
	case UPSTREAM_LOCAL:
	case UPSTREAM_TLS:
	case UPSTREAM_CONNECT_TIMEOUT: return try_elsewhere(exchange, failure);
	case UPSTREAM_CLOSED: return try_again(exchange, recovered, was_used);
	/* By whose request, nobody can tell: most that are on it have nothing to do with it. */
	case UPSTREAM_BROKEN: return try_again(exchange, recovered, true);
	case UPSTREAM_UNPROCESSED: return try_unprocessed(exchange);
	case UPSTREAM_RESET:
	case UPSTREAM_VERSION:
	case UPSTREAM_TIMEOUT:
	case UPSTREAM_MALFORMED:
	case UPSTREAM_NONE:
	case UPSTREAM_FAILURE_COUNT: break;
	}
	return false;
}

static void on_failed(void *arg, enum upstream_failure failure)
{
	struct exchange *exchange = arg;
	bool was_used = upstream_call_was_used(exchange->call);

	/* How the other protocol ends says nothing of the address. */
	if (exchange->is_tunnel) {
		exchange->front->on_failed(exchange->arg, 502);
		return;
	}
	count_failure(exchange, failure);
	if (failure == UPSTREAM_RESET)
		exchange->reset_code = upstream_call_reset_code(exchange->call);
	/* Kept connections end: a restart of the upstream ends many at once. */
	if (failure != UPSTREAM_CLOSED || !was_used)
		blame(exchange, failure);
	if (recover(exchange, failure, was_used)) {
		upstream_call_flush(exchange->call);
		return;
	}
	exchange->front->on_failed(exchange->arg, status_of(exchange->failure));
}

/* While its upstream's name is looked up nothing is taken; on_room comes with the connection. */
size_t exchange_send(struct exchange *exchange, const char *bytes, size_t size)
{
	if (exchange->is_waiting)
		return 0;
	return exchange->call ? upstream_call_send(exchange->call, bytes, size) : size;
}

void exchange_send_end(struct exchange *exchange, struct http_head *trailers)
{
	exchange->request.is_whole = true;
	if (trailers)
		forward_trailers(trailers);
	if (exchange->call)
		upstream_call_send_end(exchange->call, trailers);
	else if (exchange->is_waiting && exchange->request.body == HTTP_BODY_CHUNKED)
		h1_write_last_chunk(&exchange->head, trailers);
}

void exchange_flush(struct exchange *exchange)
{
	if (exchange->call)
		upstream_call_flush(exchange->call);
}

bool exchange_has_sent_all(const struct exchange *exchange)
{
	return exchange->call && upstream_call_has_sent_all(exchange->call);
}

void exchange_resume(struct exchange *exchange)
{
	if (exchange->call)
		upstream_call_resume(exchange->call);
}

const char *exchange_upstream(const struct exchange *exchange)
{
	return upstream_shelf_address(exchange->shelf)->text;
}

int exchange_retries(const struct exchange *exchange)
{
	return exchange->retries;
}

int64_t exchange_connect_us(const struct exchange *exchange)
{
	return exchange->connect_us;
}

uint32_t exchange_reset_code(const struct exchange *exchange)
{
	return exchange->reset_code;
}
