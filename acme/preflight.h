/*
 * Before an order: would the CA's validation come through? What DNS says about the name now (does it lead
 * here, CAA, DNSSEC, the dns-persist-01 record), and, where it leads elsewhere, whether a request through
 * there reaches us. An order that cannot succeed is not placed, and the customer is told why.
 *
 * Advice only: what cannot be found out is no reason not to order.
 */
#ifndef ACME_PREFLIGHT_H
#define ACME_PREFLIGHT_H

#include "acme/challenge_set.h"
#include "acme/lookup.h"
#include "common/dns/our_place.h"

struct preflight_config {
	struct lookup *lookup;
	struct our_place place; /* taken over; without addresses nobody asks where names lead */
	const char *dns_zone; /* the zone for delegated dns-01; NULL: there is none. Outlives the preflight */
	int port;             /* of http-01 */
	bool allow_private;   /* may a request be sent to addresses that are not public? */
	bool is_on;           /* off: only persist_record_seen is of use */
};

struct preflight;

struct preflight *preflight_new(const struct preflight_config *config);
void preflight_free(struct preflight *preflight);

struct preflight_asker {
	struct pg *pg;
	const struct job *job;
	const struct acme_directory *directory;
	const char *account_url;
	const struct challenge_types *types;
};

/* R_OK: go ahead. R_ERROR: *failure says why not. R_LOST, R_DOWN: the job, the database. */
enum result preflight_check(struct preflight *preflight, const struct preflight_asker *asker,
    struct acme_failure *failure, struct error *error);

/* For others who look names up. */
struct lookup *preflight_lookup(const struct preflight *preflight);

/* challenge_context.persist_record_seen; `arg` is the preflight. */
bool preflight_is_delegated(void *arg, const char *name); /* challenge_context.is_delegated */
bool preflight_persist_record_seen(
    void *arg, const char *name, const struct acme_issuer_names *issuers, const char *account_url);

#endif
