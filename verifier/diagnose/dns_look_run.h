/*
 * The thorough look itself: finds the zone and its name servers, asks each of them, and looks where records
 * may have landed by mistake. Blocks for LOOK_MS at most; any thread.
 */
#ifndef VERIFIER_DIAGNOSE_DNS_LOOK_RUN_H
#define VERIFIER_DIAGNOSE_DNS_LOOK_RUN_H

#include "verifier/diagnose/dns_look.h"
#include "verifier/diagnose/look_access.h"

enum { LOOK_MS = 4500 };

struct look_request {
	struct resolver *resolver;
	const struct look_access *access;
	const char *name;     /* the domain's */
	const char *txt_name; /* of its TXT record */
	const char *label;
	const char *target; /* where its CNAME should lead */
};

/* Never fails: what could not be found out is empty. Free with dns_look_free. */
struct dns_look *dns_look_run(const struct look_request *request);

#endif
