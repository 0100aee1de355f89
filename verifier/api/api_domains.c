/*
 * The API's requests about one domain: add, show, verify now, delete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "verifier/api/api_call.h"
#include "verifier/api/domain_json.h"
#include "verifier/claim/domain_check.h"
#include "verifier/claim/records.h"
#include "verifier/http/problem.h"

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
	bool short_enough = strlen(text) <= HOSTNAME_MAX;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_name", "name", "name: %s%s%s%s",
	    short_enough ? "\"" : "", short_enough ? text : "what was sent", short_enough ? "\" " : " ",
	    hostname_problem_text(problem));
	return false;
}

static bool may_be_added(struct api_call *call, const char *name)
{
	if (is_under_saas_root(name, call->config->place.saas_root.text)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "platform_name", "name",
		    "name: %s belongs to the platform itself (%s): add a domain of your own.", name,
		    call->config->place.saas_root.text);
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
	static const char *const parameters[] = {"tenant", NULL};
	const char *tenant = NULL;
	*work = (struct work){.pg = NULL};
	return api_call_query(call, parameters) && read_name(call, text, name) &&
	       api_call_tenant(call, &tenant) && work_open(work, call) &&
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
	else if (read_name(call, text, &name) && api_call_is_tenant(call, slug ? slug : "") &&
		 may_be_added(call, name.text))
		add(call, slug, name.text);
}

void api_domains_add(struct api_call *call)
{
	static const char *const fields[] = {"name", "tenant", NULL}, *const none[] = {NULL};
	if (!api_call_query(call, none))
		return;
	json_t *body = api_call_body(call, fields);
	if (body)
		add_from(call, body);
	json_decref(body);
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
	if (result == R_OK && verdict->txt == TXT_VERIFIED && strcmp(claim->status, "pending") == 0)
		log_info("domain verified", log_str("domain", claim->name), log_str("tenant", claim->tenant));
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
