/*
 * The API's requests about domains: add, list, show, verify now, delete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "verifier/api_call.h"
#include "verifier/domain_check.h"
#include "verifier/domain_json.h"
#include "verifier/problem.h"
#include "verifier/records.h"

enum { LIMIT_DEFAULT = 100, CURSOR_MAX = HOSTNAME_MAX + 1 + CONFIG_TENANT_MAX };

#define DEFAULT_TENANT "default"

/* The database's part of a request: a connection for as long as statements run, and the claim they are about.
 */
struct work {
	struct pg *pg;
	PGresult *rows;
	struct domain_view view;
	struct error error;
};

static bool work_open(struct work *work, struct api_call *call)
{
	*work = (struct work){.pg = NULL};
	work->pg = pg_pool_take(call->pool, &work->error);
	if (!work->pg)
		problem_reply_down(call->reply, &work->error);
	return work->pg;
}

static void work_close(struct work *work, struct api_call *call)
{
	PQclear(work->rows);
	work->rows = NULL;
	if (work->pg)
		pg_pool_give(call->pool, work->pg);
	work->pg = NULL;
}

static bool is_under_saas_root(const char *name, const char *root)
{
	size_t name_size = strlen(name), root_size = strlen(root);
	if (name_size < root_size || strcmp(name + name_size - root_size, root) != 0)
		return false;
	return name_size == root_size || name[name_size - root_size - 1] == '.';
}

static bool read_name(struct api_call *call, const char *text, struct hostname *name)
{
	enum hostname_problem problem = hostname_parse(name, text, strlen(text));
	if (problem == HOSTNAME_OK)
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_name", "name", "name: \"%.260s\" %s", text,
	    hostname_problem_text(problem));
	return false;
}

static bool read_tenant(struct api_call *call, const char *tenant)
{
	if (config_is_tenant(tenant))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_tenant", "tenant",
	    "tenant: must be 1 to 63 of a-z 0-9 _ -, and begin with a letter or digit.");
	return false;
}

/* ?tenant=, or NULL where it is not given; false after a problem. */
static bool query_tenant(struct api_call *call, const char **tenant)
{
	*tenant = mhd_request_query(call->request, "tenant");
	return !*tenant || read_tenant(call, *tenant);
}

static bool may_be_added(struct api_call *call, const char *name)
{
	if (is_under_saas_root(name, call->config->saas_root.text)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "platform_name", "name",
		    "name: %s belongs to the platform itself (%s): add a domain of your own.", name,
		    call->config->saas_root.text);
		return false;
	}
	if (!records_fit(call->config, name)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_name", "name",
		    "name: is too long: with %s. before it, it must have %d bytes at most.",
		    call->config->txt_label, HOSTNAME_MAX);
		return false;
	}
	return true;
}

/* Which of several claims is meant: ?tenant='s, else the default tenant's, else the only one. */
static bool find_claim(struct work *work, struct api_call *call, const char *tenant, const char *name)
{
	if (domain_find(work->pg, tenant, name, &work->rows, &work->error) != R_OK) {
		problem_reply_down(call->reply, &work->error);
		return false;
	}
	int count = PQntuples(work->rows);
	for (int i = 0; i < count; i++) {
		domain_view_read(work->rows, i, &work->view);
		if (count == 1 || strcmp(work->view.tenant, DEFAULT_TENANT) == 0)
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

/* Parses NAME and ?tenant=, takes a connection and finds the claim; all that is to be closed even after
 * false. */
static bool open_claim(struct work *work, struct api_call *call, const char *text, struct hostname *name)
{
	const char *tenant = NULL;
	*work = (struct work){.pg = NULL};
	return read_name(call, text, name) && query_tenant(call, &tenant) && work_open(work, call) &&
	       find_claim(work, call, tenant, name->text);
}

static void add(struct api_call *call, const char *tenant, const char *name)
{
	struct work work;
	if (!work_open(&work, call))
		return;
	enum result result = domain_add(work.pg, tenant, name, call->actor, &work.error);
	if (result != R_OK && result != R_NONE)
		problem_reply_down(call->reply, &work.error);
	else if (find_claim(&work, call, tenant, name)) {
		if (result == R_OK)
			log_info("domain added", log_str("domain", name), log_str("tenant", tenant));
		api_call_json(call, result == R_OK ? MHD_HTTP_CREATED : MHD_HTTP_OK,
		    domain_json(call->config, &work.view));
		mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/domains/%s", name);
	}
	work_close(&work, call);
}

static void add_from(struct api_call *call, const json_t *body)
{
	struct hostname name;
	const json_t *tenant = json_object_get(body, "tenant");
	const char *text = json_string_value(json_object_get(body, "name"));
	const char *slug = tenant ? json_string_value(tenant) : DEFAULT_TENANT;
	if (!text)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "missing_name", "name",
		    "name: is missing or no string: send {\"name\": \"shop.example.com\"}.");
	else if (read_name(call, text, &name) && read_tenant(call, slug ? slug : "") &&
		 may_be_added(call, name.text))
		add(call, slug, name.text);
}

void api_domains_add(struct api_call *call)
{
	static const char *const fields[] = {"name", "tenant", NULL};
	json_t *body = api_call_body(call, fields);
	if (body)
		add_from(call, body);
	json_decref(body);
}

struct page {
	const char *tenant, *status;
	char after_name[CURSOR_MAX + 1];
	const char *after_tenant;
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

static bool read_page(struct api_call *call, struct page *page)
{
	*page = (struct page){.status = mhd_request_query(call->request, "status"), .after_tenant = ""};
	if (!query_tenant(call, &page->tenant) || !read_limit(call, &page->limit))
		return false;
	if (page->status && !is_status(page->status)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_status", "status",
		    "status: must be pending, active, drifted, suspended or released.");
		return false;
	}
	const char *cursor = mhd_request_query(call->request, "cursor");
	if (!cursor)
		return true;
	char *slash = strlen(cursor) <= CURSOR_MAX ? strchr(strcpy(page->after_name, cursor), '/') : NULL;
	if (!slash) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_cursor", "cursor",
		    "cursor: must be the `next` of an earlier answer.");
		return false;
	}
	*slash = '\0';
	page->after_tenant = slash + 1;
	return true;
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
		next = json_sprintf("%s/%s", view.name, view.tenant);
	return json_pack("{s:o, s:o}", "domains", list, "next", next);
}

