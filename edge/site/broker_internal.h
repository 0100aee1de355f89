/*
 * The broker's inside, shared by its files: broker.c (what other threads call), broker_rules.c (what an
 * answer comes to for a flight) and broker_store.c (the thread that owns the database's connection).
 */
#ifndef EDGE_BROKER_INTERNAL_H
#define EDGE_BROKER_INTERNAL_H

#include <pthread.h>

#include "common/daemon/metrics.h"
#include "edge/site/ask.h"
#include "edge/site/ask_target.h"
#include "edge/site/broker.h"
#include "edge/site/flight.h"
#include "edge/site/freshness.h"
#include "edge/site/site_store.h"

struct broker {
	struct broker_config config;
	struct site_store *store; /* the thread's own, as are its batches */
	struct site_row rows[SITE_STORE_BATCH];
	struct site_request requests[SITE_STORE_BATCH];
	int64_t probe_at_ms;
	struct ask *ask;
	struct freshness *freshness;
	pthread_t thread;

	pthread_mutex_t lock; /* covers what follows; never held over I/O */
	pthread_cond_t work;
	struct flights flights;
	int64_t negative_ttl_ms, issue_wait_ms;
	bool stopping;
	bool reached; /* the database has answered since the start, with the tables we know */
	char last_error[512];

	struct metric *flight_count, *stored, *absent, *unusable, *blocked, *failed, *shed, *polls;
	struct histogram *issue_wait;
};

/* Who looks for what. */
struct broker_search {
	struct mailbox *mailbox;
	const char *name;
	bool only_looks;
};
/* broker_rules.c: takes no lock. */
void broker_send(struct broker *broker, const struct broker_search *search, enum broker_outcome outcome,
    enum broker_phase phase, const char *cause, struct site *site);

/* broker_rules.c: all with the lock held; most end or move the flight. */
void broker_looked_locked(struct broker *broker, struct flight *flight, const struct site_row *row);
void broker_polled_locked(struct broker *broker, struct flight *flight, const struct site_row *row);
void broker_look_failed_locked(struct broker *broker, struct flight *flight);
void broker_enqueued_locked(
    struct broker *broker, struct flight *flight, enum result result, enum issuance_state issuance);
void broker_verdict_locked(struct broker *broker, struct flight *flight, enum ask_verdict verdict);
void broker_remove_locked(struct broker *broker, struct flight *flight);

/* broker_store.c: the thread, until `stopping`. */
void *broker_store_main(void *broker);

#endif
