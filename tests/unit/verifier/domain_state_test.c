/* One combined status out of a claim, its certificate and the last verdicts. */
#include "verifier/diagnose/domain_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "verifier/diagnose/verdict.h"

/* Status, certificate, does it point here. */
static struct domain_view view_of(const char *status, const char *certificate, const char *points_here)
{
	return (struct domain_view){
	    .status = status, .kind = "customer", .certificate = certificate, .points_here = points_here};
}

static void expect(const struct domain_view *view, enum verdict_code first, enum verdict_code second,
    const char *code, const char *who)
{
	struct verdicts *verdicts = calloc(1, sizeof *verdicts);
	if (first != VERDICT_CODES)
		verdicts_add(verdicts, first);
	if (second != VERDICT_CODES)
		verdicts_add(verdicts, second);
	json_t *json = verdicts_json(verdicts);
	const struct domain_state state = domain_state(view, json);
	assert_string_equal(state.code, code);
	assert_string_equal(state.who, who);
	assert_true(state.title[0] != '\0');
	json_decref(json);
	free(verdicts);
}

static void a_pending_claim_says_what_its_proof_lacks(void **state)
{
	(void)state;
	struct domain_view view = view_of("pending", "none", NULL);
	expect(&view, VERDICT_CODES, VERDICT_CODES, "waiting", "nobody");
	expect(&view, VERDICT_TXT_MISSING, VERDICT_ROUTING_MISSING, "action_needed", "customer");
	expect(&view, VERDICT_TXT_ON_SOME_SERVERS, VERDICT_ROUTING_MISSING, "waiting", "nobody");
	expect(&view, VERDICT_SERVERS_SILENT, VERDICT_TXT_COULD_NOT_CHECK, "could_not_check", "dns_provider");
	expect(&view, VERDICT_TXT_COULD_NOT_CHECK, VERDICT_ZONE_MISSING, "action_needed", "customer");
	view.check_outcome = "verified";
	expect(&view, VERDICT_TXT_OK, VERDICT_CODES, "action_needed", "customer");
	view.check_outcome = "absent"; /* of a check before there were diagnoses */
	expect(&view, VERDICT_CODES, VERDICT_CODES, "action_needed", "customer");
	view.check_outcome = "temporary";
	expect(&view, VERDICT_CODES, VERDICT_CODES, "could_not_check", "nobody");
}

static void an_active_domain_is_live_with_its_certificate(void **state)
{
	(void)state;
	struct domain_view view = view_of("active", "issued", "t");
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "live", "nobody");
	/* What does not stop it does not hide that it is live. */
	expect(&view, VERDICT_TXT_MISSING, VERDICT_CAA_FORBIDS, "live", "nobody");
	view.certificate = "issuing";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "waiting", "nobody");
	expect(&view, VERDICT_TXT_OK, VERDICT_CAA_FORBIDS, "action_needed", "customer");
	expect(&view, VERDICT_LAME_SERVER, VERDICT_ROUTING_OK, "waiting", "nobody");
	view.certificate = "none";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "waiting", "nobody");
}

static void one_that_leads_elsewhere_is_not_live(void **state)
{
	(void)state;
	struct domain_view view = view_of("active", "issued", "f");
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_ELSEWHERE, "action_needed", "customer");
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_ON_SOME_SERVERS, "waiting", "nobody");
	expect(&view, VERDICT_TXT_OK, VERDICT_BEHIND_CDN, "live", "nobody");
	view.certificate = "none";
	expect(&view, VERDICT_TXT_OK, VERDICT_BEHIND_CDN, "could_not_check", "customer");
}

static void a_failed_certificate_is_whose_fault_it_is(void **state)
{
	(void)state;
	struct domain_view view = view_of("active", "failed", "t");
	view.certificate_actor = "ca";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "failed", "nobody");
	view.certificate_actor = "operator";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "failed", "operator");
	view.certificate_actor = "customer";
	expect(&view, VERDICT_TXT_OK, VERDICT_CAA_FORBIDS, "action_needed", "customer");
	expect(&view, VERDICT_TXT_OK, VERDICT_CAA_OK, "action_needed", "customer");
	expect(&view, VERDICT_TXT_OK, VERDICT_BEHIND_CDN, "action_needed", "customer");
	view.certificate_actor = NULL;
	expect(&view, VERDICT_CODES, VERDICT_CODES, "failed", "nobody");
}

static void the_verdict_has_the_title(void **state)
{
	(void)state;
	struct domain_view view = view_of("active", "failed", "t");
	json_t *verdicts = json_pack("[{s:s, s:s, s:s, s:s}]", "step", "certificate", "state", "act", "who",
	    "customer", "title", "Add a CAA record");
	view.certificate_actor = "customer";
	assert_string_equal(domain_state(&view, verdicts).title, "Add a CAA record");
	json_decref(verdicts);
}

static void a_drifted_domain_says_what_has_drifted(void **state)
{
	(void)state;
	struct domain_view view = view_of("drifted", "issued", "t");
	expect(&view, VERDICT_TXT_MISSING, VERDICT_ROUTING_OK, "action_needed", "customer");
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "live", "customer");
}

static void one_whose_tls_is_passed_on_needs_no_certificate(void **state)
{
	(void)state;
	struct domain_view view = view_of("active", "none", "t");
	view.options = "{\"passthrough\": \"10.0.0.1:443\"}";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "live", "nobody");
	view.certificate = "failed";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "live", "nobody");
	view.points_here = "f";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_ELSEWHERE, "action_needed", "customer");
	view.kind = "platform";
	expect(&view, VERDICT_CODES, VERDICT_CODES, "live", "nobody");
	view.status = "suspended";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "suspended", "customer");
}

static void suspended_and_released_stay_so_whatever_dns_says(void **state)
{
	(void)state;
	struct domain_view view = view_of("suspended", "issued", "t");
	view.suspended_by = "operator";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "suspended", "operator");
	view.suspended_by = "drift";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "suspended", "customer");
	view.status = "released";
	expect(&view, VERDICT_TXT_OK, VERDICT_ROUTING_OK, "suspended", "nobody");
}

static void a_name_of_the_platform_goes_by_its_certificate(void **state)
{
	(void)state;
	struct domain_view view = view_of("active", "issued", NULL);
	view.kind = "platform";
	expect(&view, VERDICT_CODES, VERDICT_CODES, "live", "nobody");
	view.certificate = "failed";
	expect(&view, VERDICT_CODES, VERDICT_CODES, "failed", "operator");
	view.certificate = "none";
	expect(&view, VERDICT_CODES, VERDICT_CODES, "waiting", "nobody");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_pending_claim_says_what_its_proof_lacks),
	    cmocka_unit_test(an_active_domain_is_live_with_its_certificate),
	    cmocka_unit_test(one_that_leads_elsewhere_is_not_live),
	    cmocka_unit_test(a_failed_certificate_is_whose_fault_it_is),
	    cmocka_unit_test(the_verdict_has_the_title),
	    cmocka_unit_test(a_drifted_domain_says_what_has_drifted),
	    cmocka_unit_test(one_whose_tls_is_passed_on_needs_no_certificate),
	    cmocka_unit_test(suspended_and_released_stay_so_whatever_dns_says),
	    cmocka_unit_test(a_name_of_the_platform_goes_by_its_certificate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
