/*
 * One endpoint in hand: its messages are sent one after the other, as long as it takes them and has some. A
 * machine of steps that never waits: DNS, the network and the database are looked at again with the next
 * step. Belongs to the courier's thread.
 */
#ifndef ACME_WEBHOOK_RUN_H
#define ACME_WEBHOOK_RUN_H

#include "acme/webhook/post.h"
#include "common/dns/resolver.h"
#include "common/seal/seal.h"

struct run;

/* What all runs of a courier share. All of it must outlive them. */
struct run_tools {
	struct pg *pg;
	CURLM *multi;
	const struct seal_keys *keys;
	const struct webhook_rules *rules;
	struct resolver *resolver;
	const char *ca_file; /* NULL: the system's alone */
	int64_t patience_ms; /* an endpoint that fails for so long is switched off */
};

/* RUN_FREE: without an endpoint. */
enum run_state { RUN_FREE, RUN_NEXT, RUN_LOOKUP, RUN_SENDING, RUN_ENDED };

struct run *run_new(const struct run_tools *tools);
/* Free, or cut off. */
void run_free(struct run *run);

/* Takes what *endpoint holds. Only while free. */
void run_begin(struct run *run, struct endpoint *endpoint);
/* As far as it gets. */
void run_step(struct run *run);
/* libcurl says that the message's request is done: CURLOPT_PRIVATE of its handle is the run. */
void run_on_sent(struct run *run, CURLcode code);
/* Its message under way is the last one. */
void run_wind_up(struct run *run);
/* Cut off: what is under way will be sent again. Others may have the endpoint at once. */
void run_stop(struct run *run);

enum run_state run_state(const struct run *run);

#endif
