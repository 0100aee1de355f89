#include "edge/site/freshness.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/pg/pg_listen.h"
#include "edge/loop/log_rate.h"

enum { STEP_TIMEOUT_MS = 2000, STEP_MAX_MS = 1000, STEP_MIN_MS = 20, RETRY_MS = 1000 };

struct freshness {
	struct freshness_config config;
	struct pg_listen *listen;
	atomic_int_fast64_t next_ms;
	atomic_int_fast64_t since_ms; /* what was looked at before is due */
	uint64_t generation;          /* of the store's connection */

	struct hostname names[SITE_STORE_STAMPS];
	struct site_stamp cached[SITE_STORE_STAMPS];
	struct site_stamp stored[SITE_STORE_STAMPS];
	struct site_row rows[SITE_STORE_BATCH];

	struct metric *compared, *replaced, *dropped, *hints, *bytes, *sites, *refusals;
};

/* ---- hints, on the listener's thread ---- */

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct freshness *freshness = arg;
	struct hostname name;

	/* Whoever may log in may notify: what is not a name is nothing, and a name costs one comparison. */
	if (hostname_parse_sni(&name, payload, strlen(payload)) != HOSTNAME_OK &&
	    hostname_parse_wildcard(&name, payload, strlen(payload)) != HOSTNAME_OK)
		return;
	if (strcmp(channel, "postern_explain") == 0) {
		freshness->config.on_question(freshness->config.arg, name.text);
		return;
	}
	metric_add(freshness->hints, 1);
	site_cache_invalidate(freshness->config.cache, name.text);
	atomic_store(&freshness->next_ms, 0);
	freshness->config.on_hint(freshness->config.arg, name.text);
}

static void on_connected(void *arg)
{
	struct freshness *freshness = arg;

	atomic_store(&freshness->since_ms, clock_monotonic_ms());
	atomic_store(&freshness->next_ms, 0);
	freshness->config.on_hint(freshness->config.arg, NULL);
}

/* ---- comparing, on the store's thread ---- */

static void drop(struct freshness *freshness, const char *name)
{
	site_cache_remove(freshness->config.cache, name);
	metric_add(freshness->dropped, 1);
	log_info("site dropped: its certificate or its domain is gone", log_str("name", name));
}

/* A newer row that cannot be served leaves the good one in memory where it is. */
static void take_row(struct freshness *freshness, struct site_row *row)
{
	switch (row->standing) {
	case SITE_USABLE:
		site_store_keep(freshness->config.store, row);
		site_unref(row->site);
		metric_add(freshness->replaced, 1);
		break;
	case SITE_BLOCKED:
	case SITE_ABSENT: drop(freshness, row->name.text); break;
	case SITE_UNUSABLE: break;
	}
}

static enum result replace(struct freshness *freshness, size_t count, struct error *error)
{
	enum result result =
	    site_store_load(freshness->config.store, freshness->rows, count, STEP_TIMEOUT_MS, error);

	for (size_t i = 0; result == R_OK && i < count; i++)
		take_row(freshness, &freshness->rows[i]);
	return result;
}

static bool has_changed(const struct site_stamp *cached, const struct site_stamp *stored)
{
	return stored->version != cached->version || stored->mark != cached->mark;
}

static enum result compare(struct freshness *freshness, size_t count, struct error *error)
{
	size_t newer = 0;
	enum result result = site_store_stamps(
	    freshness->config.store, freshness->names, freshness->stored, count, STEP_TIMEOUT_MS, error);

	if (result != R_OK)
		return result;
	metric_add(freshness->compared, (int64_t)count);
	for (size_t i = 0; result == R_OK && i < count; i++) {
		if (freshness->stored[i].version < 0)
			drop(freshness, freshness->names[i].text);
		else if (has_changed(&freshness->cached[i], &freshness->stored[i]))
			freshness->rows[newer++].name = freshness->names[i];
		if (newer == SITE_STORE_BATCH || (newer > 0 && i + 1 == count)) {
			result = replace(freshness, newer, error);
			newer = 0;
		}
	}
	return result;
}

