/*
 * The API's list of domains, page by page. A page's `next` holds the place of its last claim, from where the
 * page after it goes on, whatever was added or removed in between.
 */
#include <stdlib.h>
#include <string.h>

#include "verifier/api/api_handlers.h"
#include "verifier/api/domain_json.h"
#include "verifier/claim/domain.h"
#include "verifier/http/problem.h"

enum { ID_DIGITS = 18, CURSOR_MAX = HOSTNAME_MAX + 1 + TENANT_MAX + 1 + ID_DIGITS };

struct page {
	struct domain_filter filter;
	struct hostname within;
	struct name_search search;
	char text[CURSOR_MAX + 1]; /* the cursor, cut at its slashes */
	struct domain_place after;
	int limit;
};

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
	       !page->after.name[strspn(page->after.name, "abcdefghijklmnopqrstuvwxyz0123456789-.*_")];
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

/* Names that end with this one: a customer's whole domain. */
static bool read_within(struct api_call *call, struct page *page)
{
	const char *text = mhd_request_query(call->request, "within");
	if (!text)
		return true;
	if (!api_call_name(call, text, &page->within))
		return false;
	page->filter.within = page->within.text;
	return true;
}

static bool read_search(struct api_call *call, struct page *page)
{
	const char *text = mhd_request_query(call->request, "search");
	page->filter.search = text ? &page->search : NULL;
	if (!text || name_search_read(&page->search, text))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_search", "search",
	    "search: must be a part of a host name, from the beginning of a word on: letters, digits, "
	    "hyphens "
	    "and dots, at most %d.",
	    HOSTNAME_MAX);
	return false;
}

static bool read_page(struct api_call *call, struct page *page)
{
	static const char *const statuses[] = {"pending", "active", "drifted", "suspended", "released", NULL};
	static const char *const certificates[] = {"none", "issuing", "issued", "failed", NULL};
	*page = (struct page){.after = {.name = "", .tenant = ""}};
	return api_call_tenant(call, &page->filter.tenant) && api_call_limit(call, &page->limit) &&
	       api_call_choice(call, "status", statuses, &page->filter.status) &&
	       api_call_choice(call, "certificate", certificates, &page->filter.certificate) &&
	       read_within(call, page) && read_search(call, page) && read_cursor(call, page);
}

/* `rows` may hold one more than the page, which says that there is a next one. */
static json_t *page_json(const struct config *config, const PGresult *rows, int limit)
{
	json_t *list = json_array(), *next = json_null();
	struct domain_view view;
	int count = PQntuples(rows);
	for (int i = 0; i < count && i < limit; i++) {
		domain_view_read(rows, i, &view);
		json_array_append_new(list, domain_json_short(config, &view));
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
		    domain_list(pg, &call->scope, &page.filter, &page.after, page.limit + 1, &rows, &error);
	if (result == R_OK)
		api_call_show(call, page_json(call->config, rows, page.limit));
	else
		problem_reply_down(call->reply, &error);
	PQclear(rows);
	if (pg)
		pg_pool_give(call->pool, pg);
}
