/*
 * Challenges: which one to answer, and the rows from which any edge answers it. A row is committed before the
 * CA is told to validate and outlives the authorization by CHALLENGE_GRACE_S, since validations come from
 * several places at different times.
 */
#ifndef ACME_CHALLENGE_SET_H
#define ACME_CHALLENGE_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "acme/ca/acme_msg.h"
#include "acme/queue/job.h"
#include "common/pg/pg.h"

enum { CHALLENGE_LIFE_S = 600, CHALLENGE_GRACE_S = 60 };

/* The setting challenge-types, in order of preference. */
struct challenge_types {
	enum acme_challenge_type list[ACME_CHALLENGE_TYPES];
	size_t count;
};

/* R_INVALID: not a type that is spoken here, or there already. */
enum result challenge_types_add(struct challenge_types *types, const char *name, struct error *error);

/* What types are judged by that need more than the CA's offer. `persist_record_seen`: does DNS show the
 * customer's dns-persist-01 record, for one of these issuer names and this account? NULL: nobody looks.
 * `name` may be a wildcard. */
struct challenge_context {
	bool (*persist_record_seen)(
	    void *arg, const char *name, const struct acme_issuer_names *issuers, const char *account_url);
	/* Does the name's _acme-challenge lead into the zone that we answer for? NULL: there is none. */
	bool (*is_delegated)(void *arg, const char *name);
	void *arg;
};

struct challenge_question {
	const char *name; /* that the certificate is to be for: a wildcard is proven by DNS alone */
	const struct challenge_types *types;
	const bool *allowed; /* by the domain's CAA records, for each type */
	int attempts;
	const struct challenge_context *context;
	const char *account_url;
};

/* The one to answer: by preference among those that are offered and ready, one further on with each failed
 * attempt, so that a name behind something that spoils the first type gets its certificate by the second.
 * NULL: the CA offers none that we may use. */
const struct acme_challenge *challenge_choose(
    const struct acme_authorization *authorization, const struct challenge_question *question);
/* Does the CA come to our nodes for it? */
bool challenge_needs_reach(enum acme_challenge_type type);
/* Are there rows for it, from which edges answer? */
bool challenge_is_published(enum acme_challenge_type type);

/* Commits the row; *id is for challenge_is_seen. R_LOST: the job is no longer ours. */
enum result challenge_publish(struct pg *pg, const struct job *job, const struct acme_challenge *challenge,
    const char *key_authorization, int64_t *id, struct error *error);
/* Has an edge answered? */
enum result challenge_is_seen(struct pg *pg, int64_t id, bool *seen, struct error *error);
/* The authorization is terminal: the name's rows live on for the grace period. */
enum result challenge_retire(struct pg *pg, const struct job *job, struct error *error);
/* Deletes what has expired, at most 500 rows. */
enum result challenge_sweep(struct pg *pg, struct error *error);

#endif
