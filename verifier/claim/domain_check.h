/*
 * One check of one domain: the look-ups of its TXT record and of where it points, all at once, and what they
 * mean. Holds no database connection.
 */
#ifndef VERIFIER_CLAIM_DOMAIN_CHECK_H
#define VERIFIER_CLAIM_DOMAIN_CHECK_H

#include "verifier/claim/domain.h"

struct domain_check;

/* `claim` is copied. Never fails; every check that was started must be finished. */
struct domain_check *domain_check_start(
    struct resolver *resolver, const struct config *config, const struct domain_claim *claim);
bool domain_check_is_done(const struct domain_check *check);
const struct domain_claim *domain_check_claim(const struct domain_check *check);
/* Waits at most RESOLVER_DEADLINE_MS from the start, and frees the check. free() verdict->found. `by` is
 * kept, not copied. */
void domain_check_finish(struct domain_check *check, const char *by, struct domain_verdict *verdict);
/* Ends it at once, undecided. */
void domain_check_cancel(struct domain_check *check);

#endif
