/*
 * What a customer's DNS proves without any request to our nodes: the lasting record of dns-persist-01, and
 * the
 * `_acme-challenge` that is delegated to the operator's zone. Where the records stand, and whether those that
 * DNS shows will do. For a wildcard both stand at the name that it stands under.
 */
#ifndef ACME_DNS_PROOF_H
#define ACME_DNS_PROOF_H

#include "acme/proof/lookup.h"
#include "acme/proof/persist_record.h"

/* What is looked up with. */
struct dns_proof {
	struct lookup *lookup;
	const char *zone; /* for delegated dns-01; NULL: there is none. Outlives it */
};

/* ---- dns-persist-01 ---- */

/* The answer to a question for persist_record_name's texts, judged for this name (a wildcard wants
 * policy=wildcard). `issuers` NULL: whichever CA the record names. */
struct persist_record dns_proof_judge_persist(const char *name, const struct resolver_answer *answer,
    const struct acme_issuer_names *issuers, const char *account_url);
/* Looked up and judged. PERSIST_UNKNOWN also where the name leaves no room for the record's. */
struct persist_record dns_proof_look_persist(struct lookup *lookup, const char *name,
    const struct acme_issuer_names *issuers, const char *account_url);

/* ---- delegated dns-01 ---- */

/* False: the name leaves no room for it. */
bool dns_proof_delegation_name(char out[HOSTNAME_MAX + 1], const char *name);
/* The name in the zone to which it must lead: the CNAME's value. */
enum { DNS_PROOF_TARGET_SIZE = HOSTNAME_MAX + 40 };
void dns_proof_delegation_target(char out[DNS_PROOF_TARGET_SIZE], const char *zone, const char *name);
/* Is this CNAME the one? */
bool dns_proof_is_target(const char *zone, const char *name, const struct resolver_answer *answer);

/* ---- for challenge_context: look-ups; `arg` is a struct dns_proof ---- */

bool dns_proof_persist_record_seen(
    void *arg, const char *name, const struct acme_issuer_names *issuers, const char *account_url);
bool dns_proof_is_delegated(void *arg, const char *name);

#endif
