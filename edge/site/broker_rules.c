#include "edge/site/broker_internal.h"

#include <string.h>

#include "common/base/clock.h"

enum {
	ISSUING_MAX = 8192, /* names waiting for the issuer: the newest above it is shed */
	ROUNDS_MAX = 3,     /* look-ups of one flight whose answers came too late */
	POLL_FIRST_MS = 250,
	POLL_MAX_MS = 1000,
	DOWN_MEMORY_MS = 1000,   /* how long trouble of ours (database, ask) is remembered for a name */
	FAILED_MEMORY_MS = 3000, /* the same for an issuance that failed */
};

/* ---- telling receivers ---- */

void broker_send(struct broker *broker, const struct broker_search *search, enum broker_outcome outcome,
    enum broker_phase phase, const char *cause, struct site *site)
{
	struct broker_reply *reply =
	    broker_reply_new(broker->config.deliver, search->name, outcome, cause, site);

	reply->only_looks = search->only_looks;
	reply->phase = phase;
	mailbox_send(search->mailbox, &reply->message);
}

static void tell_locked(struct broker *broker, const struct flight *flight, enum broker_outcome outcome,
    enum broker_phase phase, const char *cause, struct site *site)
{
	for (size_t i = 0; i < flight->receiver_count; i++)
		broker_send(broker,
		    &(struct broker_search){flight->receivers[i], flight->name.text, flight->only_looks},
		    outcome, phase, cause, site);
}

void broker_remove_locked(struct broker *broker, struct flight *flight)
{
	flights_remove(&broker->flights, flight);
	metric_set(broker->flight_count, (int64_t)broker->flights.count);
}

static void end_locked(struct broker *broker, struct flight *flight, enum broker_outcome outcome,
    const char *cause, struct site *site)
{
	if (outcome == BROKER_READY && flight->state == FLIGHT_ISSUING)
		histogram_observe_us(broker->issue_wait, clock_monotonic_us() - flight->issue_started_us);
	tell_locked(broker, flight, outcome, BROKER_LOOKUP, cause, site);
	broker_remove_locked(broker, flight);
}

static void deny_locked(struct broker *broker, struct flight *flight, const char *cause)
{
	site_cache_refuse(broker->config.cache, flight->name.text, REFUSAL_DENIED, broker->negative_ttl_ms,
	    flight->epoch, cause);
	end_locked(broker, flight, BROKER_DENIED, cause, NULL);
}

static void fail_locked(struct broker *broker, struct flight *flight, const char *cause, int64_t remember_ms)
{
	site_cache_refuse(
	    broker->config.cache, flight->name.text, REFUSAL_TEMPORARY, remember_ms, flight->epoch, cause);
	end_locked(broker, flight, BROKER_TEMPORARY, cause, NULL);
}

/* ---- what a look at the database comes to ---- */

static void enter_ask_locked(struct broker *broker, struct flight *flight)
{
	flight->epoch = site_cache_epoch(broker->config.cache, flight->name.text);
	flights_move(&broker->flights, flight, FLIGHT_ASKING);
	if (ask_submit(broker->ask, flight->name.text) != R_OK) {
		metric_add(broker->shed, 1);
		fail_locked(broker, flight, "overload", DOWN_MEMORY_MS);
		return;
	}
	tell_locked(broker, flight, BROKER_PHASE, BROKER_ASK, NULL, NULL);
}

/* Nothing to serve: may there be? A client that has gone asks no more. A certificate's names have no
 * underscores (RFC 5280 section 4.2.1.6): only a wildcard serves such a one. */
static void not_stored_locked(struct broker *broker, struct flight *flight, const struct site_row *row)
{
	if (flight->receiver_count == 0)
		broker_remove_locked(broker, flight);
	else if (flight->only_looks)
		end_locked(broker, flight, BROKER_DENIED, "not_stored", NULL);
	else if (row->issuance == ISSUANCE_FAILED)
		fail_locked(broker, flight, "failed", FAILED_MEMORY_MS);
	else if (!ask_has_target(broker->ask) || strchr(flight->name.text, '_'))
		deny_locked(broker, flight, "denied");
	else
		enter_ask_locked(broker, flight);
}

static const char *reason_of(const struct site_row *row)
{
	if (row->issuance == ISSUANCE_RECHECK)
		return "recheck";
	return row->standing == SITE_UNUSABLE ? "repair" : "first_hit";
}

