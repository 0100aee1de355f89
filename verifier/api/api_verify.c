/*
 * Verify now: DNS is asked while the caller waits, and no database connection is held meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log/log.h"
#include "verifier/access/tenant.h"
#include "verifier/api/api_claim.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/domain_json.h"
#include "verifier/claim/domain_check.h"
#include "verifier/diagnose/diagnoser.h"
#include "verifier/diagnose/dns_look.h"
#include "verifier/http/problem.h"

/* The tenant's quota counts what is looked up. */
static bool take_verification(struct api_call *call, struct api_claim *work)
{
	int wait_s = 0;
	if (tenant_take_verification(work->pg, &call->scope, work->view.tenant,
		call->config->rules.verifications, &wait_s, &work->error) != R_OK) {
		problem_reply_down(call->reply, &work->error);
		return false;
	}
	if (!wait_s)
		return true;
	problem_reply(call->reply, MHD_HTTP_TOO_MANY_REQUESTS, "too_many_verifications", NULL,
	    "The tenant %s has used up its verifications: wait %d seconds. Domains are looked at without "
	    "being "
	    "asked, too.",
	    work->view.tenant, wait_s);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_RETRY_AFTER, "%d", wait_s);
	return false;
}

static bool is_checked(struct api_call *call, const struct domain_view *view)
{
	if (strcmp(view->kind, "platform") != 0)
		return true;
	problem_reply(call->reply, MHD_HTTP_CONFLICT, "platform_name", "name",
	    "%s is the platform's: there is nothing to verify.", view->name);
	return false;
}

/* Takes the claim for a check and gives the connection back. */
static bool claim_for_check(struct api_call *call, struct domain_claim *claim)
{
	struct api_claim work;
	bool claimed = false;
	if (api_claim_open(&work, call, false) && is_checked(call, &work.view) &&
	    take_verification(call, &work)) {
		enum result result = domain_claim(work.pg, &call->scope, work.view.id, claim, &work.error);
		claimed = result == R_OK;
		diagnoser_learn(call->diagnoser, work.pg);
		if (result == R_NONE)
			problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "no_such_domain", NULL,
			    "%s was deleted just now.", work.name.text);
		else if (!claimed)
			problem_reply_down(call->reply, &work.error);
	}
	api_claim_close(&work, call);
	return claimed;
}

static void reply_checked(struct api_claim *work, struct api_call *call, const struct domain_claim *claim,
    const struct domain_verdict *verdict)
{
	if (!api_claim_find(work, call, claim->tenant, claim->name))
		return;
	json_t *domain = domain_json(call->config, &work->view);
	json_object_set_new(domain, "check", domain_json_check(verdict));
	api_call_json(call, MHD_HTTP_OK, domain);
}

static void refuse_settled(struct api_call *call, const char *name, enum domain_settled settled)
{
	if (settled == DOMAIN_IS_OWNED)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "owned_by_another", "name",
		    "The TXT record is right, but %s is in use by another tenant. It must be released there "
		    "first, "
		    "or the other tenant's value be taken out of the TXT record.",
		    name);
	else if (settled == DOMAIN_IS_STALE)
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "stale_proof", "name",
		    "The TXT record is right, but older than the last owner of %s: delete this domain, add "
		    "it again, "
		    "and publish the new value that it then gets.",
		    name);
	else
		problem_reply(call->reply, MHD_HTTP_CONFLICT, "changed_meanwhile", NULL,
		    "%s was deleted or added anew while it was being checked: look at it again.", name);
}

static void settle_check(
    struct api_call *call, const struct domain_claim *claim, const struct domain_verdict *verdict)
{
	enum domain_settled settled = DOMAIN_IS_LOST;
	struct api_claim work = {.pg = api_call_database(call)};
	if (!work.pg)
		return;
	enum result result =
	    domain_settle(work.pg, &call->scope, claim, verdict, &call->config->rules, &settled, &work.error);
	if (result == R_OK && settled == DOMAIN_VERIFIED)
		log_info("domain verified", log_str("domain", claim->name), log_str("tenant", claim->tenant));
	if (result != R_OK)
		problem_reply_down(call->reply, &work.error);
	else if (settled < DOMAIN_IS_OWNED)
		reply_checked(&work, call, claim, verdict);
	else
		refuse_settled(call, claim->name, settled);
	api_claim_close(&work, call);
}

void api_domains_verify(struct api_call *call)
{
	struct domain_claim claim;
	struct domain_verdict verdict;
	if (!claim_for_check(call, &claim))
		return;
	struct domain_check *check = domain_check_start(call->resolver, call->config, &claim);
	struct dns_look *look = diagnoser_look(call->diagnoser, &claim);
	domain_check_finish(check, "api", &verdict);
	diagnoser_judge(call->diagnoser, &claim, check, look, &verdict);
	dns_look_free(look);
	settle_check(call, &claim, &verdict);
	domain_verdict_fini(&verdict);
	domain_check_free(check);
}
