/* One sentence: what is wrong, who acts. */
#include "common/explain/explain_summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NAME "shop.brand.test"

static void says(struct explain_facts facts, const char *code, const char *who, const char *words)
{
	struct explain_summary summary;
	explain_summarise(&summary, NAME, &facts);
	assert_string_equal(summary.code, code);
	assert_string_equal(summary.who, who);
	assert_non_null(strstr(summary.text, NAME));
	if (!strstr(summary.text, words))
		fail_msg("\"%s\" does not say \"%s\"", summary.text, words);
}

#define FACTS(...) ((struct explain_facts){__VA_ARGS__})

static void claims_without_an_owner(void **state)
{
	(void)state;
	says(FACTS(0), "not_added", "customer", "Nobody has added");
	says(FACTS(.has_certificate = true), "served", "nobody", "nobody has added");
	says(FACTS(.was_passed_on = true), "served", "nobody", "setting passthrough");
	says(FACTS(.status = "released"), "released", "customer", "adds it anew");
	says(FACTS(.status = "pending"), "pending", "customer", "TXT record");
	says(FACTS(.status = "pending", .dns_says = "The servers fail.", .dns_who = "dns_provider"),
	    "pending", "dns_provider", "The servers fail.");
}

static void suspended_by_whom(void **state)
{
	(void)state;
	says(FACTS(.status = "suspended", .suspended_by = "operator", .has_certificate = true), "suspended",
	    "operator", "by the operator");
	says(FACTS(.status = "suspended", .suspended_by = "drift", .has_certificate = true), "suspended",
	    "customer", "gone for too long");
}

static void without_a_certificate(void **state)
{
	(void)state;
	says(FACTS(.status = "active"), "waiting", "nobody", "first visitor");
	says(FACTS(.status = "active", .job_state = "running"), "waiting", "nobody", "being obtained");
	says(FACTS(.status = "active", .job_state = "failed", .waits_for = "The quota is used up.",
		 .next_try_at = "2026-01-01T00:00:00Z"),
	    "waiting", "nobody", "The quota is used up. Its turn comes at 2026-01-01T00:00:00Z.");
	says(FACTS(.status = "active", .job_state = "failed", .last_error = "CAA forbids it.",
		 .last_actor = "customer", .next_try_at = "2026-01-01T00:00:00Z"),
	    "failed", "customer", "CAA forbids it. The next try is at 2026-01-01T00:00:00Z.");
	says(FACTS(.status = "active", .job_state = "failed", .last_error = "old", .last_actor = "customer",
		 .dns_says = "Add this.", .dns_who = "customer"),
	    "failed", "customer", "Add this.");
	/* What the CA has against it is not the DNS's fault. */
	says(FACTS(.status = "active", .job_state = "failed", .last_error = "The CA is down.",
		 .last_actor = "ca", .dns_says = "Add this."),
	    "failed", "ca", "The CA is down.");
	says(FACTS(.status = "active", .job_state = "idle", .expired_at = "2020-01-01T00:00:00Z"), "expired",
	    "operator", "2020-01-01T00:00:00Z");
}

static void with_a_certificate(void **state)
{
	(void)state;
	says(FACTS(.status = "active", .has_certificate = true), "served", "nobody",
	    "nothing is known to be wrong");
	says(FACTS(.status = "active", .has_certificate = true, .dns_says = "Point it here.",
		 .dns_who = "customer"),
	    "served", "customer", "Point it here.");
	says(FACTS(.status = "active", .has_certificate = true,
		 .refused = {"edge 1", "2026-01-01T00:00:00Z", "The database did not answer.", "operator"}),
	    "served", "operator",
	    "edge 1 refused the last visitor it had, at 2026-01-01T00:00:00Z: The database did not answer.");
	says(FACTS(.status = "drifted", .has_certificate = true, .dns_says = "The TXT record is gone."),
	    "drifted", "customer", "The TXT record is gone.");
}

static void passed_on_without_a_certificate(void **state)
{
	(void)state;
	says(FACTS(.status = "active", .is_passed_on = true), "served", "nobody",
	    "is served (its TLS is passed on unopened); nothing");
	says(FACTS(.status = "active", .is_passed_on = true, .job_state = "failed",
		 .last_error = "CAA forbids it."),
	    "served", "nobody", "nothing is known to be wrong");
	says(FACTS(.status = "active", .is_passed_on = true, .dns_says = "Point it here."), "served",
	    "customer", "to whoever reaches us. Point it here.");
	says(FACTS(.status = "suspended", .suspended_by = "operator", .is_passed_on = true), "suspended",
	    "operator", "by the operator");
}

static void long_words_of_others_are_cut(void **state)
{
	static char words[3 * EXPLAIN_SUMMARY_MAX];
	struct explain_summary summary;
	(void)state;
	memset(words, 'x', sizeof words - 1);
	explain_summarise(
	    &summary, NAME, &FACTS(.status = "active", .job_state = "failed", .last_error = words));
	assert_int_equal(strlen(summary.text), EXPLAIN_SUMMARY_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(claims_without_an_owner),
	    cmocka_unit_test(suspended_by_whom),
	    cmocka_unit_test(without_a_certificate),
	    cmocka_unit_test(with_a_certificate),
	    cmocka_unit_test(passed_on_without_a_certificate),
	    cmocka_unit_test(long_words_of_others_are_cut),
	};
	return cmocka_run_group_tests_name("explain_summary", tests, NULL, NULL);
}