void broker_looked_locked(struct broker *broker, struct flight *flight, const struct site_row *row)
{
	flight->epoch = row->epoch;
	flight->reason = reason_of(row);
	switch (row->standing) {
	case SITE_USABLE:
		metric_add(broker->stored, 1);
		end_locked(broker, flight, BROKER_READY, NULL, row->site);
		break;
	case SITE_BLOCKED:
		metric_add(broker->blocked, 1);
		deny_locked(broker, flight, "suspended");
		break;
	case SITE_ABSENT:
	case SITE_UNUSABLE:
		metric_add(row->standing == SITE_ABSENT ? broker->absent : broker->unusable, 1);
		not_stored_locked(broker, flight, row);
		break;
	}
}

static void poll_later_locked(struct broker *broker, struct flight *flight)
{
	int64_t now = clock_monotonic_ms();

	if (now >= flight->deadline_ms) {
		fail_locked(broker, flight, "deadline", 0);
		return;
	}
	flight->poll_at_ms = flight->hinted ? now : now + flight->poll_delay_ms;
	flight->hinted = false;
	flight->poll_delay_ms *= 2;
	if (flight->poll_delay_ms > POLL_MAX_MS)
		flight->poll_delay_ms = POLL_MAX_MS;
}

/* A job that is neither under way nor done was closed by the issuer, which looks again whether the name may
 * have a certificate. */
void broker_polled_locked(struct broker *broker, struct flight *flight, const struct site_row *row)
{
	flight->epoch = row->epoch;
	if (row->standing == SITE_USABLE)
		end_locked(broker, flight, BROKER_READY, NULL, row->site);
	else if (row->standing == SITE_BLOCKED)
		deny_locked(broker, flight, "suspended");
	else if (row->issuance != ISSUANCE_UNDER_WAY)
		fail_locked(broker, flight, "issuance", FAILED_MEMORY_MS);
	else
		poll_later_locked(broker, flight);
}

void broker_look_failed_locked(struct broker *broker, struct flight *flight)
{
	/* Who waits for the issuer goes on waiting: the database may be back before the deadline. */
	if (flight->state == FLIGHT_ISSUING) {
		poll_later_locked(broker, flight);
		return;
	}
	metric_add(broker->failed, 1);
	fail_locked(broker, flight, "database", DOWN_MEMORY_MS);
}

/* ---- what the issuer's queue and the ask endpoint said ---- */

static void start_waiting_locked(struct broker *broker, struct flight *flight)
{
	int64_t now_us = clock_monotonic_us();

	flight->issue_started_us = now_us;
	flight->deadline_ms = now_us / 1000 + broker->issue_wait_ms;
	flight->poll_delay_ms = POLL_FIRST_MS;
	flights_move(&broker->flights, flight, FLIGHT_ISSUING);
	tell_locked(broker, flight, BROKER_PHASE, BROKER_ISSUE, NULL, NULL);
	poll_later_locked(broker, flight);
}

void broker_enqueued_locked(
    struct broker *broker, struct flight *flight, enum result result, enum issuance_state issuance)
{
	if (flight->receiver_count == 0) {
		broker_remove_locked(broker, flight);
	} else if (result != R_OK || issuance == ISSUANCE_UNKNOWN) {
		fail_locked(broker, flight, "database", DOWN_MEMORY_MS);
	} else if (issuance == ISSUANCE_FAILED) {
		fail_locked(broker, flight, "failed", FAILED_MEMORY_MS);
	} else if (broker->flights.counts[FLIGHT_ISSUING] >= ISSUING_MAX) {
		metric_add(broker->shed, 1);
		fail_locked(broker, flight, "overload", DOWN_MEMORY_MS);
	} else {
		start_waiting_locked(broker, flight);
	}
}

/* The customer may have become active between question and answer. */
static bool came_too_late_locked(struct broker *broker, struct flight *flight)
{
	return site_cache_epoch(broker->config.cache, flight->name.text) != flight->epoch &&
	       ++flight->rounds < ROUNDS_MAX;
}

void broker_verdict_locked(struct broker *broker, struct flight *flight, enum ask_verdict verdict)
{
	if (verdict == ASK_ALLOWED)
		flights_move(&broker->flights, flight, FLIGHT_ALLOWED);
	else if (verdict == ASK_DENIED && came_too_late_locked(broker, flight))
		flights_move(&broker->flights, flight, FLIGHT_QUEUED);
	else if (verdict == ASK_DENIED)
		deny_locked(broker, flight, "denied");
	else
		fail_locked(broker, flight, "ask", DOWN_MEMORY_MS);
}
