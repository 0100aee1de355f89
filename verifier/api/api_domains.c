/*
 * The API's requests about one domain: add, show, change its options, suspend, delete.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log/log.h"
#include "verifier/api/api_claim.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/api_options.h"
#include "verifier/api/domain_json.h"
#include "verifier/claim/name_rules.h"
#include "verifier/http/problem.h"

static void reply_added(
    struct api_call *call, struct api_claim *claim, const struct domain_new *wanted, bool is_new)
{
	if (!api_claim_find(claim, call, wanted->tenant, wanted->name))
		return;
	if (is_new)
		log_info("domain added", log_str("domain", wanted->name), log_str("tenant", wanted->tenant));
	api_call_json(call, is_new ? MHD_HTTP_CREATED : MHD_HTTP_OK, domain_json(call->config, &claim->view));
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_LOCATION, "/v1/domains/%s", wanted->name);
}

static void refuse_added(struct api_call *call, const struct domain_new *wanted, enum domain_added outcome)
{
	if (outcome == DOMAIN_FULL)
		problem_reply(call->reply, MHD_HTTP_FORBIDDEN, "too_many_domains", "tenant",
		    "The tenant %s has as many domains as it may have: delete one, or ask the operator for "
		    "more.",
		    wanted->tenant);
	else
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "owned_by_another", "name",
		    "%s is in use by another tenant. It must be released there first.", wanted->name);
}

static void add(struct api_call *call, struct domain_new *wanted)
{
	enum domain_added outcome = DOMAIN_OWNED;
	struct api_claim claim = {.pg = api_call_database(call)};
	if (!claim.pg)
		return;
	enum result result =
	    domain_add(claim.pg, &call->scope, call->config->rules.quota, wanted, 1, &outcome, &claim.error);
	if (result != R_OK)
		problem_reply_down(call->reply, &claim.error);
	else if (outcome == DOMAIN_ADDED || outcome == DOMAIN_EXISTS)
		reply_added(call, &claim, wanted, outcome == DOMAIN_ADDED);
	else
		refuse_added(call, wanted, outcome);
	api_claim_close(&claim, call);
}

/* A name of the platform's is served as soon as it is added, by an upstream of its own. */
static bool take_platform(struct api_call *call, struct domain_new *wanted)
{
	bool has_upstream = json_object_get(json_object_get(call->body, "options"), "upstream");
	wanted->is_platform = wanted->is_active = true;
	if (api_call_is_operator(call) && has_upstream)
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "platform_name", "name",
	    api_call_is_operator(call)
		? "name: %s belongs to the platform itself (%s): give it an upstream of its own in "
		  "\"options\": {\"upstream\": \"http://…\"}, or add a customer's domain."
		: "name: %s belongs to the platform itself (%s): add a domain of your own.",
	    wanted->name, call->config->place.saas_root.text);
	return false;
}

static bool judge_name(struct api_call *call, const char *text, struct domain_new *wanted)
{
	struct name_verdict verdict;
	enum name_kind kind = name_rules_judge(call->config, text, call->config->txt_label, &verdict);
	snprintf(wanted->name, sizeof wanted->name, "%s", verdict.name.text);
	if (kind == NAME_REFUSED)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, verdict.code, "name", "%s", verdict.detail);
	return kind == NAME_CUSTOMER || (kind == NAME_PLATFORM && take_platform(call, wanted));
}

static bool read_tenant(struct api_call *call, struct domain_new *wanted)
{
	const json_t *value = json_object_get(call->body, "tenant");
	const char *own = call->scope.tenant ? call->scope.tenant : API_DEFAULT_TENANT;
	const char *tenant = value ? json_string_value(value) : own;
	if (!api_call_is_tenant(call, tenant ? tenant : ""))
		return false;
	snprintf(wanted->tenant, sizeof wanted->tenant, "%s", tenant);
	return true;
}

void api_domains_add(struct api_call *call)
{
	struct domain_new wanted = {.options = NULL};
	const json_t *name = json_object_get(call->body, "name");
	const char *text = json_string_value(name);
	if (!text || strlen(text) != json_string_length(name)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "missing_name", "name",
		    "name: is missing or no string: send {\"name\": \"shop.example.com\"}.");
		return;
	}
	if (!read_tenant(call, &wanted) || !judge_name(call, text, &wanted))
		return;
	bool has_options = json_object_get(call->body, "options");
	if (!has_options || api_options_merge(call, NULL, wanted.name, &wanted.options))
		add(call, &wanted);
	free(wanted.options);
}

