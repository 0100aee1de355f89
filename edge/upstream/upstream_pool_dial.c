/*
 * How a shelf gets a new connection, and what becomes of the requests that wait for it.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "edge/loop/log_rate.h"
#include "edge/upstream/upstream_pool_state.h"

/* NULL: out of memory, or CAs that this library context refuses though they could be read at the start. */
static SSL *make_ssl(struct upstream_pool *pool, struct upstream_shelf *shelf)
{
	static struct log_rate rate;
	struct error error = {"out of memory"};
	SSL *ssl = NULL;

	if (!pool->tls)
		pool->tls = upstream_tls_new(pool->libctx, pool->config, &error);
	if (pool->tls)
		ssl = upstream_tls_connect(pool->tls, shelf->place.address->server_name, &shelf->session);
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

/* One way to a connection: the dial holds its shelf. */
static void on_open(void *arg, struct upstream_opened *opened, struct upstream_wait_list *list)
{
	struct upstream_shelf *shelf = arg;
	struct upstream_call *call = upstream_h1_call(upstream_h1_new(&shelf->place, opened));

	assert(list->count == 1);
	upstream_waiters_move_first(list, call);
	upstream_shelf_drop(shelf);
	upstream_call_flush(call);
}

static void on_over(void *arg)
{
	upstream_shelf_drop(arg);
}

static const struct upstream_dial_owner dial_owner = {.on_open = on_open, .on_over = on_over};

static struct upstream_dial *dial_once(struct upstream_pool *pool, struct upstream_shelf *shelf,
    const struct upstream_preface *preface, enum upstream_failure *failure)
{
	struct upstream_dial_options options = {.preface = preface, .single = preface->size > 0};

	if (shelf->place.address->tls && !(options.ssl = make_ssl(pool, shelf))) {
		*failure = UPSTREAM_TLS;
		return NULL;
	}
	return upstream_dial_new(&shelf->place, &options, &dial_owner, shelf, failure);
}

/* Out of descriptors or ports, what is kept for later gives way to what is wanted now. */
static struct upstream_dial *dial(struct upstream_pool *pool, struct upstream_shelf *shelf,
    const struct upstream_client *client, enum upstream_failure *failure)
{
	struct upstream_preface preface;

	write_preface(pool, client, &preface);
	struct upstream_dial *made = dial_once(pool, shelf, &preface, failure);
	if (made || *failure != UPSTREAM_LOCAL || pool->idle_count == 0)
		return made;
	upstream_pool_sweep(pool, true);
	return dial_once(pool, shelf, &preface, failure);
}

struct upstream_call *upstream_pool_connect(struct upstream_pool *pool, struct upstream_shelf *shelf,
    const struct upstream_client *client, enum upstream_failure *failure)
{
	struct upstream_dial *made = dial(pool, shelf, client, failure);

	if (!made)
		return NULL;
	shelf->users++;
	return upstream_waiter_new(pool->loop, upstream_dial_waiters(made));
}
