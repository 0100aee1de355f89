/*
 * The API's tenants: their titles and quotas.
 */
#include <stdlib.h>
#include <string.h>

#include "verifier/access/tenant.h"
#include "verifier/api/api_handlers.h"
#include "verifier/http/problem.h"

enum { QUOTA_MAX = 1000000000 };

static json_t *tenant_json(const PGresult *rows, int row)
{
	json_t *tenant = json_object();
	api_set_text(tenant, "id", pg_get(rows, row, 0));
	api_set_text(tenant, "title", pg_get(rows, row, 1));
	api_set_number(tenant, "max_domains", pg_get(rows, row, 2));
	api_set_number(tenant, "verifications_per_hour", pg_get(rows, row, 3));
	api_set_text(tenant, "created_at", pg_get(rows, row, 4));
	api_set_number(tenant, "domains", pg_get(rows, row, 5));
	return tenant;
}

static bool read_after(struct api_call *call, const char **after)
{
	*after = mhd_request_query(call->request, "cursor");
	if (!*after)
		*after = "";
	if (!**after || config_is_tenant(*after))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_cursor", "cursor",
	    "cursor: must be the `next` of an earlier answer.");
	return false;
}

void api_tenants_list(struct api_call *call)
{
	int limit = 0;
	const char *after = NULL;
	struct error error = {""};
	PGresult *rows = NULL;
	if (!api_call_limit(call, &limit) || !read_after(call, &after))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	if (tenant_list(pg, &call->scope, NULL, after, limit + 1, &rows, &error) == R_OK)
		api_call_show(call, api_page_json("tenants", rows, limit, tenant_json));
	else
		problem_reply_down(call->reply, &error);
	PQclear(rows);
	pg_pool_give(call->pool, pg);
}

/* One tenant, NULL after a problem was replied. */
static json_t *find(struct api_call *call, struct pg *pg, const char *id)
{
	struct error error = {""};
	PGresult *rows = NULL;
	json_t *tenant = NULL;
	if (tenant_list(pg, &call->scope, id, "", 1, &rows, &error) != R_OK)
		problem_reply_down(call->reply, &error);
	else if (PQntuples(rows) == 0)
		problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "no_such_tenant", NULL,
		    "There is no tenant %s: make it with POST /v1/tenants.", id);
	else
		tenant = tenant_json(rows, 0);
	PQclear(rows);
	return tenant;
}

void api_tenants_show(struct api_call *call)
{
	if (!api_call_is_tenant(call, call->values[0]))
		return;
	struct pg *pg = api_call_database(call);
	json_t *tenant = pg ? find(call, pg, call->values[0]) : NULL;
	if (tenant)
		api_call_show(call, tenant);
	if (pg)
		pg_pool_give(call->pool, pg);
}

struct numbers {
	char max_domains[24], verifications[24];
};

static const char *set(const char *text)
{
	return *text ? text : NULL;
}

static bool read_values(struct api_call *call, struct tenant_change *values, struct numbers *numbers)
{
	if (!api_call_text(call, "title", TENANT_TITLE_MAX, &values->title) ||
	    !api_call_number(
		call, "max_domains", QUOTA_MAX, numbers->max_domains, &values->clears_max_domains) ||
	    !api_call_number(call, "verifications_per_hour", QUOTA_MAX, numbers->verifications,
		&values->clears_verifications))
		return false;
	values->clears_title = json_is_null(json_object_get(call->body, "title"));
	values->max_domains = set(numbers->max_domains);
	values->verifications_per_hour = set(numbers->verifications);
	return true;
}

static void reply_created(struct api_call *call, struct pg *pg, const char *id)
{
	json_t *tenant = find(call, pg, id);
	if (!tenant)
		return;
	api_call_json(call, MHD_HTTP_CREATED, tenant);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/tenants/%s", id);
}

static void create(struct api_call *call, struct pg *pg, const char *id, const struct tenant_change *values)
{
	struct error error = {""};
	enum result result = tenant_create(pg, &call->scope, id, values, &error);
	if (result == R_NONE)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "tenant_exists", "id",
		    "id: there is a tenant %s already: change it with PATCH /v1/tenants/%s.", id, id);
	else if (result != R_OK)
		problem_reply_down(call->reply, &error);
	else
		reply_created(call, pg, id);
}

void api_tenants_create(struct api_call *call)
{
	struct tenant_change values = {.title = NULL};
	struct numbers numbers;
	const char *id = json_string_value(json_object_get(call->body, "id"));
	if (!id) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "missing_id", "id",
		    "id: is missing or no string: send {\"id\": \"brand-7\"}.");
		return;
	}
	if (!api_call_is_tenant(call, id) || !read_values(call, &values, &numbers))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	create(call, pg, id, &values);
	pg_pool_give(call->pool, pg);
}

static enum result lock(struct api_call *call, struct pg *pg, struct error *error)
{
	enum result result = pg_query(pg, SCOPE_QUERY_MS, NULL, error, "BEGIN", NULL, 0);
	return result == R_OK ? tenant_lock(pg, &call->scope, call->values[0], error) : result;
}

/* The row is locked from the comparison with If-Match to the change. */
static void change(struct api_call *call, struct pg *pg, const struct tenant_change *values)
{
	struct error error = {""};
	enum result result = lock(call, pg, &error);
	json_t *now = result == R_OK ? find(call, pg, call->values[0]) : NULL, *then = NULL;
	if (now && api_call_if_match(call, now)) {
		result = tenant_change(pg, &call->scope, call->values[0], values, &error);
		then = result == R_OK ? find(call, pg, call->values[0]) : NULL;
	}
	if (then)
		result = pg_query(pg, SCOPE_QUERY_MS, NULL, &error, "COMMIT", NULL, 0);
	if (result != R_OK)
		problem_reply_down(call->reply, &error);
	else if (then)
		api_call_show(call, json_incref(then));
	json_decref(now);
	json_decref(then);
}

void api_tenants_change(struct api_call *call)
{
	struct tenant_change values = {.title = NULL};
	struct numbers numbers;
	if (!api_call_is_tenant(call, call->values[0]) || !read_values(call, &values, &numbers))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	change(call, pg, &values);
	pg_rollback(pg);
	pg_pool_give(call->pool, pg);
}
