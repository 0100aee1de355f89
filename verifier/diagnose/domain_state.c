#include "verifier/diagnose/domain_state.h"

#include <string.h>

#include "verifier/diagnose/verdict.h"

static bool is(const char *text, const char *word)
{
	return text && strcmp(text, word) == 0;
}

/* The first verdict in this state; `step` NULL: of any step. */
static const json_t *find(const json_t *verdicts, const char *step, enum verdict_state state)
{
	size_t index = 0;
	const json_t *verdict = NULL;
	json_array_foreach(verdicts, index, verdict)
	{
		const char *word = json_string_value(json_object_get(verdict, "state"));
		const char *of = json_string_value(json_object_get(verdict, "step"));
		if (is(word, verdict_state_name(state)) && (!step || is(of, step)))
			return verdict;
	}
	return NULL;
}

static struct domain_state state_of_verdict(const char *code, const json_t *verdict)
{
	const char *title = json_string_value(json_object_get(verdict, "title"));
	const char *who = json_string_value(json_object_get(verdict, "who"));
	return (struct domain_state){code, title ? title : "", who ? who : "nobody"};
}

/* What a person must do comes first, then what time does, then what is not known. */
static bool judge_verdicts(const json_t *verdicts, const char *step, struct domain_state *out)
{
	static const struct {
		enum verdict_state state;
		const char *code;
	} order[] = {
	    {VERDICT_ACT, "action_needed"}, {VERDICT_WAIT, "waiting"}, {VERDICT_UNKNOWN, "could_not_check"}};
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		const json_t *verdict = find(verdicts, step, order[i].state);
		if (!verdict)
			continue;
		*out = state_of_verdict(order[i].code, verdict);
		return true;
	}
	return false;
}

static struct domain_state of_pending(const struct domain_view *view, const json_t *verdicts)
{
	struct domain_state state = {"waiting", "Waiting for the first check", "nobody"};
	if (judge_verdicts(verdicts, verdict_step_name(STEP_OWNERSHIP), &state))
		return state;
	/* The record is there, and yet the claim is not the owner's. */
	if (is(view->check_outcome, "verified"))
		return (struct domain_state){"action_needed", "In use by another account", "customer"};
	if (is(view->check_outcome, "absent") || is(view->check_outcome, "mismatch"))
		return (struct domain_state){"action_needed", "Add the TXT record", "customer"};
	if (view->check_outcome)
		return (struct domain_state){
		    "could_not_check", "The TXT record could not be checked", "nobody"};
	return state;
}

static struct domain_state of_failed(const struct domain_view *view, const json_t *verdicts)
{
	struct domain_state state;
	if (is(view->certificate_actor, "customer")) {
		if (judge_verdicts(verdicts, NULL, &state) && is(state.code, "action_needed"))
			return state;
		return (struct domain_state){
		    "action_needed", "The certificate could not be issued", "customer"};
	}
	return (struct domain_state){"failed", "The certificate could not be issued",
	    is(view->certificate_actor, "operator") ? "operator" : "nobody"};
}

/* By the option: it needs no certificate here. */
static bool is_passed_on(const struct domain_view *view)
{
	json_t *options = view->options ? json_loads(view->options, 0, NULL) : NULL;
	bool has_option = json_object_get(options, "passthrough");

	json_decref(options);
	return has_option;
}

static struct domain_state of_served(const struct domain_view *view, const json_t *verdicts)
{
	struct domain_state state;
	bool is_hidden = find(verdicts, verdict_step_name(STEP_ROUTING), VERDICT_UNKNOWN);
	if (is(view->points_here, "f") && !is_hidden) {
		if (judge_verdicts(verdicts, verdict_step_name(STEP_ROUTING), &state))
			return state;
		return (struct domain_state){"action_needed", "Point the domain here", "customer"};
	}
	return (struct domain_state){"live",
	    is(view->status, "drifted") ? "Live, but its DNS has changed" : "Live",
	    is(view->status, "drifted") ? "customer" : "nobody"};
}

static struct domain_state of_owner(const struct domain_view *view, const json_t *verdicts)
{
	struct domain_state state;
	bool passes = is_passed_on(view);

	if (is(view->certificate, "failed") && !passes)
		return of_failed(view, verdicts);
	if (is(view->status, "drifted") && judge_verdicts(verdicts, NULL, &state))
		return state;
	if (is(view->certificate, "issued") || passes)
		return of_served(view, verdicts);
	if (judge_verdicts(verdicts, NULL, &state))
		return state;
	if (is(view->certificate, "issuing"))
		return (struct domain_state){"waiting", "The certificate is being obtained", "nobody"};
	return (struct domain_state){"waiting", "Ready for its first visitor", "nobody"};
}

static struct domain_state of_platform(const struct domain_view *view)
{
	if (is(view->certificate, "issued") || is_passed_on(view))
		return (struct domain_state){"live", "Live", "nobody"};
	if (is(view->certificate, "failed"))
		return (struct domain_state){"failed", "The certificate could not be issued", "operator"};
	return (struct domain_state){"waiting", "The certificate is being obtained", "nobody"};
}

struct domain_state domain_state(const struct domain_view *view, const json_t *verdicts)
{
	if (is(view->status, "released"))
		return (struct domain_state){"suspended", "Released", "nobody"};
	if (is(view->status, "suspended"))
		return is(view->suspended_by, "operator")
			   ? (struct domain_state){"suspended", "Suspended by the operator", "operator"}
			   : (struct domain_state){
				 "suspended", "Suspended: its DNS records are gone", "customer"};
	if (is(view->kind, "platform"))
		return of_platform(view);
	return is(view->status, "pending") ? of_pending(view, verdicts) : of_owner(view, verdicts);
}
