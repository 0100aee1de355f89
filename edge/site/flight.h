/*
 * Flights: the names this node is finding a certificate for, each once, with the mailboxes that wait for it.
 * A table and a list for each state; no lock of its own (the broker's covers it).
 */
#ifndef EDGE_FLIGHT_H
#define EDGE_FLIGHT_H

#include <sys/queue.h>

#include "edge/site/broker.h"

enum flight_state {
	FLIGHT_QUEUED,    /* to be looked up */
	FLIGHT_LOOKING,   /* in a query; also without receivers, until the query is over */
	FLIGHT_ASKING,    /* with the ask thread; also without receivers, until the verdict */
	FLIGHT_ALLOWED,   /* an issuance is to be enqueued */
	FLIGHT_ENQUEUING, /* in a query */
	FLIGHT_ISSUING,   /* waits for the issuer: polled, or woken by a hint */
	FLIGHT_STATES,
};

struct flight {
	TAILQ_ENTRY(flight) link; /* in the list of its state, oldest there first */
	struct flight *next;      /* in its bucket */
	uint64_t hash;
	struct hostname name;
	bool only_looks; /* whoever waits wants what is stored: nobody is asked, nothing is issued */
	enum flight_state state;
	uint64_t epoch;     /* of the name, read before the question that is under way */
	int rounds;         /* look-ups begun anew because an answer came too late */
	const char *reason; /* static: why a certificate is wanted, as issuance_jobs.reason has it */
	bool hinted;        /* a NOTIFY came: look before waiting */
	int64_t poll_at_ms, poll_delay_ms, deadline_ms; /* FLIGHT_ISSUING */
	int64_t issue_started_us;
	struct mailbox **receivers;
	size_t receiver_count, receiver_room;
};
TAILQ_HEAD(flight_list, flight);

struct flights {
	struct flight **buckets;
	struct flight_list states[FLIGHT_STATES];
	size_t counts[FLIGHT_STATES];
	size_t count;
};

void flights_init(struct flights *flights);
/* Frees all flights; nobody is told. */
void flights_fini(struct flights *flights);
/* A name has two flights at most: one that may end in an issuance, and one that only looks. */
struct flight *flights_find(struct flights *flights, const char *name, bool only_looks);
/* In FLIGHT_QUEUED. The name has no such flight yet. */
struct flight *flights_add(struct flights *flights, const char *name, bool only_looks);
void flights_move(struct flights *flights, struct flight *flight, enum flight_state state);
void flights_remove(struct flights *flights, struct flight *flight);

/* A mailbox joins once, however often it asks. */
void flight_join(struct flight *flight, struct mailbox *mailbox);
void flight_leave(struct flight *flight, struct mailbox *mailbox);

/* A reply without its receiver: `deliver`, the name, what came of it, and a reference to the site where
 * given. */
struct broker_reply *broker_reply_new(void (*deliver)(struct message *message, void *receiver),
    const char *name, enum broker_outcome outcome, const char *cause, struct site *site);

#endif
