/*
 * How claims are kept to their proof: what the operator's settings say about re-verification, suspension,
 * quarantine and quotas.
 */
#ifndef VERIFIER_CLAIM_CLAIM_RULES_H
#define VERIFIER_CLAIM_CLAIM_RULES_H

#include <stdbool.h>
#include <stdint.h>

struct claim_rules {
	bool pre_issue;
	int64_t reverify_s;   /* between two looks at a name that is well; 0: none */
	int64_t suspend_s;    /* TXT and routing gone for so long; 0: never suspended */
	int64_t quarantine_s; /* after a release a token from before proves nothing */
	int quota;            /* claims of a tenant; below 0: any number */
	int verifications;    /* of a tenant in an hour; below 0: any number */
};

#endif
