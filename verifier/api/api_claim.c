#include "verifier/api/api_claim.h"

#include <string.h>

#include "verifier/http/problem.h"

static bool pick(struct api_claim *claim, struct api_call *call, const char *tenant, const char *name)
{
	int count = PQntuples(claim->rows);
	for (int i = 0; i < count; i++) {
		domain_view_read(claim->rows, i, &claim->view);
		if (count == 1 || strcmp(claim->view.tenant, API_DEFAULT_TENANT) == 0)
			return true;
	}
	if (count)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "several_claims", "tenant",
		    "Several tenants have added %s: say which one is meant with ?tenant=.", name);
	else
		problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "no_such_domain", NULL,
		    "%s has not been added%s%s.", name, tenant ? " by the tenant " : "",
		    tenant ? tenant : "");
	return false;
}

/* Which of several claims is meant: ?tenant='s, else the default tenant's, else the only one. */
static bool find(struct api_claim *claim, struct api_call *call, const char *tenant, const char *name)
{
	PGresult *old = claim->rows; /* may hold what `tenant` points to */
	claim->rows = NULL;
	bool found = false;
	if (domain_find(claim->pg, &call->scope, tenant, name, claim->in_transaction, &claim->rows,
		&claim->error) == R_OK)
		found = pick(claim, call, tenant, name);
	else
		problem_reply_down(call->reply, &claim->error);
	PQclear(old);
	return found;
}

static bool begin(struct api_claim *claim, struct api_call *call)
{
	claim->in_transaction =
	    pg_query(claim->pg, SCOPE_QUERY_MS, NULL, &claim->error, "BEGIN", NULL, 0) == R_OK;
	if (!claim->in_transaction)
		problem_reply_down(call->reply, &claim->error);
	return claim->in_transaction;
}

bool api_claim_find(struct api_claim *claim, struct api_call *call, const char *tenant, const char *name)
{
	if (!claim->pg)
		claim->pg = api_call_database(call);
	return claim->pg && find(claim, call, tenant, name);
}

bool api_claim_open(struct api_claim *claim, struct api_call *call, bool lock)
{
	const char *tenant = NULL;
	*claim = (struct api_claim){.pg = NULL};
	if (!api_call_name(call, call->values[0], &claim->name) || !api_call_tenant(call, &tenant))
		return false;
	claim->pg = api_call_database(call);
	if (!claim->pg || (lock && !begin(claim, call)))
		return false;
	return find(claim, call, tenant, claim->name.text);
}

enum result api_claim_commit(struct api_claim *claim, enum result result)
{
	if (result != R_OK)
		return result;
	claim->in_transaction = false;
	return pg_query(claim->pg, SCOPE_QUERY_MS, NULL, &claim->error, "COMMIT", NULL, 0);
}

void api_claim_close(struct api_claim *claim, struct api_call *call)
{
	PQclear(claim->rows);
	claim->rows = NULL;
	if (claim->in_transaction)
		pg_rollback(claim->pg);
	claim->in_transaction = false;
	if (claim->pg)
		pg_pool_give(call->pool, claim->pg);
	claim->pg = NULL;
}
