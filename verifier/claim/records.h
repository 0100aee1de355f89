/*
 * The DNS records a customer must publish for a domain, out of its name, tenant and token.
 */
#ifndef VERIFIER_CLAIM_RECORDS_H
#define VERIFIER_CLAIM_RECORDS_H

#include "verifier/config.h"

enum { RECORDS_MAX = 1 + OUR_ADDRESSES_MAX, RECORDS_VALUE = 1024 };

struct record {
	const char *type; /* "TXT", "CNAME", "A", "AAAA" */
	char name[HOSTNAME_MAX + 1];
	char value[RECORDS_VALUE];
	const char *note;    /* NULL, or a sentence for the customer */
	const char *purpose; /* "ownership", "routing", "issuance" */
};

/* The label of a claim's TXT record; `own` is its own, NULL or "" where it has the setting's. */
const char *records_label(const struct config *config, const char *own);
/* True where <label>.<name> still is a host name DNS can hold. */
bool records_fit(const char *label, const char *name);
/* The TXT record alone. */
void records_txt(const struct config *config, const char *label, const char *name, const char *token,
    struct record *record);
/* The first is the TXT record. An apex gets A and AAAA records in place of the CNAME, where apex-addresses
 * are set. */
size_t records_of(const struct config *config, const char *label, const char *name, const char *tenant,
    const char *token, struct record records[RECORDS_MAX]);

/* The lasting record by which a CA issues wherever the name leads (dns-persist-01). `proof` is what it says:
 * the CA's name and our account there. False: the name has no room for it. */
bool records_lasting(const char *proof, const char *name, struct record *record);

#endif
