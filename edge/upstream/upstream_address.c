#include "edge/upstream/upstream_address.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"

static const char *const failure_names[UPSTREAM_FAILURE_COUNT] = {
    [UPSTREAM_REFUSED] = "refused",
    [UPSTREAM_CONNECT_TIMEOUT] = "connect_timeout",
    [UPSTREAM_LOCAL] = "local",
    [UPSTREAM_TLS] = "tls",
    [UPSTREAM_CLOSED] = "closed",
    [UPSTREAM_TIMEOUT] = "timeout",
    [UPSTREAM_MALFORMED] = "malformed",
    [UPSTREAM_BROKEN] = "broken",
    [UPSTREAM_RESET] = "reset",
    [UPSTREAM_UNPROCESSED] = "unprocessed",
    [UPSTREAM_VERSION] = "http_version",
    [UPSTREAM_NONE] = "none_left",
};

const char *upstream_failure_name(enum upstream_failure failure)
{
	return failure_names[failure];
}

struct upstream_address *upstream_address_new(
    const struct net_address *address, const struct upstream_url *url, const char *server_name)
{
	struct upstream_address *made = mem_alloc(sizeof *made);

	atomic_init(&made->references, 1);
	made->address = *address;
	net_format_address(address, made->text);
	made->tls = url->tls;
	made->h2c = url->h2c;
	atomic_init(&made->speaks, url->h2c   ? UPSTREAM_SPEAKS_HTTP2
				   : url->tls ? UPSTREAM_SPEAKS_UNKNOWN
					      : UPSTREAM_SPEAKS_HTTP1);
	snprintf(made->server_name, sizeof made->server_name, "%s", server_name);
	snprintf(made->host, sizeof made->host, "%s", url->authority);
	return made;
}

struct upstream_address *upstream_address_ref(struct upstream_address *address)
{
	atomic_fetch_add_explicit(&address->references, 1, memory_order_relaxed);
	return address;
}

void upstream_address_unref(struct upstream_address *address)
{
	if (!address || atomic_fetch_sub_explicit(&address->references, 1, memory_order_acq_rel) != 1)
		return;
	free(address->key);
	free(address);
}

/* When it came back: from a check's word, or from an ejection whose time is over. */
static int64_t recovered_at(const struct upstream_address *address)
{
	int64_t checked = atomic_load_explicit(&address->recovered_at_ms, memory_order_relaxed);
	int64_t ejected = atomic_load_explicit(&address->ejected_until_ms, memory_order_relaxed);

	return checked > ejected ? checked : ejected;
}

int upstream_address_weight(const struct upstream_address *address, int64_t now_ms, int64_t slow_start_ms)
{
	int64_t since = recovered_at(address);

	if (since == 0 || now_ms - since >= slow_start_ms)
		return UPSTREAM_WEIGHT_FULL;
	if (now_ms <= since)
		return UPSTREAM_WEIGHT_MIN;
	int weight = (int)(UPSTREAM_WEIGHT_FULL * (now_ms - since) / slow_start_ms);
	return weight < UPSTREAM_WEIGHT_MIN ? UPSTREAM_WEIGHT_MIN : weight;
}

static int64_t ejection_ms(int ejections)
{
	int64_t ms = UPSTREAM_EJECTION_MS;

	for (int i = 1; i < ejections && ms < UPSTREAM_EJECTION_MAX_MS; i++)
		ms *= 2;
	return ms < UPSTREAM_EJECTION_MAX_MS ? ms : UPSTREAM_EJECTION_MAX_MS;
}

/* Requests that were under way when it was ejected say nothing new. Of several threads one ejects. Once its
 * time is over, a single failure is enough for the next, longer one. */
bool upstream_address_failed(struct upstream_address *address, int64_t now_ms)
{
	int_fast64_t until = atomic_load_explicit(&address->ejected_until_ms, memory_order_relaxed);

	if (until > now_ms)
		return false;
	int failures = atomic_fetch_add_explicit(&address->failures, 1, memory_order_relaxed) + 1;
	if (failures < UPSTREAM_FAILURES_MAX)
		return false;
	int ejections = atomic_load_explicit(&address->ejections, memory_order_relaxed) + 1;
	if (!atomic_compare_exchange_strong(
		&address->ejected_until_ms, &until, now_ms + ejection_ms(ejections)))
		return false;
	atomic_store_explicit(&address->ejections, ejections, memory_order_relaxed);
	atomic_store_explicit(&address->failures, UPSTREAM_FAILURES_MAX - 1, memory_order_relaxed);
	return true;
}

/* Its ejections are forgotten when it has answered for as long as the last one took. */
void upstream_address_succeeded(struct upstream_address *address, int64_t now_ms)
{
	int ejections = atomic_load_explicit(&address->ejections, memory_order_relaxed);

	if (atomic_load_explicit(&address->failures, memory_order_relaxed) != 0)
		atomic_store_explicit(&address->failures, 0, memory_order_relaxed);
	if (ejections == 0)
		return;
	int64_t until = atomic_load_explicit(&address->ejected_until_ms, memory_order_relaxed);
	if (now_ms - until > ejection_ms(ejections))
		atomic_store_explicit(&address->ejections, 0, memory_order_relaxed);
}

void upstream_address_set_health(
    struct upstream_address *address, enum upstream_health health, int64_t now_ms)
{
	if (health == UPSTREAM_UP && upstream_address_is_down(address)) {
		atomic_store_explicit(&address->ejected_until_ms, 0, memory_order_relaxed);
		atomic_store_explicit(&address->recovered_at_ms, now_ms, memory_order_relaxed);
		atomic_store_explicit(&address->failures, 0, memory_order_relaxed);
	}
	atomic_store_explicit(&address->health, health, memory_order_relaxed);
}
