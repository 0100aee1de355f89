#include "edge/site/broker_internal.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/log/log.h"
#include "edge/loop/log_rate.h"

enum { STORE_TIMEOUT_MS = 900, PROBE_MS = 100 };

static void report(enum result result, const struct error *error)
{
	static struct log_rate rate;

	if (result != R_OK && log_rate_allows(&rate))
		log_warn("names cannot be looked up in the database", log_str("error", error->text));
}

/* The flight may have gone, and another of the same name begun, while the query ran: only one that waits for
 * such an answer takes it. */
static void apply_locked(struct broker *broker, struct flight *flight, const struct site_row *row)
{
	if (!flight || (flight->state != FLIGHT_LOOKING && flight->state != FLIGHT_ISSUING))
		return;
	if (!row)
		broker_look_failed_locked(broker, flight);
	else if (flight->state == FLIGHT_LOOKING)
		broker_looked_locked(broker, flight, row);
	else
		broker_polled_locked(broker, flight, row);
}

/* Both searches of the name asked the same question. */
static void apply(struct broker *broker, const char *name, const struct site_row *row)
{
	pthread_mutex_lock(&broker->lock);
	apply_locked(broker, flights_find(&broker->flights, name, false), row);
	apply_locked(broker, flights_find(&broker->flights, name, true), row);
	pthread_mutex_unlock(&broker->lock);
}

static void apply_row(struct broker *broker, struct site_row *row)
{
	if (row->standing == SITE_USABLE)
		site_store_keep(broker->store, row);
	else if (row->standing == SITE_BLOCKED)
		site_cache_remove(broker->config.cache, row->name.text);
	apply(broker, row->name.text, row);
	site_unref(row->site);
}

static void look_up(struct broker *broker, size_t count)
{
	struct error error = {{0}};
	enum result result = site_store_load(broker->store, broker->rows, count, STORE_TIMEOUT_MS, &error);

	report(result, &error);
	for (size_t i = 0; i < count; i++) {
		if (result == R_OK)
			apply_row(broker, &broker->rows[i]);
		else
			apply(broker, broker->rows[i].name.text, NULL);
	}
}

static void enqueue(struct broker *broker, size_t count)
{
	struct error error = {{0}};
	enum result result =
	    site_store_enqueue(broker->store, broker->requests, count, STORE_TIMEOUT_MS, &error);

	report(result, &error);
	pthread_mutex_lock(&broker->lock);
	for (size_t i = 0; i < count; i++) {
		struct flight *flight = flights_find(&broker->flights, broker->requests[i].name.text, false);

		assert(flight && flight->state == FLIGHT_ENQUEUING);
		broker_enqueued_locked(broker, flight, result, broker->requests[i].issuance);
	}
	pthread_mutex_unlock(&broker->lock);
}

/* New names first: they are what a visitor waits for longest without knowing why. */
static size_t take_looks_locked(struct broker *broker, int64_t now)
{
	struct flight *flight = NULL;
	size_t count = 0;

	while (count < SITE_STORE_BATCH && (flight = TAILQ_FIRST(&broker->flights.states[FLIGHT_QUEUED]))) {
		flights_move(&broker->flights, flight, FLIGHT_LOOKING);
		broker->rows[count++].name = flight->name;
	}
	TAILQ_FOREACH(flight, &broker->flights.states[FLIGHT_ISSUING], link)
	{
		if (count == SITE_STORE_BATCH)
			break;
		if (flight->poll_at_ms > now)
			continue;
		flight->hinted = false;
		broker->rows[count++].name = flight->name;
		metric_add(broker->polls, 1);
	}
	return count;
}

static size_t take_allowed_locked(struct broker *broker)
{
	struct flight *flight = NULL;
	size_t count = 0;

	while (count < SITE_STORE_BATCH && (flight = TAILQ_FIRST(&broker->flights.states[FLIGHT_ALLOWED]))) {
		flights_move(&broker->flights, flight, FLIGHT_ENQUEUING);
		broker->requests[count].name = flight->name;
		broker->requests[count++].reason = flight->reason;
	}
	return count;
}

static int64_t next_due_locked(const struct broker *broker)
{
	int64_t next = freshness_next(broker->freshness);
	const struct flight *flight = NULL;

	if (!broker->reached && broker->probe_at_ms < next)
		next = broker->probe_at_ms;
	TAILQ_FOREACH(flight, &broker->flights.states[FLIGHT_ISSUING], link)
	{
		if (flight->poll_at_ms < next)
			next = flight->poll_at_ms;
	}
	return next;
}

static bool has_work_locked(const struct broker *broker)
{
	return broker->stopping || broker->flights.counts[FLIGHT_QUEUED] > 0 ||
	       broker->flights.counts[FLIGHT_ALLOWED] > 0;
}

/* False at the end. */
static bool wait_for_work_locked(struct broker *broker)
{
	while (!has_work_locked(broker)) {
		int64_t next = next_due_locked(broker);

		if (next <= clock_monotonic_ms())
			break;
		condition_wait_until(&broker->work, &broker->lock, next);
	}
	return !broker->stopping;
}

/* Until the database has answered once, with the tables we know, the node is not ready. */
static void probe(struct broker *broker)
{
	struct error error = {{0}};
	enum result result = site_store_check(broker->store, STORE_TIMEOUT_MS, &error);

	broker->probe_at_ms = clock_monotonic_ms() + PROBE_MS;
	pthread_mutex_lock(&broker->lock);
	broker->reached = result == R_OK;
	snprintf(broker->last_error, sizeof broker->last_error, "%s", error.text);
	pthread_mutex_unlock(&broker->lock);
}

void *broker_store_main(void *arg)
{
	struct broker *broker = arg;

	pthread_mutex_lock(&broker->lock);
	while (wait_for_work_locked(broker)) {
		size_t allowed = take_allowed_locked(broker);
		size_t looks = take_looks_locked(broker, clock_monotonic_ms());
		bool probing = !broker->reached;

		pthread_mutex_unlock(&broker->lock);
		if (allowed)
			enqueue(broker, allowed);
		if (looks)
			look_up(broker, looks);
		if (probing && clock_monotonic_ms() >= broker->probe_at_ms)
			probe(broker);
		if (freshness_next(broker->freshness) <= clock_monotonic_ms())
			freshness_step(broker->freshness);
		pthread_mutex_lock(&broker->lock);
	}
	pthread_mutex_unlock(&broker->lock);
	return NULL;
}