/* After a third of the age in hand, so that the whole cache is done in time. */
static int64_t due_before(struct freshness *freshness, int64_t now)
{
	int64_t since = atomic_load(&freshness->since_ms);
	int64_t aged = now - freshness->config.max_age_ms * 2 / 3;
	int64_t before = aged > since ? aged : since;

	return before < now ? before : now;
}

static int64_t step_ms(const struct freshness *freshness)
{
	int64_t step = freshness->config.max_age_ms / 6;

	if (step < STEP_MIN_MS)
		return STEP_MIN_MS;
	return step < STEP_MAX_MS ? step : STEP_MAX_MS;
}

static void show(struct freshness *freshness)
{
	metric_set(freshness->bytes, (int64_t)site_cache_bytes(freshness->config.cache));
	metric_set(freshness->sites, (int64_t)site_cache_count(freshness->config.cache));
	metric_set(freshness->refusals, (int64_t)site_cache_refusals(freshness->config.cache));
}

/* What was taken as due and then not compared must be due again. */
static void on_failure(struct freshness *freshness, const struct error *error)
{
	static struct log_rate rate;
	int64_t now = clock_monotonic_ms();

	if (log_rate_allows(&rate))
		log_warn(
		    "cached sites could not be compared with the database", log_str("error", error->text));
	atomic_store(&freshness->since_ms, now + 1);
	atomic_store(&freshness->next_ms, now + RETRY_MS);
}

void freshness_step(struct freshness *freshness)
{
	int64_t now = clock_monotonic_ms();
	struct error error = {{0}};

	/* Before reading what is due: a hint that comes from here on brings the next step. */
	atomic_store(&freshness->next_ms, now + step_ms(freshness));
	show(freshness);
	if (!site_store_is_up(freshness->config.store))
		return;
	if (site_store_generation(freshness->config.store) != freshness->generation) {
		freshness->generation = site_store_generation(freshness->config.store);
		atomic_store(&freshness->since_ms, now);
	}
	size_t count = site_cache_due(freshness->config.cache, due_before(freshness, now), freshness->names,
	    freshness->cached, SITE_STORE_STAMPS);
	if (count == 0)
		return;
	if (compare(freshness, count, &error) != R_OK)
		on_failure(freshness, &error);
	else if (count == SITE_STORE_STAMPS)
		atomic_store(&freshness->next_ms, 0);
}

int64_t freshness_next(const struct freshness *freshness)
{
	return atomic_load(&freshness->next_ms);
}

/* ---- start and end ---- */

static void make_metrics(struct freshness *freshness)
{
	freshness->compared = metrics_counter("postern_edge_revalidations_total", "result=\"compared\"",
	    "Cached sites compared with the database, replaced by a newer version, dropped.");
	freshness->replaced =
	    metrics_counter("postern_edge_revalidations_total", "result=\"replaced\"", NULL);
	freshness->dropped = metrics_counter("postern_edge_revalidations_total", "result=\"dropped\"", NULL);
	freshness->hints =
	    metrics_counter("postern_edge_hints_total", NULL, "Notifications that a name changed.");
	freshness->bytes = metrics_gauge(
	    "postern_edge_site_cache_bytes", NULL, "Memory of the sites that all workers share.");
	freshness->sites = metrics_gauge("postern_edge_site_cache_sites", NULL, "Sites in shared memory.");
	freshness->refusals = metrics_gauge(
	    "postern_edge_refusals", NULL, "Names that were refused and are remembered for a while.");
}

struct freshness *freshness_start(const struct freshness_config *config)
{
	static const char *const channels[] = {"postern_site", "postern_explain", NULL};
	struct freshness *freshness = mem_alloc(sizeof *freshness);

	freshness->config = *config;
	atomic_init(&freshness->next_ms, 0);
	atomic_init(&freshness->since_ms, clock_monotonic_ms());
	make_metrics(freshness);
	freshness->listen = pg_listen_start(config->listen_conninfo, "postern-edge-listen", channels,
	    &(struct pg_listen_handler){
		.on_notify = on_notify, .on_connected = on_connected, .arg = freshness});
	return freshness;
}

void freshness_stop(struct freshness *freshness)
{
	if (!freshness)
		return;
	pg_listen_stop(freshness->listen);
	free(freshness);
}
