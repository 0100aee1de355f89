/*
 * Everything that is known of one name, with a look at its DNS now, and one sentence on top. No database
 * connection is held while DNS is asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/explain/explain.h"
#include "common/explain/explain_edges.h"
#include "common/explain/explain_summary.h"
#include "common/net/hostname.h"
#include "verifier/access/tenant.h"
#include "verifier/api/api_explain_edges.h"
#include "verifier/api/api_handlers.h"
#include "verifier/api/api_rows.h"
#include "verifier/api/domain_json.h"
#include "verifier/claim/domain_check.h"
#include "verifier/diagnose/diagnoser.h"
#include "verifier/diagnose/dns_look.h"
#include "verifier/http/problem.h"

struct explanation {
	struct hostname name;
	json_t *json;
	json_t *dns; /* what DNS says now; NULL: it was not asked */
	struct edges_question edges;
	struct domain_claim claim; /* the one that counts; its name is empty where there is none to look up */
};

static bool is_owner(const struct domain_view *view)
{
	return strcmp(view->status, "pending") != 0;
}

/* The owner's claim, or any of those that wait. */
static void choose_claim(struct explanation *explanation, const PGresult *rows)
{
	struct domain_view view;
	struct domain_claim *claim = &explanation->claim;
	for (int row = 0; row < PQntuples(rows); row++) {
		domain_view_read(rows, row, &view);
		if ((claim->name[0] && !is_owner(&view)) || strcmp(view.kind, "platform") == 0)
			continue;
		*claim = (struct domain_claim){.id = view.id};
		snprintf(claim->name, sizeof claim->name, "%s", view.name);
		snprintf(claim->tenant, sizeof claim->tenant, "%s", view.tenant);
		snprintf(claim->status, sizeof claim->status, "%s", view.status);
		snprintf(claim->token, sizeof claim->token, "%s", view.token);
		snprintf(
		    claim->txt_label, sizeof claim->txt_label, "%s", view.txt_label ? view.txt_label : "");
	}
}

/* A tenant's looks count like its verifications; with none left, DNS is not asked. */
static enum result may_look(
    struct api_call *call, struct pg *pg, struct explanation *explanation, struct error *error)
{
	int wait_s = 0;
	if (!explanation->claim.name[0] || api_call_is_operator(call))
		return R_OK;
	enum result result = tenant_take_verification(
	    pg, &call->scope, explanation->claim.tenant, call->config->rules.verifications, &wait_s, error);
	if (wait_s)
		explanation->claim.name[0] = '\0';
	return result;
}

static enum result find_claim(
    struct api_call *call, struct pg *pg, struct explanation *explanation, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = domain_find(pg, &call->scope, NULL, explanation->name.text, false, &rows, error);
	if (result == R_OK)
		choose_claim(explanation, rows);
	PQclear(rows);
	if (result == R_OK)
		result = edges_ask(call, pg, &explanation->edges, explanation->name.text, error);
	return result == R_OK ? may_look(call, pg, explanation, error) : result;
}

/* Nothing of it is stored: to explain changes nothing. */
static void look_at_dns(struct api_call *call, struct explanation *explanation)
{
	struct domain_verdict verdict;
	const struct domain_claim *claim = &explanation->claim;
	if (!claim->name[0])
		return;
	struct domain_check *check = domain_check_start(call->resolver, call->config, claim);
	struct dns_look *look = diagnoser_look(call->diagnoser, claim);
	domain_check_finish(check, "api", &verdict);
	diagnoser_judge(call->diagnoser, claim, check, look, &verdict);
	dns_look_free(look);
	explanation->dns = domain_json_check(&verdict);
	json_t *diagnosis = verdict.diagnosis.json ? json_loads(verdict.diagnosis.json, 0, NULL) : NULL;
	json_object_update_missing(explanation->dns, diagnosis);
	json_decref(diagnosis);
	domain_verdict_fini(&verdict);
	domain_check_free(check);
}

static enum result run_part(struct api_call *call, struct pg *pg, const char *sql,
    const struct explanation *explanation, PGresult **rows, struct error *error)
{
	const char *name = explanation->name.text;
	const char *registrable = hostname_registrable(hostname_base(name));
	const struct pg_param params[] = {pg_text(name), pg_text(registrable ? registrable : name)};
	return scope_query(pg, &call->scope, rows, error, sql, params, explain_params(sql) - 1);
}

static json_t *part_json(const struct explain_part *part, const PGresult *rows)
{
	if (!part->is_one)
		return api_rows_json(rows);
	return PQntuples(rows) > 0 ? api_row_json(rows, 0) : json_null();
}

static enum result add_parts(
    struct api_call *call, struct pg *pg, struct explanation *explanation, struct error *error)
{
	enum result result = R_OK;
	for (size_t i = 0; i < EXPLAIN_PARTS && result == R_OK; i++) {
		PGresult *rows = NULL;
		result = run_part(call, pg, explain_parts[i].sql, explanation, &rows, error);
		if (result == R_OK)
			json_object_set_new(
			    explanation->json, explain_parts[i].field, part_json(&explain_parts[i], rows));
		PQclear(rows);
	}
	return result;
}

