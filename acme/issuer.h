/*
 * The issuer's threads: each claims a job, drives its order, claims the next. As many as the setting `jobs`,
 * each with a database connection and a curl handle of its own, in straight-line code where every wait has a
 * deadline. A NOTIFY wakes one; without any, one idle thread looks every second.
 */
#ifndef ACME_ISSUER_H
#define ACME_ISSUER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "acme/account/ca_list.h"
#include "acme/ask.h"
#include "acme/order/csr.h"
#include "acme/proof/challenge_set.h"
#include "common/seal/seal.h"

enum { ISSUER_JOBS_MAX = 64, ISSUER_STOP_MS = 10 * 1000 };

struct issuer_config {
	const char *database;
	const char *database_listen;
	const struct seal_keys *keys;
	const struct ca_list *cas;
	enum certificate_key_type key_type;
	struct challenge_types types;
	struct challenge_context
	    challenge_context; /* called by any thread; its `arg` must outlive the issuer */
	struct preflight *preflight;
	const struct ask_endpoint *ask; /* NULL: nobody is asked before a renewal */
	int jobs;
	int64_t lease_ms;
	atomic_bool *abandon; /* set when the threads' time to stop is over: ends requests under way */
};

struct issuer;

/* The configuration is copied; what it points to must outlive the issuer. */
struct issuer *issuer_start(const struct issuer_config *config);
/* Claims nothing more, gives running orders ISSUER_STOP_MS to reach their next persisted step, releases their
 * jobs for others, joins. */
void issuer_stop(struct issuer *issuer);
/* Has the database been reached, and does it have our tables? Else *reason says what is missing (`size` 0: is
 * not wanted). */
bool issuer_is_connected(struct issuer *issuer, char *reason, size_t size);

#endif
