#include "verifier/access/scope.h"

#include <stdlib.h>
#include <string.h>

enum result scope_query(struct pg *pg, const struct scope *scope, PGresult **out, struct error *error,
    const char *sql, const struct pg_param *params, int count)
{
	struct pg_param all[SCOPE_PARAMS] = {pg_text(scope->tenant)};
	if (count >= SCOPE_PARAMS || !strstr(sql, SCOPE_TENANT))
		abort();
	if (count)
		memcpy(all + 1, params, (size_t)count * sizeof *params);
	return pg_query(pg, SCOPE_QUERY_MS, out, error, sql, all, count + 1);
}

bool scope_holds(const struct scope *scope, const char *tenant)
{
	return !scope->tenant || strcmp(scope->tenant, tenant) == 0;
}