void api_domains_list(struct api_call *call)
{
	struct page page;
	struct work work;
	if (!read_page(call, &page) || !work_open(&work, call))
		return;
	enum result result = domain_list(work.pg, page.tenant, page.status, page.after_name,
	    page.after_tenant, page.limit + 1, &work.rows, &work.error);
	if (result == R_OK)
		api_call_json(call, MHD_HTTP_OK, page_json(call->config, work.rows, page.limit));
	else
		problem_reply_down(call->reply, &work.error);
	work_close(&work, call);
}

void api_domains_show(struct api_call *call, const char *text)
{
	struct hostname name;
	struct work work;
	if (open_claim(&work, call, text, &name))
		api_call_json(call, MHD_HTTP_OK, domain_json(call->config, &work.view));
	work_close(&work, call);
}

void api_domains_remove(struct api_call *call, const char *text)
{
	struct hostname name;
	struct work work;
	if (open_claim(&work, call, text, &name)) {
		enum result result = domain_remove(work.pg, work.view.id, call->actor, &work.error);
		if (result == R_OK)
			log_info("domain removed", log_str("domain", name.text),
			    log_str("tenant", work.view.tenant));
		if (result == R_OK || result == R_NONE)
			call->reply->status = MHD_HTTP_NO_CONTENT;
		else
			problem_reply_down(call->reply, &work.error);
	}
	work_close(&work, call);
}

/* Takes the claim for a check and gives the connection back: none is held while DNS is asked. */
static bool claim_for_check(struct api_call *call, const char *text, struct domain_claim *claim)
{
	struct hostname name;
	struct work work;
	bool claimed = false;
	if (open_claim(&work, call, text, &name)) {
		enum result result = domain_claim(work.pg, work.view.id, claim, &work.error);
		claimed = result == R_OK;
		if (result == R_NONE)
			problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "no_such_domain", NULL,
			    "%s was deleted just now.", name.text);
		else if (!claimed)
			problem_reply_down(call->reply, &work.error);
	}
	work_close(&work, call);
	return claimed;
}

static void reply_checked(struct work *work, struct api_call *call, const struct domain_claim *claim,
    const struct domain_verdict *verdict)
{
	if (!find_claim(work, call, claim->tenant, claim->name))
		return;
	json_t *domain = domain_json(call->config, &work->view);
	json_object_set_new(domain, "check", domain_json_check(verdict));
	api_call_json(call, MHD_HTTP_OK, domain);
}

static void settle_check(
    struct api_call *call, const struct domain_claim *claim, const struct domain_verdict *verdict)
{
	struct work work;
	if (!work_open(&work, call))
		return;
	enum result result = domain_settle(work.pg, claim, verdict, call->config->pre_issue, &work.error);
	if (result == R_OK)
		reply_checked(&work, call, claim, verdict);
	else if (result == R_DENIED)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "owned_by_another", "name",
		    "The TXT record is right, but %s is in use by another tenant. It must be released there "
		    "first.",
		    claim->name);
	else if (result == R_LOST)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "changed_meanwhile", NULL,
		    "%s was deleted or added anew while it was being checked: look at it again.",
		    claim->name);
	else
		problem_reply_down(call->reply, &work.error);
	work_close(&work, call);
}

/* Needs nothing from a body; one that says something is a misunderstanding better told. */
static bool body_is_empty(struct api_call *call)
{
	static const char *const fields[] = {NULL};
	if (buf_size(&call->request->body) == 0)
		return true;
	json_t *body = api_call_body(call, fields);
	json_decref(body);
	return body;
}

void api_domains_verify(struct api_call *call, const char *text)
{
	struct domain_claim claim;
	struct domain_verdict verdict;
	if (!body_is_empty(call) || !claim_for_check(call, text, &claim))
		return;
	struct domain_check *check = domain_check_start(call->resolver, call->config, &claim);
	domain_check_finish(check, "api", &verdict);
	settle_check(call, &claim, &verdict);
	free(verdict.found);
}
