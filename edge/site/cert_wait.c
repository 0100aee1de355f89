#include "edge/site/cert_wait.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "edge/loop/name_table.h"

struct cert_flight {
	struct name_entry entry;
	struct hostname name;
	bool only_looks;
	struct cert_wait *wait;
	enum broker_phase phase;
	struct loop_timer deadline;
	uint64_t epoch; /* of the name in the site cache, when the flight began */
	struct cert_waiter *first, **last;
};

struct cert_wait {
	struct cert_wait_config config;
	struct name_table flights;
	struct name_table looks; /* the flights that only look */
};

struct cert_wait *cert_wait_new(const struct cert_wait_config *config)
{
	struct cert_wait *wait = mem_alloc(sizeof *wait);

	wait->config = *config;
	return wait;
}

void cert_wait_free(struct cert_wait *wait)
{
	if (!wait)
		return;
	assert(cert_wait_flights(wait) == 0);
	name_table_fini(&wait->flights);
	name_table_fini(&wait->looks);
	free(wait);
}

static struct name_table *table_of(struct cert_wait *wait, bool only_looks)
{
	return only_looks ? &wait->looks : &wait->flights;
}

static struct cert_flight *find_flight(struct cert_wait *wait, const char *name, bool only_looks)
{
	struct name_entry *entry = name_table_find(table_of(wait, only_looks), name);

	return entry ? loop_owner(entry, struct cert_flight, entry) : NULL;
}

/* Nobody finds it from here on: who joins while it ends begins a flight of their own. */
static void flight_close(struct cert_flight *flight)
{
	loop_timer_clear(flight->wait->config.loop, &flight->deadline);
	name_table_remove(table_of(flight->wait, flight->only_looks), &flight->entry);
}

static void waiter_remove(struct cert_waiter *waiter)
{
	struct cert_flight *flight = waiter->flight;

	*waiter->link = waiter->next;
	if (waiter->next)
		waiter->next->link = waiter->link;
	else
		flight->last = waiter->link;
	waiter->next = NULL;
	waiter->flight = NULL;
}

/* A waiter that is called may make others leave: each time the first is taken. */
static void flight_end(
    struct cert_flight *flight, enum cert_outcome outcome, struct site *site, const char *cause)
{
	flight_close(flight);
	while (flight->first) {
		struct cert_waiter *waiter = flight->first;

		waiter_remove(waiter);
		waiter->on_done(waiter, outcome, site, cause);
	}
	free(flight);
}

/* The broker is slow or stuck: remembered for a moment, so that the next visitors do not queue up behind it.
 * Where a certificate is in the making nothing is remembered; it may be there any moment. */
static void on_deadline(struct loop_timer *timer)
{
	static const char *const causes[] = {"lookup_deadline", "ask_deadline", "issue_deadline"};
	struct cert_flight *flight = loop_owner(timer, struct cert_flight, deadline);
	struct cert_wait_config *config = &flight->wait->config;

	if (flight->phase != BROKER_ISSUE)
		site_cache_refuse(config->sites, flight->name.text, REFUSAL_TEMPORARY, CERT_WAIT_REMEMBER_MS,
		    flight->epoch, causes[flight->phase]);
	broker_forget(config->broker, config->mailbox, flight->name.text, flight->only_looks);
	flight_end(flight, CERT_TEMPORARY, NULL, causes[flight->phase]);
}

void cert_wait_set_issue_ms(struct cert_wait *wait, int64_t issue_ms)
{
	wait->config.issue_ms = issue_ms;
}

static int64_t phase_ms(const struct cert_wait *wait, enum broker_phase phase)
{
	switch (phase) {
	case BROKER_LOOKUP: return CERT_WAIT_LOOKUP_MS;
	case BROKER_ASK: return CERT_WAIT_ASK_MS;
	case BROKER_ISSUE: return wait->config.issue_ms;
	}
	abort();
}

/* Phases only go forward: a repeated or late message does not lengthen a wait. */
static void flight_enter(struct cert_flight *flight, enum broker_phase phase)
{
	if (phase <= flight->phase)
		return;
	flight->phase = phase;
	loop_timer_set(flight->wait->config.loop, &flight->deadline, phase_ms(flight->wait, phase));
}

static struct cert_flight *flight_begin(struct cert_wait *wait, const struct hostname *name, bool only_looks)
{
	struct cert_flight *flight = mem_alloc(sizeof *flight);

	flight->name = *name;
	flight->only_looks = only_looks;
	flight->entry.name = flight->name.text;
	flight->wait = wait;
	flight->phase = BROKER_LOOKUP;
	flight->last = &flight->first;
	flight->deadline.on_expire = on_deadline;
	flight->epoch = site_cache_epoch(wait->config.sites, name->text);
	name_table_add(table_of(wait, only_looks), &flight->entry);
	loop_timer_set(wait->config.loop, &flight->deadline, CERT_WAIT_LOOKUP_MS);
	return flight;
}

void cert_wait_join(
    struct cert_wait *wait, struct cert_waiter *waiter, const struct hostname *name, bool only_looks)
{
	struct cert_flight *flight = find_flight(wait, name->text, only_looks);
	bool is_first = !flight;

	assert(!waiter->flight);
	if (is_first)
		flight = flight_begin(wait, name, only_looks);
	waiter->flight = flight;
	waiter->next = NULL;
	waiter->link = flight->last;
	*flight->last = waiter;
	flight->last = &waiter->next;
	if (is_first)
		broker_find(wait->config.broker, wait->config.mailbox, flight->name.text, only_looks);
}

void cert_wait_leave(struct cert_wait *wait, struct cert_waiter *waiter)
{
	struct cert_flight *flight = waiter->flight;

	if (!flight)
		return;
	waiter_remove(waiter);
	/* A flight that flight_end is emptying has left the table: it ends there. */
	if (flight->first || find_flight(wait, flight->name.text, flight->only_looks) != flight)
		return;
	flight_close(flight);
	broker_forget(wait->config.broker, wait->config.mailbox, flight->name.text, flight->only_looks);
	free(flight);
}

void cert_wait_deliver(struct cert_wait *wait, const struct broker_reply *reply)
{
	struct cert_flight *flight = find_flight(wait, reply->name.text, reply->only_looks);

	if (!flight)
		return;
	switch (reply->outcome) {
	case BROKER_PHASE: flight_enter(flight, reply->phase); return;
	case BROKER_READY: flight_end(flight, CERT_READY, reply->site, "ready"); return;
	case BROKER_DENIED: flight_end(flight, CERT_DENIED, NULL, reply->cause); return;
	case BROKER_TEMPORARY: flight_end(flight, CERT_TEMPORARY, NULL, reply->cause); return;
	}
}

size_t cert_wait_flights(const struct cert_wait *wait)
{
	return wait->flights.count + wait->looks.count;
}
