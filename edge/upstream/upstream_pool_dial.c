/*
 * How a shelf gets a new connection, and what becomes of the requests that wait for it.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/loop/log_rate.h"
#include "edge/upstream/upstream_pool_state.h"

/* A connection for one request alone is as well one of HTTP/1.1. */
static bool offers_http2(const struct upstream_pool *pool, const struct upstream_client *client)
{
	return pool->config->http2 && !pool->config->proxy_v2 && !client->needs_http1;
}

/* NULL: out of memory, or CAs that this library context refuses though they could be read at the start. */
static SSL *make_ssl(
    struct upstream_pool *pool, struct upstream_shelf *shelf, const struct upstream_client *client)
{
	static struct log_rate rate;
	struct error error = {"out of memory"};
	SSL *ssl = NULL;

	if (!pool->tls)
		pool->tls = upstream_tls_new(pool->libctx, pool->config, &error);
	if (pool->tls)
		ssl = upstream_tls_connect(pool->tls, shelf->place.address->server_name, &shelf->session,
		    offers_http2(pool, client));
	if (!ssl && log_rate_allows(&rate))
		log_error("no TLS to upstreams", log_str("error", error.text));
	return ssl;
}

static void write_preface(
    const struct upstream_pool *pool, const struct upstream_client *client, struct upstream_preface *preface)
{
	preface->size =
	    pool->config->proxy_v2 ? proxy_v2_write(preface->bytes, client->client, client->local) : 0;
}

/* One way to a connection; it holds its shelf. */
struct pool_dial {
	LIST_ENTRY(pool_dial) entry; /* where others may join */
	struct upstream_shelf *shelf;
	struct upstream_dial *dial;
	bool is_shared;
	bool offers_http2;
};

static const struct upstream_dial_owner dial_owner;

static bool may_share(const struct upstream_shelf *shelf, const struct upstream_client *client)
{
	const struct upstream_pool *pool = shelf->pool;
	const struct upstream_address *address = shelf->place.address;

	if (pool->config->proxy_v2 || !client->client || client->needs_http1)
		return false;
	return address->h2c || (pool->config->http2 && atomic_load_explicit(&address->speaks,
							   memory_order_relaxed) == UPSTREAM_SPEAKS_HTTP2);
}

static struct pool_dial *dial_once(struct upstream_pool *pool, struct upstream_shelf *shelf,
    const struct upstream_client *client, enum upstream_failure *failure)
{
	const struct upstream_address *address = shelf->place.address;
	struct upstream_preface preface;
	struct upstream_dial_options options = {.preface = &preface,
	    .http2_known = address->h2c,
	    .single = pool->config->proxy_v2 || !client->client};

	write_preface(pool, client, &preface);
	if (address->tls && !(options.ssl = make_ssl(pool, shelf, client))) {
		*failure = UPSTREAM_TLS;
		return NULL;
	}
	struct pool_dial *made = mem_alloc(sizeof *made);
	made->dial = upstream_dial_new(&shelf->place, &options, &dial_owner, made, failure);
	if (!made->dial) {
		free(made);
		return NULL;
	}
	made->shelf = shelf;
	shelf->users++;
	made->offers_http2 = address->tls && offers_http2(pool, client);
	made->is_shared = may_share(shelf, client);
	if (made->is_shared)
		LIST_INSERT_HEAD(&shelf->dials, made, entry);
	return made;
}

/* Out of descriptors or ports, what is kept for later gives way to what is wanted now. */
static struct pool_dial *dial(struct upstream_pool *pool, struct upstream_shelf *shelf,
    const struct upstream_client *client, enum upstream_failure *failure)
{
	struct pool_dial *made = dial_once(pool, shelf, client, failure);

	if (made || *failure != UPSTREAM_LOCAL || pool->idle_count == 0)
		return made;
	upstream_pool_sweep(pool, true);
	return dial_once(pool, shelf, client, failure);
}

static void forget(struct pool_dial *dial)
{
	if (dial->is_shared)
		LIST_REMOVE(dial, entry);
	free(dial);
}

/* ---- what became of it */

static void learn(struct upstream_address *address, bool http2)
{
	int speaks = http2 ? UPSTREAM_SPEAKS_HTTP2 : UPSTREAM_SPEAKS_HTTP1;

	if (atomic_load_explicit(&address->speaks, memory_order_relaxed) != speaks)
		atomic_store_explicit(&address->speaks, speaks, memory_order_relaxed);
}

/* HTTP/1.1 serves one: the others get connections of their own. */
static void spread(struct upstream_shelf *shelf, struct upstream_wait_list *list)
{
	static const struct net_address nobody;
	const struct upstream_client client = {.client = &nobody};

	while (list->count > 0) {
		enum upstream_failure failure = UPSTREAM_LOCAL;
		struct pool_dial *made = dial(shelf->pool, shelf, &client, &failure);

		if (!made) {
			upstream_waiters_fail(list, failure);
			return;
		}
		upstream_waiters_join_first(upstream_dial_waiters(made->dial), list);
	}
}

/* More than a connection takes may have waited. */
static void open_h2(
    struct upstream_shelf *shelf, struct upstream_opened *opened, struct upstream_wait_list *list)
{
	upstream_shelf_open_h2(shelf, opened, list);
	spread(shelf, list);
}

static void open_h1(
    struct upstream_shelf *shelf, struct upstream_opened *opened, struct upstream_wait_list *list)
{
	struct upstream_call *call = upstream_h1_call(upstream_h1_new(&shelf->place, opened));

	upstream_waiters_move_first(list, call);
	spread(shelf, list);
	upstream_call_flush(call);
}

static void on_open(void *arg, struct upstream_opened *opened, struct upstream_wait_list *list)
{
	struct pool_dial *dial = arg;
	struct upstream_shelf *shelf = dial->shelf;

	if (dial->offers_http2)
		learn(shelf->place.address, opened->http2);
	forget(dial);
	if (opened->http2)
		open_h2(shelf, opened, list);
	else
		open_h1(shelf, opened, list);
	upstream_shelf_drop(shelf);
}

static void on_over(void *arg)
{
	struct pool_dial *dial = arg;
	struct upstream_shelf *shelf = dial->shelf;

	forget(dial);
	upstream_shelf_drop(shelf);
}

static const struct upstream_dial_owner dial_owner = {.on_open = on_open, .on_over = on_over};

/* ---- asking for one */

static struct pool_dial *find_shared(const struct upstream_shelf *shelf)
{
	struct pool_dial *dial = NULL;

	LIST_FOREACH(dial, &shelf->dials, entry)
	if (upstream_dial_waiters(dial->dial)->count < upstream_h2_most_streams(shelf->place.address))
		return dial;
	return NULL;
}

struct upstream_call *upstream_pool_connect(struct upstream_pool *pool, struct upstream_shelf *shelf,
    const struct upstream_client *client, enum upstream_failure *failure)
{
	struct upstream_call *joined = NULL;
	bool shares = may_share(shelf, client);

	if (shelf->place.address->h2c && client->needs_http1) {
		*failure = UPSTREAM_VERSION;
		return NULL;
	}
	if (shares && (joined = upstream_shelf_join(shelf)))
		return joined;
	struct pool_dial *found = shares ? find_shared(shelf) : NULL;
	if (!found)
		found = dial(pool, shelf, client, failure);
	return found ? upstream_waiter_new(pool->loop, upstream_dial_waiters(found->dial)) : NULL;
}