/* The first verdict that somebody has to act on: about ownership as long as the name is not proven. */
static const json_t *find_verdict(const json_t *dns, bool is_pending)
{
	size_t index = 0;
	const json_t *verdict = NULL;
	json_array_foreach(json_object_get(dns, "verdicts"), index, verdict)
	{
		const char *state = json_string_value(json_object_get(verdict, "state"));
		const char *step = json_string_value(json_object_get(verdict, "step"));
		if (state && step && strcmp(state, "act") == 0 &&
		    (!is_pending || strcmp(step, "ownership") == 0))
			return verdict;
	}
	return NULL;
}

static const char *text_of(const json_t *object, const char *field)
{
	return json_string_value(json_object_get(object, field));
}

static struct explain_facts read_facts(const json_t *row)
{
	return (struct explain_facts){.status = text_of(row, "status"),
	    .kind = text_of(row, "kind"),
	    .suspended_by = text_of(row, "suspended_by"),
	    .is_passed_on = json_is_true(json_object_get(row, "is_passed_on")),
	    .was_passed_on = json_is_true(json_object_get(row, "was_passed_on")),
	    .has_certificate = json_is_true(json_object_get(row, "has_certificate")),
	    .expired_at = text_of(row, "expired_at"),
	    .job_state = text_of(row, "job_state"),
	    .waits_for = text_of(row, "waits_for"),
	    .next_try_at = text_of(row, "next_try_at"),
	    .last_error = text_of(row, "last_error"),
	    .last_actor = text_of(row, "last_actor")};
}

static void summarise(struct explanation *explanation, const PGresult *rows, const PGresult *refusals)
{
	struct explain_summary summary;
	char says[EXPLAIN_SUMMARY_MAX];
	json_t *row = api_row_json(rows, 0);
	struct explain_facts facts = read_facts(row);
	bool is_pending = facts.status && strcmp(facts.status, "pending") == 0;
	const json_t *verdict = find_verdict(explanation->dns, is_pending);
	if (verdict) {
		const char *mend = text_of(verdict, "mend");
		snprintf(says, sizeof says, "%s%s%s", text_of(verdict, "summary"), mend ? " " : "",
		    mend ? mend : "");
		facts.dns_says = says;
		facts.dns_who = text_of(verdict, "who");
	}
	explain_refusals_read(refusals, &facts);
	explain_summarise(&summary, explanation->name.text, &facts);
	json_object_set_new(explanation->json, "summary",
	    json_pack("{s:s, s:s, s:s}", "code", summary.code, "who", summary.who, "text", summary.text));
	json_decref(row);
}

static enum result add_summary(
    struct api_call *call, struct pg *pg, struct explanation *explanation, struct error *error)
{
	PGresult *rows = NULL, *refusals = NULL;
	enum result result = run_part(call, pg, explain_facts_sql, explanation, &rows, error);
	if (result == R_OK)
		result = edges_refusals(call, pg, &explanation->edges, &refusals, error);
	if (result == R_OK)
		summarise(explanation, rows, refusals);
	PQclear(refusals);
	PQclear(rows);
	return result;
}

static enum result with_database(struct api_call *call, struct explanation *explanation,
    enum result (*work)(struct api_call *, struct pg *, struct explanation *, struct error *))
{
	struct error error = {""};
	struct pg *pg = api_call_database(call);
	if (!pg)
		return R_DOWN;
	enum result result = work(call, pg, explanation, &error);
	pg_pool_give(call->pool, pg);
	if (result != R_OK)
		problem_reply_down(call->reply, &error);
	return result;
}

static enum result gather(
    struct api_call *call, struct pg *pg, struct explanation *explanation, struct error *error)
{
	json_t *handshakes = NULL;
	enum result result = add_summary(call, pg, explanation, error);
	if (result == R_OK)
		result = edges_read(call, pg, &explanation->edges, &handshakes, error);
	if (handshakes)
		json_object_set_new(explanation->json, "handshakes", handshakes);
	return result == R_OK ? add_parts(call, pg, explanation, error) : result;
}

static bool is_somebody_elses(const struct api_call *call, const struct explanation *explanation)
{
	return !api_call_is_operator(call) &&
	       json_array_size(json_object_get(explanation->json, "claims")) == 0;
}

static void reply(struct api_call *call, const struct explanation *explanation)
{
	if (is_somebody_elses(call, explanation))
		problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "no_such_domain", NULL,
		    "%s has not been added.", explanation->name.text);
	else
		api_call_json(call, MHD_HTTP_OK, json_incref(explanation->json));
}

void api_explain_show(struct api_call *call)
{
	struct explanation explanation = {.json = NULL};
	if (!api_call_name(call, call->values[0], &explanation.name))
		return;
	explanation.json = json_pack("{s:s}", "name", explanation.name.text);
	if (with_database(call, &explanation, find_claim) == R_OK) {
		look_at_dns(call, &explanation);
		edges_wait(call, &explanation.edges);
		json_object_set_new(
		    explanation.json, "dns", explanation.dns ? json_incref(explanation.dns) : json_null());
		if (with_database(call, &explanation, gather) == R_OK)
			reply(call, &explanation);
	}
	json_decref(explanation.dns);
	json_decref(explanation.json);
}
