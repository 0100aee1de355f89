/*
 * May this name be added, and whose kind of name is it? Decided from its text and the settings alone; a
 * refusal says why, in words for the customer.
 */
#ifndef VERIFIER_CLAIM_NAME_RULES_H
#define VERIFIER_CLAIM_NAME_RULES_H

#include "verifier/config.h"

enum name_kind {
	NAME_CUSTOMER,
	NAME_PLATFORM, /* under saas-root, public-url's host, the CNAME target: the operator's alone */
	NAME_REFUSED,
};

struct name_verdict {
	struct hostname name;
	const char *code; /* for programs, where it was refused */
	char detail[600];
};

/* `label` is that of the TXT record. A wildcard may only be the platform's. */
enum name_kind name_rules_judge(
    const struct config *config, const char *text, const char *label, struct name_verdict *out);
/* The name in an address: parsed only. False: refused. */
bool name_rules_read(const char *text, struct name_verdict *out);

#endif
