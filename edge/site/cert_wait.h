/*
 * Who on this worker waits for which name's certificate. One flight per name, however many wait; each phase
 * of it has a deadline that this worker keeps, whatever becomes of the broker's thread.
 */
#ifndef EDGE_CERT_WAIT_H
#define EDGE_CERT_WAIT_H

#include <stddef.h>
#include <stdint.h>

#include "edge/loop/loop.h"
#include "edge/site/broker.h"
#include "edge/site/site_cache.h"

struct cert_wait;
struct cert_flight;

enum {
	CERT_WAIT_LOOKUP_MS = 1000,
	CERT_WAIT_ASK_MS = 5000,
	CERT_WAIT_REMEMBER_MS = 1000, /* how long a passed deadline refuses the name */
};

enum cert_outcome {
	CERT_READY,     /* the site cache has it */
	CERT_DENIED,    /* a definite no */
	CERT_TEMPORARY, /* trouble, or a deadline: worth another try soon */
};

/* Embedded in what waits. `on_done` is called once, from the loop, and may free the waiter. `cause` is a
 * static word for metrics; `site` (with CERT_READY) is borrowed for the call. */
struct cert_waiter {
	struct cert_waiter *next, **link;
	struct cert_flight *flight; /* NULL: not waiting */
	void (*on_done)(
	    struct cert_waiter *waiter, enum cert_outcome outcome, struct site *site, const char *cause);
};

struct cert_wait_config {
	struct loop *loop;
	struct mailbox *mailbox; /* of the worker: where the broker replies */
	struct broker *broker;
	struct site_cache *sites;
	int64_t issue_ms; /* issue-wait */
};

struct cert_wait *cert_wait_new(const struct cert_wait_config *config);
/* Nobody may be waiting any more. */
void cert_wait_free(struct cert_wait *wait);

/* For the waits that begin from now on. */
void cert_wait_set_issue_ms(struct cert_wait *wait, int64_t issue_ms);

/* Joins the name's flight, or starts it. `only_looks`: a flight that ends, denied, where nothing is stored.
 */
void cert_wait_join(
    struct cert_wait *wait, struct cert_waiter *waiter, const struct hostname *name, bool only_looks);
/* Before the end: on_done will not be called. The last one to leave ends the flight. */
void cert_wait_leave(struct cert_wait *wait, struct cert_waiter *waiter);
/* A reply of the broker for this worker; frees nothing. */
void cert_wait_deliver(struct cert_wait *wait, const struct broker_reply *reply);

size_t cert_wait_flights(const struct cert_wait *wait);

#endif
