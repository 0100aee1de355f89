/*
 * The API's audit trail: who did what, when, from where; newest first.
 */
#include "verifier/access/tenant.h"
#include "verifier/api/api_handlers.h"
#include "verifier/http/problem.h"

static json_t *event_json(const PGresult *rows, int row)
{
	static const char *const columns[] = {"at", "tenant", "name", "event", "actor", "remote", "detail"};
	json_t *event = json_pack("{s:I}", "id", (json_int_t)pg_get_int(rows, row, 0));
	for (int i = 0; i < (int)(sizeof columns / sizeof *columns); i++)
		api_set_text(event, columns[i], pg_get(rows, row, 1 + i));
	return event;
}

static bool read_filter(struct api_call *call, struct event_filter *filter, struct hostname *name, int *limit)
{
	static const char *const events[] = {"added", "imported", "deleted", "released", "verified",
	    "drifted", "recovered", "suspended", "resumed", "taken_over", "options_changed", "renewal_forced",
	    "certificate_uploaded", "certificate_removed", "certificate_expiring", "certificate_expired",
	    "tenant_created", "tenant_changed", "token_created", "token_revoked", "webhook_created",
	    "webhook_changed", "webhook_removed", "webhook_secret_rotated", "webhook_disabled",
	    "portal_link_created", "portal_link_revoked", "portal_opened", NULL};
	const char *text = mhd_request_query(call->request, "name");
	*filter = (struct event_filter){.tenant = NULL};
	if (!api_call_tenant(call, &filter->tenant) || !api_call_limit(call, limit) ||
	    !api_call_place(call, &filter->before) ||
	    !api_call_choice(call, "event", events, &filter->event) ||
	    (text && !api_call_name(call, text, name)))
		return false;
	filter->name = text ? name->text : NULL;
	return true;
}

void api_events_list(struct api_call *call)
{
	int limit = 0;
	struct event_filter filter;
	struct hostname name;
	struct error error = {""};
	PGresult *rows = NULL;
	if (!read_filter(call, &filter, &name, &limit))
		return;
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	if (tenant_events(pg, &call->scope, &filter, limit + 1, &rows, &error) == R_OK)
		api_call_show(call, api_page_json("events", rows, limit, event_json));
	else
		problem_reply_down(call->reply, &error);
	PQclear(rows);
	pg_pool_give(call->pool, pg);
}
