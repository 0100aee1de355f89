#include "edge/site/broker_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/pg/pg.h"

enum {
	QUEUE_MAX = 8192, /* names waiting to be looked up: the newest above it is shed */
	ASK_TIMEOUT_MS = 5000,
};

/* ---- what other threads say ---- */

static void on_verdict(void *arg, const char *name, enum ask_verdict verdict)
{
	struct broker *broker = arg;

	pthread_mutex_lock(&broker->lock);
	struct flight *flight = flights_find(&broker->flights, name, false);
	assert(flight && flight->state == FLIGHT_ASKING);
	broker_verdict_locked(broker, flight, verdict);
	pthread_cond_signal(&broker->work);
	pthread_mutex_unlock(&broker->lock);
}

static void on_hint(void *arg, const char *name)
{
	struct broker *broker = arg;

	pthread_mutex_lock(&broker->lock);
	struct flight *flight = name ? flights_find(&broker->flights, name, false) : NULL;
	if (flight) {
		flight->hinted = true;
		flight->poll_at_ms = 0;
	}
	pthread_cond_signal(&broker->work);
	pthread_mutex_unlock(&broker->lock);
}

static void on_question(void *arg, const char *name)
{
	const struct broker *broker = arg;

	if (broker->config.on_question)
		broker->config.on_question(broker->config.arg, name);
}

/* ---- public functions ---- */

static void join_locked(struct broker *broker, struct flight *flight, const struct broker_search *search)
{
	flight_join(flight, search->mailbox);
	if (flight->state == FLIGHT_ISSUING)
		broker_send(broker, search, BROKER_PHASE, BROKER_ISSUE, NULL, NULL);
	else if (flight->state >= FLIGHT_ASKING)
		broker_send(broker, search, BROKER_PHASE, BROKER_ASK, NULL, NULL);
}

static void begin_locked(struct broker *broker, const struct broker_search *search)
{
	if (broker->flights.counts[FLIGHT_QUEUED] >= QUEUE_MAX) {
		metric_add(broker->shed, 1);
		broker_send(broker, search, BROKER_TEMPORARY, BROKER_LOOKUP, "overload", NULL);
		return;
	}
	flight_join(flights_add(&broker->flights, search->name, search->only_looks), search->mailbox);
	metric_set(broker->flight_count, (int64_t)broker->flights.count);
	pthread_cond_signal(&broker->work);
}

/* The cache is asked again, under the lock that ends flights: an answer that came just now is not asked for
 * twice. */
void broker_find(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks)
{
	const struct broker_search search = {mailbox, name, only_looks};

	pthread_mutex_lock(&broker->lock);
	struct flight *flight = flights_find(&broker->flights, name, only_looks);
	struct site *site = site_cache_find(broker->config.cache, name);
	enum refusal refusal = site_cache_find_refusal(broker->config.cache, name);
	if (site)
		broker_send(broker, &search, BROKER_READY, BROKER_LOOKUP, NULL, site);
	else if (flight)
		join_locked(broker, flight, &search);
	else if (refusal == REFUSAL_DENIED)
		broker_send(broker, &search, BROKER_DENIED, BROKER_LOOKUP, "denied", NULL);
	else if (refusal == REFUSAL_TEMPORARY)
		broker_send(broker, &search, BROKER_TEMPORARY, BROKER_LOOKUP, "remembered", NULL);
	else
		begin_locked(broker, &search);
	pthread_mutex_unlock(&broker->lock);
	site_unref(site);
}

void broker_forget(struct broker *broker, struct mailbox *mailbox, const char *name, bool only_looks)
{
	pthread_mutex_lock(&broker->lock);
	struct flight *flight = flights_find(&broker->flights, name, only_looks);
	if (flight)
		flight_leave(flight, mailbox);
	if (flight && flight->receiver_count == 0 &&
	    (flight->state == FLIGHT_QUEUED || flight->state == FLIGHT_ISSUING))
		broker_remove_locked(broker, flight);
	pthread_mutex_unlock(&broker->lock);
}

bool broker_is_ready(const struct broker *broker, char *reason, size_t size)
{
	struct broker *own = (struct broker *)(uintptr_t)broker; /* for its lock */

	pthread_mutex_lock(&own->lock);
	bool reached = own->reached;
	if (!reached)
		snprintf(reason, size, "the database has not been reached yet: %s", own->last_error);
	pthread_mutex_unlock(&own->lock);
	return reached;
}

/* ---- start and end ---- */

