/*
 * The one combined status of a domain: what its owner should read first. Pure: out of the claim's state, its
 * certificate's, and the last verdicts.
 */
#ifndef VERIFIER_DIAGNOSE_DOMAIN_STATE_H
#define VERIFIER_DIAGNOSE_DOMAIN_STATE_H

#include <jansson.h>

#include "verifier/claim/domain.h"

struct domain_state {
	const char *code;  /* live, action_needed, waiting, could_not_check, suspended, failed */
	const char *title; /* a few words; may point into the verdicts */
	const char *who;   /* customer, operator, dns_provider, nobody */
};

/* `verdicts` as they are stored; NULL: none. */
struct domain_state domain_state(const struct domain_view *view, const json_t *verdicts);

#endif
