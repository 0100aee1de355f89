#include "verifier/api/api_numbered.h"

#include "verifier/http/problem.h"

void api_numbered_unknown(struct api_call *call, const char *noun)
{
	problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "not_found", NULL, "There is no such %s.", noun);
}

struct pg *api_numbered_begin(struct api_call *call, const struct api_numbered *kind, int64_t *id)
{
	return api_call_id(call, kind->noun, id) ? api_call_database(call) : NULL;
}

json_t *api_numbered_find(struct api_call *call, struct pg *pg, const struct api_numbered *kind, int64_t id)
{
	struct error error = {""};
	PGresult *rows = NULL;
	json_t *json = NULL;

	if (kind->show(pg, &call->scope, id, &rows, &error) != R_OK)
		problem_reply_down(call->reply, &error);
	else if (PQntuples(rows) == 0)
		api_numbered_unknown(call, kind->noun);
	else
		json = kind->json(rows, 0);
	PQclear(rows);
	return json;
}

void api_numbered_list(struct api_call *call, const struct api_numbered *kind)
{
	int limit = 0;
	int64_t place = 0;
	const char *tenant = NULL;
	struct error error = {""};
	PGresult *rows = NULL;

	if (!api_call_tenant(call, &tenant) || !api_call_limit(call, &limit) || !api_call_place(call, &place))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	if (kind->list(pg, &call->scope, tenant, place, limit + 1, &rows, &error) == R_OK)
		api_call_show(call, api_page_json(kind->page, rows, limit, kind->json));
	else
		problem_reply_down(call->reply, &error);
	PQclear(rows);
	pg_pool_give(call->pool, pg);
}

void api_numbered_show(struct api_call *call, const struct api_numbered *kind)
{
	int64_t id = 0;
	struct pg *pg = api_numbered_begin(call, kind, &id);

	if (!pg)
		return;
	json_t *json = api_numbered_find(call, pg, kind, id);
	if (json)
		api_call_show(call, json);
	pg_pool_give(call->pool, pg);
}

void api_numbered_end(struct api_call *call, const struct api_numbered *kind)
{
	int64_t id = 0;
	struct error error = {""};
	struct pg *pg = api_numbered_begin(call, kind, &id);

	if (!pg)
		return;
	enum result result = kind->end(pg, &call->scope, id, &error);
	if (result == R_OK)
		call->reply->status = MHD_HTTP_NO_CONTENT;
	else if (result == R_NONE)
		api_numbered_unknown(call, kind->noun);
	else
		problem_reply_down(call->reply, &error);
	pg_pool_give(call->pool, pg);
}
