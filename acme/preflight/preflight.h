/*
 * Before an order: would the CA's validation come through? What DNS says about the name now (does it lead
 * here, CAA, DNSSEC, the dns-persist-01 record), and, where it leads elsewhere, whether a request through
 * there reaches us. An order that cannot succeed is not placed, and the customer is told why.
 *
 * Advice only: what cannot be found out is no reason not to order.
 */
#ifndef ACME_PREFLIGHT_H
#define ACME_PREFLIGHT_H

#include "acme/proof/challenge_set.h"
#include "acme/proof/dns_proof.h"
#include "common/dns/our_place.h"

struct preflight_config {
	struct lookup *lookup;  /* outlives the preflight, as does dns_zone */
	struct our_place place; /* taken over; without addresses nobody asks where names lead */
	const char *dns_zone;   /* the zone for delegated dns-01; NULL: there is none */
	int port;               /* of http-01 */
	bool allow_private;     /* may a request be sent to addresses that are not public? */
	bool is_on;             /* off: only the proof of a wildcard is looked for */
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

/* R_OK: go ahead, by one of these methods, which are what CAA records allow (RFC 8657). R_ERROR: *failure
 * says why not. R_LOST, R_DOWN: the job, the database. */
enum result preflight_check(struct preflight *preflight, const struct preflight_asker *asker,
    bool methods[ACME_CHALLENGE_TYPES], struct acme_failure *failure, struct error *error);
/* The methods alone, for an order that is placed already: all of them where nothing can be found out. */
void preflight_find_methods(
    struct preflight *preflight, const struct preflight_asker *asker, bool methods[ACME_CHALLENGE_TYPES]);

#endif
