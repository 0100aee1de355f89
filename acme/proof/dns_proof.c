#include "acme/proof/dns_proof.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/domain/delegation.h"

struct persist_record dns_proof_judge_persist(const char *name, const struct resolver_answer *answer,
    const struct acme_issuer_names *issuers, const char *account_url)
{
	return persist_record_judge(
	    answer, issuers, account_url, hostname_is_wildcard(name), clock_wall_ms() / 1000);
}

struct persist_record dns_proof_look_persist(
    struct lookup *lookup, const char *name, const struct acme_issuer_names *issuers, const char *account_url)
{
	char record_name[HOSTNAME_MAX + 1];
	struct resolver_answer answer;
	if (persist_record_name(record_name, name) != R_OK)
		return (struct persist_record){.standing = PERSIST_UNKNOWN};
	const struct resolver_question question = {record_name, RESOLVER_TXT};
	if (lookup_ask(lookup, hostname_base(name), &question, 1, &answer) != R_OK)
		return (struct persist_record){.standing = PERSIST_UNKNOWN};
	struct persist_record record = dns_proof_judge_persist(name, &answer, issuers, account_url);
	resolver_answer_free(&answer);
	return record;
}

bool dns_proof_delegation_name(char out[HOSTNAME_MAX + 1], const char *name)
{
	return snprintf(out, HOSTNAME_MAX + 1, DELEGATION_PREFIX "%s", hostname_base(name)) <= HOSTNAME_MAX;
}

void dns_proof_delegation_target(char out[DNS_PROOF_TARGET_SIZE], const char *zone, const char *name)
{
	char label[DELEGATION_LABEL + 1];
	delegation_label(label, name);
	snprintf(out, DNS_PROOF_TARGET_SIZE, "%s.%s", label, zone);
}

bool dns_proof_is_target(const char *zone, const char *name, const struct resolver_answer *answer)
{
	char wanted[DNS_PROOF_TARGET_SIZE];
	dns_proof_delegation_target(wanted, zone, name);
	return answer->outcome == RESOLVER_FOUND && answer->count == 1 &&
	       answer->values[0].size == strlen(wanted) &&
	       memcmp(answer->values[0].bytes, wanted, strlen(wanted)) == 0;
}

bool dns_proof_persist_record_seen(
    void *arg, const char *name, const struct acme_issuer_names *issuers, const char *account_url)
{
	const struct dns_proof *proof = arg;
	return dns_proof_look_persist(proof->lookup, name, issuers, account_url).standing == PERSIST_GOOD;
}

bool dns_proof_is_delegated(void *arg, const char *name)
{
	const struct dns_proof *proof = arg;
	char place[HOSTNAME_MAX + 1];
	struct resolver_answer answer;
	if (!proof->zone || !dns_proof_delegation_name(place, name))
		return false;
	const struct resolver_question question = {place, RESOLVER_CNAME};
	if (lookup_ask(proof->lookup, hostname_base(name), &question, 1, &answer) != R_OK)
		return false;
	bool is_target = dns_proof_is_target(proof->zone, name, &answer);
	resolver_answer_free(&answer);
	return is_target;
}
