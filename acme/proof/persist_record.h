/*
 * The customer's lasting TXT record of dns-persist-01 (draft-ietf-acme-dns-persist): what it must say, and
 * whether what DNS shows says it. Pure.
 */
#ifndef ACME_PERSIST_RECORD_H
#define ACME_PERSIST_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "acme/ca/acme_msg.h"
#include "common/dns/resolver.h"

#define PERSIST_RECORD_PREFIX "_validation-persist."

/* HOSTNAME_MAX holds it where the name leaves room; R_INVALID: it does not. */
enum result persist_record_name(char out[HOSTNAME_MAX + 1], const char *name);

enum persist_standing {
	PERSIST_ABSENT,
	PERSIST_GOOD,
	PERSIST_EXPIRED, /* persistUntil has passed */
	PERSIST_FOREIGN, /* there are records, but of another issuer or account, or they are malformed */
	PERSIST_UNKNOWN, /* could not be looked up */
};

struct persist_record {
	enum persist_standing standing;
	int64_t until; /* seconds since 1970; 0: no end. Of the best record, also of one that has expired */
	bool is_wildcard;
};

/* The best of the records, for one of these issuers and this account; `now` in seconds since 1970. `issuers`
 * NULL: whichever it names. */
struct persist_record persist_record_judge(const struct resolver_answer *answer,
    const struct acme_issuer_names *issuers, const char *account_url, bool needs_wildcard, int64_t now);

#endif
