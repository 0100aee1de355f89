/*
 * What was seen of a domain's DNS, beside what is wanted, into verdicts. Pure decisions: no look-up, no
 * clock, no database.
 */
#ifndef VERIFIER_DIAGNOSE_JUDGE_H
#define VERIFIER_DIAGNOSE_JUDGE_H

#include "common/dns/routing_check.h"
#include "verifier/claim/records.h"
#include "verifier/claim/txt_check.h"
#include "verifier/diagnose/dns_look.h"
#include "verifier/diagnose/verdict.h"

enum { JUDGE_CAS_MAX = 4, JUDGE_IDENTITIES_MAX = 8, JUDGE_URL_MAX = 512 };

/* A CA that may issue for us. */
struct judge_ca {
	size_t identity_count;
	char identities[JUDGE_IDENTITIES_MAX][HOSTNAME_MAX + 1]; /* the foremost first */
	char account_url[JUDGE_URL_MAX];
};

struct judge_case {
	const char *name, *label, *saas_root;
	const struct record *records; /* wanted; the first is the TXT record */
	size_t record_count;
	/* The ordinary check. */
	const struct resolver_answer *txt;
	const struct routing_facts *routing;
	bool is_owned_by_another; /* whose own record is in place */
	/* The thorough look; NULL: there was none. */
	const struct dns_look *look;
	const struct judge_ca *cas; /* none: CAA is not judged */
	size_t ca_count;
};

/* In the order in which a person should read them: the zone, ownership, routing, certificate. */
void judge(const struct judge_case *facts, struct verdicts *out);

/* Its parts. */
void judge_zone(const struct judge_case *facts, struct verdicts *out);
void judge_ownership(const struct judge_case *facts, struct verdicts *out);
void judge_routing(const struct judge_case *facts, struct verdicts *out);
void judge_certificate(const struct judge_case *facts, struct verdicts *out);

#endif
