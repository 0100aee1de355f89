#include "edge/exchange.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"

/* Each takes upstream-connect-timeout: more would keep a visitor waiting for longer than anybody does. */
enum { CONNECT_TIMEOUTS_MAX = 2 };

struct exchange {
	struct upstream_pool *pool;
	const struct exchange_front *front;
	void *arg;
	struct upstream_h1 *upstream; /* NULL once the response has ended or failed */
	struct buf head;              /* the request's head, while no upstream has taken it */
	struct upstream_request request;
	bool is_idempotent;
	size_t address;
	size_t addresses_left; /* that were not tried yet */
	int connect_timeouts;
};

static void on_head(void *arg, struct http_head *head, bool interim)
{
	struct exchange *exchange = arg;

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

static void on_end(void *arg)
{
	struct exchange *exchange = arg;

	if (upstream_h1_is_reusable(exchange->upstream))
		upstream_pool_keep(exchange->pool, exchange->upstream);
	else
		upstream_h1_close(exchange->upstream);
	exchange->upstream = NULL;
	exchange->front->on_end(exchange->arg);
}

static void on_failed(void *arg, enum upstream_failure failure);

static const struct upstream_h1_user upstream_user = {
    .on_head = on_head,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_pause = on_pause,
    .on_room = on_room,
    .on_failed = on_failed,
};

static void use(struct exchange *exchange, struct upstream_h1 *upstream)
{
	exchange->upstream = upstream;
	upstream_h1_attach(upstream, &upstream_user, exchange);
	upstream_h1_start(upstream, &exchange->head, &exchange->request);
}

static void count_failure(const struct exchange *exchange, enum upstream_failure failure)
{
	metric_add(upstream_pool_config(exchange->pool)->metrics.upstream_failures[failure], 1);
}

/* A new connection to the first address, from the current one on, that does not refuse at once. */
static bool connect_somewhere(struct exchange *exchange)
{
	size_t count = upstream_pool_config(exchange->pool)->upstreams.count;

	while (exchange->addresses_left > 0) {
		struct upstream_h1 *upstream = upstream_pool_connect(exchange->pool, exchange->address);

		if (upstream) {
			use(exchange, upstream);
			return true;
		}
		count_failure(exchange, UPSTREAM_REFUSED);
		exchange->addresses_left--;
		exchange->address = (exchange->address + 1) % count;
	}
	return false;
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
    const struct forward_identity *identity, const struct exchange_front *front, void *arg)
{
	struct exchange *exchange = mem_alloc(sizeof *exchange);

	exchange->pool = pool;
	exchange->front = front;
	exchange->arg = arg;
	exchange->is_idempotent = is_idempotent(head->method);
	exchange->request = (struct upstream_request){.body = head->body,
	    .to_head = http_slice_equal(head->method, "HEAD"),
	    .expects_continue = head->expects_continue,
	    .is_whole = head->body == HTTP_BODY_NONE};
	exchange->address = upstream_pool_next(pool);
	exchange->addresses_left = upstream_pool_config(pool)->upstreams.count;
	buf_init(&exchange->head, UPSTREAM_OUT_MAX);
	forward_request(head, identity);
	h1_write_request(&exchange->head, head);

	struct upstream_h1 *kept = upstream_pool_take(pool, exchange->address);
	if (kept) {
		use(exchange, kept);
		return exchange;
	}
	if (connect_somewhere(exchange))
		return exchange;
	exchange_free(exchange);
	return NULL;
}

void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	if (exchange->upstream)
		upstream_h1_close(exchange->upstream);
	buf_fini(&exchange->head);
	free(exchange);
}

/* The next address, after one that could not be connected to. */
static bool try_elsewhere(struct exchange *exchange, enum upstream_failure failure)
{
	size_t count = upstream_pool_config(exchange->pool)->upstreams.count;

	if (failure == UPSTREAM_CONNECT_TIMEOUT && ++exchange->connect_timeouts >= CONNECT_TIMEOUTS_MAX)
		return false;
	exchange->addresses_left--;
	exchange->address = (exchange->address + 1) % count;
	return connect_somewhere(exchange);
}

/* A kept connection whose end met our request: nothing was answered, so an idempotent request may go again.
 * Once: the connection that it goes to is new. */
static bool try_again(struct exchange *exchange, enum result recovered, bool was_used)
{
	bool is_safe = recovered == R_OK || exchange->is_idempotent;

	return was_used && is_safe && connect_somewhere(exchange);
}

static bool recover(struct exchange *exchange, enum upstream_failure failure)
{
	struct upstream_h1 *dead = exchange->upstream;
	enum result recovered = upstream_h1_recover(dead, &exchange->head);
	bool was_used = upstream_h1_was_used(dead);

	upstream_h1_close(dead);
	exchange->upstream = NULL;
	if (recovered == R_NONE)
		return false;
	exchange->request.was_elsewhere = true;
	if (failure == UPSTREAM_REFUSED || failure == UPSTREAM_CONNECT_TIMEOUT)
		return try_elsewhere(exchange, failure);
	return failure == UPSTREAM_CLOSED && try_again(exchange, recovered, was_used);
}

static void on_failed(void *arg, enum upstream_failure failure)
{
	struct exchange *exchange = arg;
	bool timed_out = failure == UPSTREAM_TIMEOUT || failure == UPSTREAM_CONNECT_TIMEOUT;

	count_failure(exchange, failure);
	if (recover(exchange, failure)) {
		upstream_h1_flush(exchange->upstream);
		return;
	}
	exchange->front->on_failed(exchange->arg, timed_out ? 504 : 502);
}

size_t exchange_send(struct exchange *exchange, const char *bytes, size_t size)
{
	return exchange->upstream ? upstream_h1_send(exchange->upstream, bytes, size) : size;
}

void exchange_send_end(struct exchange *exchange, struct http_head *trailers)
{
	exchange->request.is_whole = true;
	if (trailers)
		forward_trailers(trailers);
	if (exchange->upstream)
		upstream_h1_send_end(exchange->upstream, trailers);
}

void exchange_flush(struct exchange *exchange)
{
	if (exchange->upstream)
		upstream_h1_flush(exchange->upstream);
}

void exchange_resume(struct exchange *exchange)
{
	if (exchange->upstream)
		upstream_h1_resume(exchange->upstream);
}

const char *exchange_upstream(const struct exchange *exchange)
{
	return upstream_pool_config(exchange->pool)->upstreams.addresses[exchange->address].text;
}
