/*
 * The claim that a request is about, with the database connection that it is read by.
 */
#ifndef VERIFIER_API_API_CLAIM_H
#define VERIFIER_API_API_CLAIM_H

#include "verifier/api/api_call.h"
#include "verifier/claim/domain.h"

struct api_claim {
	struct pg *pg;
	PGresult *rows;
	struct domain_view view;
	struct hostname name;
	bool in_transaction;
	struct error error;
};

/* The address's NAME and ?tenant=, within the scope. `lock`: in a transaction that api_claim_commit ends. To
 * be closed also after false, when a problem was replied. */
bool api_claim_open(struct api_claim *claim, struct api_call *call, bool lock);
/* The same with what is known already: on the connection that is open, or on a new one. */
bool api_claim_find(struct api_claim *claim, struct api_call *call, const char *tenant, const char *name);
/* Ends what began with `lock`, if all went well. */
enum result api_claim_commit(struct api_claim *claim, enum result result);
/* Gives the connection back; what was not committed is undone. */
void api_claim_close(struct api_claim *claim, struct api_call *call);

#endif
