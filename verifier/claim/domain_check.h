/*
 * One check of one domain: the look-ups of its TXT record and of where it points, all at once, and what they
 * mean for the claim. Holds no database connection.
 */
#ifndef VERIFIER_CLAIM_DOMAIN_CHECK_H
#define VERIFIER_CLAIM_DOMAIN_CHECK_H

#include "verifier/claim/domain.h"

struct domain_check;

/* `claim` is copied. Never fails. */
struct domain_check *domain_check_start(
    struct resolver *resolver, const struct config *config, const struct domain_claim *claim);
bool domain_check_is_done(const struct domain_check *check);
const struct domain_claim *domain_check_claim(const struct domain_check *check);
/* Waits at most RESOLVER_DEADLINE_MS from the start. `by` is kept, not copied. Once. */
void domain_check_finish(struct domain_check *check, const char *by, struct domain_verdict *verdict);
void domain_verdict_fini(struct domain_verdict *verdict);
/* Ends its look-ups at once where it was not finished. */
void domain_check_free(struct domain_check *check);

/* What a finished one has seen; lives as long as it. */
struct domain_sight {
	const struct resolver_answer *txt;
	struct routing_facts routing;
};
struct domain_sight domain_check_sight(const struct domain_check *check);

#endif
