/*
 * The operator's first look: what there is, what fails, what waits, who is alive.
 */
#include "common/explain/overview.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/api_rows.h"
#include "verifier/http/problem.h"

/* {status: count} */
static json_t *counts_json(const PGresult *rows)
{
	json_t *counts = json_object();
	for (int row = 0; row < PQntuples(rows); row++)
		api_set_number(counts, pg_get(rows, row, 0), pg_get(rows, row, 1));
	return counts;
}

static const struct {
	const char *field;
	const char *sql;
	json_t *(*json)(const PGresult *rows);
} parts[] = {
    {"domains", overview_domains_sql, counts_json},
    {"failures", overview_failures_sql, api_rows_json},
    {"budget", overview_budget_sql, api_rows_json},
    {"waiting", overview_waiting_sql, api_rows_json},
    {"renewals", overview_renewals_sql, api_rows_json},
    {"nodes", overview_nodes_sql, api_rows_json},
};

static enum result gather(struct api_call *call, struct pg *pg, json_t *overview, struct error *error)
{
	enum result result = R_OK;
	for (size_t i = 0; i < sizeof parts / sizeof *parts && result == R_OK; i++) {
		PGresult *rows = NULL;
		result = scope_query(pg, &call->scope, &rows, error, parts[i].sql, NULL, 0);
		if (result == R_OK)
			json_object_set_new(overview, parts[i].field, parts[i].json(rows));
		PQclear(rows);
	}
	return result;
}

void api_overview_show(struct api_call *call)
{
	struct error error = {""};
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	json_t *overview = json_object();
	if (gather(call, pg, overview, &error) == R_OK)
		api_call_show(call, json_incref(overview));
	else
		problem_reply_down(call->reply, &error);
	json_decref(overview);
	pg_pool_give(call->pool, pg);
}
