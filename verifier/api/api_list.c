/*
 * The API's list of domains, page by page. A page's `next` holds the place of its last claim, from where the
 * page after it goes on, whatever was added or removed in between.
 */
#include <stdlib.h>
#include <string.h>

#include "verifier/api/api_call.h"
#include "verifier/api/domain_json.h"
#include "verifier/claim/domain.h"
#include "verifier/http/problem.h"

enum { LIMIT_DEFAULT = 100, ID_DIGITS = 18, CURSOR_MAX = HOSTNAME_MAX + 1 + TENANT_MAX + 1 + ID_DIGITS };

struct page {
	const char *tenant, *status;
	char text[CURSOR_MAX + 1]; /* the cursor, cut at its slashes */
	struct domain_place after;
	int limit;
};

static bool is_status(const char *text)
{
	static const char *const all[] = {"pending", "active", "drifted", "suspended", "released"};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (strcmp(text, all[i]) == 0)
			return true;
	return false;
}

static bool read_status(struct api_call *call, const char **status)
{
	*status = mhd_request_query(call->request, "status");
	if (!*status || is_status(*status))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_status", "status",
	    "status: must be pending, active, drifted, suspended or released.");
	return false;
}

static bool read_limit(struct api_call *call, int *limit)
{
	const char *text = mhd_request_query(call->request, "limit");
	char *end = NULL;
	long number = text ? strtol(text, &end, 10) : LIMIT_DEFAULT;
	*limit = (int)number;
	if (!text || (*text && !*end && number >= 1 && number <= DOMAIN_PAGE_MAX))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_limit", "limit",
	    "limit: must be a number from 1 to %d.", DOMAIN_PAGE_MAX);
	return false;
}

/* NAME/TENANT/ID. Strict: bytes that no name has would be an error of the database. */
static bool parse_cursor(struct page *page, const char *cursor)
{
	if (strlen(cursor) > CURSOR_MAX)
		return false;
	char *rest = strcpy(page->text, cursor);
	page->after.name = strsep(&rest, "/");
	page->after.tenant = strsep(&rest, "/");
	if (!rest || !page->after.name[strspn(page->after.name, "-.")])
		return false;
	size_t digits = strspn(rest, "0123456789");
	page->after.id = strtoll(rest, NULL, 10);
	return digits >= 1 && digits <= ID_DIGITS && !rest[digits] && config_is_tenant(page->after.tenant) &&
	       !page->after.name[strspn(page->after.name, "abcdefghijklmnopqrstuvwxyz0123456789-.")];
}

static bool read_cursor(struct api_call *call, struct page *page)
{
	const char *cursor = mhd_request_query(call->request, "cursor");
	if (!cursor || parse_cursor(page, cursor))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_cursor", "cursor",
	    "cursor: must be the `next` of an earlier answer.");
	return false;
}

static bool read_page(struct api_call *call, struct page *page)
{
	static const char *const parameters[] = {"tenant", "status", "limit", "cursor", NULL};
	*page = (struct page){.after = {.name = "", .tenant = ""}};
	return api_call_query(call, parameters) && api_call_tenant(call, &page->tenant) &&
	       read_limit(call, &page->limit) && read_status(call, &page->status) && read_cursor(call, page);
}

/* `rows` may hold one more than the page, which says that there is a next one. */
static json_t *page_json(const struct config *config, const PGresult *rows, int limit)
{
	json_t *list = json_array(), *next = json_null();
	struct domain_view view;
	int count = PQntuples(rows);
	for (int i = 0; i < count && i < limit; i++) {
		domain_view_read(rows, i, &view);
		json_array_append_new(list, domain_json(config, &view));
	}
	if (count > limit)
		next = json_sprintf("%s/%s/%lld", view.name, view.tenant, (long long)view.id);
	return json_pack("{s:o, s:o}", "domains", list, "next", next);
}

void api_domains_list(struct api_call *call)
{
	struct page page;
	struct error error = {""};
	if (!read_page(call, &page))
		return;
	PGresult *rows = NULL;
	struct pg *pg = pg_pool_take(call->pool, &error);
	enum result result = R_DOWN;
	if (pg)
		result =
		    domain_list(pg, page.tenant, page.status, &page.after, page.limit + 1, &rows, &error);
	if (result == R_OK)
		api_call_json(call, MHD_HTTP_OK, page_json(call->config, rows, page.limit));
	else
		problem_reply_down(call->reply, &error);
	PQclear(rows);
	if (pg)
		pg_pool_give(call->pool, pg);
}