static void make_metrics(struct broker *broker)
{
	static const char lookups[] = "postern_edge_broker_lookups_total";

	broker->flight_count = metrics_gauge(
	    "postern_edge_broker_flights", NULL, "Names that a certificate is being found for.");
	broker->stored = metrics_counter(
	    lookups, "result=\"stored\"", "Names looked up in the database, by what was found.");
	broker->absent = metrics_counter(lookups, "result=\"absent\"", NULL);
	broker->unusable = metrics_counter(lookups, "result=\"unusable\"", NULL);
	broker->blocked = metrics_counter(lookups, "result=\"blocked\"", NULL);
	broker->failed = metrics_counter(lookups, "result=\"failed\"", NULL);
	broker->shed = metrics_counter(
	    "postern_edge_broker_sheds_total", NULL, "Names refused because too many were being looked for.");
	broker->polls = metrics_counter("postern_edge_issuance_polls_total", NULL,
	    "Looks at the database for names whose certificate is in the making.");
	broker->issue_wait = metrics_histogram("postern_edge_issuance_wait_seconds", NULL,
	    "Time from an issuance being asked for to its certificate being there.");
}

enum result broker_reload_prepare(
    struct broker_reload *reload, const struct settings *settings, struct error *error)
{
	reload->negative_ttl_ms = settings_number(settings, "negative-ttl");
	reload->issue_wait_ms = settings_number(settings, "issue-wait");
	const struct ask_endpoint_config ask = ask_endpoint_settings(settings);
	return ask_target_new(&reload->ask_target, &ask, error);
}

void broker_reload_drop(struct broker_reload *reload)
{
	ask_target_unref(reload->ask_target);
	reload->ask_target = NULL;
}

void broker_reload(struct broker *broker, struct broker_reload *reload)
{
	ask_set_target(broker->ask, reload->ask_target);
	broker_reload_drop(reload);
	pthread_mutex_lock(&broker->lock);
	broker->negative_ttl_ms = reload->negative_ttl_ms;
	broker->issue_wait_ms = reload->issue_wait_ms;
	pthread_mutex_unlock(&broker->lock);
}

static void start_threads(struct broker *broker, const char *database, const char *database_listen)
{
	const struct ask_config ask = {
	    .deadline_ms = ASK_TIMEOUT_MS, .on_verdict = on_verdict, .arg = broker};
	const struct freshness_config config = {
	    .listen_conninfo = database_listen ? database_listen : database,
	    .cache = broker->config.cache,
	    .store = broker->store,
	    .max_age_ms = settings_number(broker->config.settings, "cache-max-age"),
	    .on_hint = on_hint,
	    .on_question = on_question,
	    .arg = broker,
	};

	broker->ask = ask_start(&ask);
	broker->freshness = freshness_start(&config);
	if (pthread_create(&broker->thread, NULL, broker_store_main, broker) != 0)
		abort();
}

static void init_lock(struct broker *broker)
{

	pthread_mutex_init(&broker->lock, NULL);
	condition_init(&broker->work);
}

static void free_broker(struct broker *broker)
{
	site_store_free(broker->store);
	flights_fini(&broker->flights);
	pthread_cond_destroy(&broker->work);
	pthread_mutex_destroy(&broker->lock);
	free(broker);
}

enum result broker_new(struct broker **out, const struct broker_config *config, struct error *error)
{
	const char *database = settings_string(config->settings, "database");
	const char *database_listen = settings_string(config->settings, "database-listen");
	struct broker *broker = mem_alloc(sizeof *broker);
	struct broker_reload first = {0};
	enum result result = R_OK;

	*out = NULL;
	broker->config = *config;
	init_lock(broker);
	flights_init(&broker->flights);
	make_metrics(broker);
	if ((result = pg_check_conninfo(database, error)) != R_OK ||
	    (database_listen && (result = pg_check_conninfo(database_listen, error)) != R_OK) ||
	    (result = broker_reload_prepare(&first, config->settings, error)) != R_OK) {
		free_broker(broker);
		return result;
	}
	broker->store = site_store_new(database, config->keys, config->cache);
	start_threads(broker, database, database_listen);
	broker_reload(broker, &first);
	broker->config.settings = NULL; /* its owner may have newer ones by the next look */
	*out = broker;
	return R_OK;
}

void broker_free(struct broker *broker)
{
	if (!broker)
		return;
	pthread_mutex_lock(&broker->lock);
	broker->stopping = true;
	pthread_cond_signal(&broker->work);
	pthread_mutex_unlock(&broker->lock);
	pthread_join(broker->thread, NULL);
	ask_stop(broker->ask);
	freshness_stop(broker->freshness);
	free_broker(broker);
}
