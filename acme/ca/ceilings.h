/*
 * The ceilings of a CA's quota: how many orders, certificates and failures it allows, as the operator says or
 * as is known of it. Pure; budget.h keeps the ledger against them.
 */
#ifndef ACME_CEILINGS_H
#define ACME_CEILINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/result.h"

enum budget_ceiling {
	BUDGET_ACCOUNTS, /* new accounts */
	BUDGET_ORDERS,   /* new orders of the account */
	BUDGET_DOMAIN,   /* certificates of a registrable domain */
	BUDGET_EXACT,    /* certificates of exactly the same name */
	BUDGET_FAILURES, /* failed validations of a name */
	BUDGET_REQUESTS, /* requests of any kind from one address: no ledger, ca.c keeps this pace by itself
			  */
	BUDGET_CEILINGS
};

/* So many in such a time, as a bucket that refills steadily. count 0: not known, or none. */
struct ceiling {
	int64_t count;
	int64_t period_s;
};

struct ceilings {
	struct ceiling rules[BUDGET_CEILINGS];
};

/* What the operator said, by ceiling; for the others what is known of the CA holds. */
struct ceilings_settings {
	struct ceiling rules[BUDGET_CEILINGS];
	bool is_set[BUDGET_CEILINGS];
};

/* As the ledger's rows have it. */
const char *ceiling_name(enum budget_ceiling ceiling);
/* "300/3h"; "0": no ceiling. */
enum result ceiling_parse(struct ceiling *out, const char *text, struct error *error);
/* For the CA at this URL: the settings, and where they say nothing what is known: Let's Encrypt's ceilings,
 * and nothing of others. Certificates of a registrable domain stay below the CA's ceiling, which all accounts
 * share. */
void ceilings_of_directory(
    struct ceilings *out, const struct ceilings_settings *settings, const char *directory);

#endif
