/*
 * Does what DNS said prove that the domain is the tenant's? A pure decision: strings found against the one
 * expected.
 */
#ifndef VERIFIER_CLAIM_TXT_CHECK_H
#define VERIFIER_CLAIM_TXT_CHECK_H

#include "common/dns/resolver.h"
#include "verifier/claim/records.h"

enum txt_outcome {
	TXT_VERIFIED,
	TXT_ABSENT,    /* there is no TXT record */
	TXT_MISMATCH,  /* there are some, none of them is ours */
	TXT_TEMPORARY, /* could not be found out: never changes a state */
	TXT_BOGUS,     /* DNSSEC says that the answer was tampered with: never changes a state */
};

/* The words of domain_checks.outcome. */
const char *txt_outcome_name(enum txt_outcome outcome);
/* One record's whole string, joined, must equal the expected value, byte for byte. */
enum txt_outcome txt_check(const struct resolver_answer *answer, const char *expected);
/* What it means, and the mend, in a sentence or two. */
void txt_check_explain(enum txt_outcome outcome, const struct resolver_answer *answer,
    const struct record *wanted, char *text, size_t size);

/* Bytes as in a zone file: printable ASCII stays, all else is \ddd. Cut where `size` ends. */
void txt_value_text(const struct resolver_value *value, char *text, size_t size);

#endif