void api_domains_show(struct api_call *call)
{
	struct api_claim claim;
	if (api_claim_open(&claim, call, false))
		api_call_show(call, domain_json(call->config, &claim.view));
	api_claim_close(&claim, call);
}

/* The row is locked from the comparison with If-Match to the change. */
static bool open_for_change(struct api_claim *claim, struct api_call *call)
{
	if (!api_claim_open(claim, call, true))
		return false;
	json_t *now = domain_json(call->config, &claim->view);
	bool ok = api_call_if_match(call, now);
	json_decref(now);
	return ok;
}

static void reply_changed(struct api_call *call, struct api_claim *claim, enum result result)
{
	result = api_claim_commit(claim, result);
	if (result != R_OK)
		problem_reply_down(call->reply, &claim->error);
	else if (api_claim_find(claim, call, claim->view.tenant, claim->name.text))
		api_call_show(call, domain_json(call->config, &claim->view));
}

static bool keeps_upstream(struct api_call *call, const struct domain_view *view)
{
	const json_t *changes = json_object_get(call->body, "options");
	if (strcmp(view->kind, "platform") != 0 || !json_is_null(json_object_get(changes, "upstream")))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_options", "options.upstream",
	    "options.upstream: a name of the platform needs one: change it, or delete the name.");
	return false;
}

void api_domains_change(struct api_call *call)
{
	struct api_claim claim;
	char *options = NULL;
	if (open_for_change(&claim, call) &&
	    api_options_merge(call, claim.view.options, claim.name.text, &options) &&
	    keeps_upstream(call, &claim.view))
		reply_changed(call, &claim,
		    domain_set_options(claim.pg, &call->scope, claim.view.id, options, &claim.error));
	free(options);
	api_claim_close(&claim, call);
}

static void reply_removed(struct api_call *call, struct api_claim *claim, enum result result)
{
	/* Gone already is as good. */
	result = api_claim_commit(claim, result == R_NONE ? R_OK : result);
	if (result != R_OK) {
		problem_reply_down(call->reply, &claim->error);
		return;
	}
	log_info(
	    "domain removed", log_str("domain", claim->name.text), log_str("tenant", claim->view.tenant));
	call->reply->status = MHD_HTTP_NO_CONTENT;
}

/* Deleted, added anew and proven again, a name would be free of the operator's suspension. */
static bool may_remove(struct api_call *call, const struct domain_view *view)
{
	bool is_suspended = view->suspended_by && strcmp(view->suspended_by, "operator") == 0;
	bool is_platform = strcmp(view->kind, "platform") == 0;
	if (api_call_is_operator(call) || (!is_platform && !is_suspended))
		return true;
	problem_reply(call->reply, MHD_HTTP_FORBIDDEN, "operator_only", NULL,
	    "%s is %s: only the operator can delete it.", view->name,
	    is_platform ? "the platform's" : "suspended by the operator");
	return false;
}

void api_domains_remove(struct api_call *call)
{
	struct api_claim claim;
	if (open_for_change(&claim, call) && may_remove(call, &claim.view))
		reply_removed(
		    call, &claim, domain_remove(claim.pg, &call->scope, claim.view.id, &claim.error));
	api_claim_close(&claim, call);
}

static void suspend(struct api_call *call, bool suspend)
{
	struct api_claim claim;
	if (open_for_change(&claim, call)) {
		enum result result =
		    domain_suspend(claim.pg, &call->scope, claim.view.id, suspend, &claim.error);
		if (result == R_NONE)
			problem_reply(call->reply, MHD_HTTP_CONFLICT, "wrong_status", NULL,
			    "%s is %s: only what is %s can be %s.", claim.name.text, claim.view.status,
			    suspend ? "active or drifted" : "suspended", suspend ? "suspended" : "resumed");
		else
			reply_changed(call, &claim, result);
	}
	api_claim_close(&claim, call);
}

void api_domains_suspend(struct api_call *call)
{
	suspend(call, true);
}

void api_domains_resume(struct api_call *call)
{
	suspend(call, false);
}
