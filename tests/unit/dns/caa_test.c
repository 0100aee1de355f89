/* CAA: who may issue, by which account and which methods; what is malformed, unknown or bogus. */
#include "common/dns/caa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/dns_answers.h"

#define ACCOUNT "https://ca.test/acct/1"

enum { ALPN, HTTP };
static const char *const identities[] = {"ca.test", "old.ca.test"};
static const char *const methods[] = {[ALPN] = "tls-alpn-01", [HTTP] = "http-01"};
static struct caa_asker asker = {.identities = identities,
    .identity_count = 2,
    .account_url = ACCOUNT,
    .methods = methods,
    .method_count = 2};

static struct caa_verdict got;

static enum caa judge(const struct dns_answers *answers)
{
	const char *climb[] = {"shop.brand.test"};
	caa_judge(&got, &asker, climb, &answers->answer, 1);
	return got.caa;
}

static enum caa judge_issue(const char *value)
{
	struct dns_answers answers = {.answer = {.count = 0}};
	answers_add_caa(&answers, 0, "issue", value);
	return judge(&answers);
}

static void an_issuer_is_compared_with_every_identity_of_the_ca(void **state)
{
	(void)state;
	assert_int_equal(judge_issue("ca.test"), CAA_ALLOWED);
	assert_int_equal(judge_issue("  CA.Test.  "), CAA_ALLOWED);
	assert_int_equal(judge_issue("old.ca.test"), CAA_ALLOWED);
	assert_int_equal(judge_issue("other.test"), CAA_FORBIDDEN);
	assert_non_null(strstr(got.note, "shop.brand.test"));
	assert_non_null(strstr(got.note, "issue \"ca.test\""));
	assert_int_equal(judge_issue("sub.ca.test"), CAA_FORBIDDEN);
}

static void an_empty_issuer_forbids(void **state)
{
	(void)state;
	assert_int_equal(judge_issue(";"), CAA_FORBIDDEN);
	assert_int_equal(judge_issue(""), CAA_FORBIDDEN);
}

static void what_does_not_follow_the_grammar_forbids(void **state)
{
	(void)state;
	const char *const bad[] = {"ca.test accounturi=x", "ca.test; =x", "ca.test; accounturi",
	    "ca.test; a b=c", "%ca.test", ("ca.test; ;accounturi=" ACCOUNT)};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (judge_issue(bad[i]) != CAA_FORBIDDEN)
			fail_msg("%s is allowed", bad[i]);
}

static void an_account_must_be_ours_to_the_byte(void **state)
{
	(void)state;
	assert_int_equal(judge_issue("ca.test; accounturi=" ACCOUNT), CAA_ALLOWED);
	assert_int_equal(judge_issue("ca.test;AccountURI = " ACCOUNT " ; x=y"), CAA_ALLOWED);
	assert_int_equal(judge_issue("ca.test; accounturi=" ACCOUNT "0"), CAA_FORBIDDEN);
	assert_non_null(strstr(got.note, "accounturi=" ACCOUNT " into"));
	assert_int_equal(judge_issue("ca.test; accounturi=https://CA.test/acct/1"), CAA_FORBIDDEN);
	assert_int_equal(judge_issue("ca.test; accounturi=" ACCOUNT "; accounturi=" ACCOUNT), CAA_FORBIDDEN);
}

static void methods_are_only_those_that_are_listed(void **state)
{
	(void)state;
	assert_int_equal(judge_issue("ca.test; validationmethods=dns-01,http-01"), CAA_ALLOWED);
	assert_true(got.methods[HTTP]);
	assert_false(got.methods[ALPN]);
	assert_int_equal(judge_issue("ca.test; validationmethods=nothing-01"), CAA_FORBIDDEN);
	assert_non_null(strstr(got.note, "validationmethods"));
	assert_string_equal(got.place, "shop.brand.test");
	assert_int_equal(judge_issue("ca.test"), CAA_ALLOWED);
	assert_true(got.methods[ALPN] && got.methods[HTTP]);
}

static void one_property_that_allows_is_enough(void **state)
{
	(void)state;
	struct dns_answers answers = {.answer = {.count = 0}};
	answers_add_caa(&answers, 0, "issue", "other.test");
	answers_add_caa(&answers, 0, "ISSUE", "ca.test; validationmethods=http-01");
	assert_int_equal(judge(&answers), CAA_ALLOWED);
	assert_true(got.methods[HTTP]);
	assert_false(got.methods[ALPN]);
}

static void a_set_without_issue_says_nothing(void **state)
{
	(void)state;
	struct dns_answers answers = {.answer = {.count = 0}};
	answers_add_caa(&answers, 0, "iodef", "mailto:ops@brand.test");
	answers_add_caa(&answers, 0, "issuewild", ";");
	answers_add_caa(&answers, 0, "issuemail", ";");
	assert_int_equal(judge(&answers), CAA_ALLOWED);
}

static void an_unknown_critical_property_forbids(void **state)
{
	(void)state;
	struct dns_answers answers = {.answer = {.count = 0}};
	answers_add_caa(&answers, 0, "issue", "ca.test");
	answers_add_caa(&answers, 1, "tbs", "not critical: only the highest bit is");
	assert_int_equal(judge(&answers), CAA_ALLOWED);
	answers_add_caa(&answers, 128, "tbs", "unknown");
	assert_int_equal(judge(&answers), CAA_FORBIDDEN);
}

static void wildcards_go_by_issuewild_where_there_is_one(void **state)
{
	(void)state;
	struct dns_answers answers = {.answer = {.count = 0}};
	answers_add_caa(&answers, 0, "issue", "ca.test");
	asker.is_wildcard = true;
	assert_int_equal(judge(&answers), CAA_ALLOWED);
	answers_add_caa(&answers, 0, "issuewild", ";");
	assert_int_equal(judge(&answers), CAA_FORBIDDEN);
	asker.is_wildcard = false;
	assert_int_equal(judge(&answers), CAA_ALLOWED);
}

/* Beside what is there: narrower than that it must not be, nor wider. */
static void the_record_to_add_is_as_narrow_as_those_that_are_there(void **state)
{
	(void)state;
	judge_issue("other.test");
	assert_int_equal(got.reason, CAA_OTHER_CA);
	assert_string_equal(got.record, "0 issue \"ca.test\"");
	judge_issue("ca.test; accounturi=https://ca.test/acct/2");
	assert_int_equal(got.reason, CAA_OTHER_ACCOUNT);
	assert_string_equal(got.record, "0 issue \"ca.test; accounturi=" ACCOUNT "\"");
	judge_issue("old.ca.test; validationmethods=dns-01");
	assert_int_equal(got.reason, CAA_OTHER_METHOD);
	assert_string_equal(got.record, "0 issue \"ca.test; validationmethods=tls-alpn-01,http-01\"");
	judge_issue("ca.test; accounturi=" ACCOUNT "; validationmethods=dns-01");
	assert_string_equal(
	    got.record, "0 issue \"ca.test; accounturi=" ACCOUNT "; validationmethods=tls-alpn-01,http-01\"");
	asker.is_wildcard = true;
	judge_issue(";");
	assert_string_equal(got.record, "0 issuewild \"ca.test\"");
	asker.is_wildcard = false;
	judge_issue("ca.test");
	assert_int_equal(got.reason, CAA_NO_REASON);
	assert_string_equal(got.record, "");
}

static void a_critical_property_is_named_without_what_could_harm_a_reader(void **state)
{
	(void)state;
	struct dns_answers answers = {.answer = {.count = 0}};
	answers_add_caa(&answers, 128, "t<b\x1b", "unknown");
	judge(&answers);
	assert_int_equal(got.reason, CAA_CRITICAL);
	assert_string_equal(got.record, "t?b?");
}

static void broken_records_are_passed_over(void **state)
{
	(void)state;
	struct dns_answers answers = {.answer = {.count = 0}};
	memcpy(answers_next(&answers, 1), "\0", 1);
	memcpy(answers_next(&answers, 2), "\0\0", 2);
	memcpy(answers_next(&answers, 4), "\0\011is", 4);
	assert_int_equal(judge(&answers), CAA_ALLOWED);
	answers_add_caa(&answers, 0, "issue", ";");
	assert_int_equal(judge(&answers), CAA_FORBIDDEN);
}

static enum caa climbed(enum resolver_outcome first, enum resolver_outcome second, const char *third)
{
	const char *climb[CAA_CLIMB_MAX];
	struct dns_answers top = {.answer = {.count = 0}};
	answers_add_caa(&top, 0, "issue", third);
	struct resolver_answer answers[3] = {{.outcome = first}, {.outcome = second}, top.answer};
	assert_int_equal(caa_climb("shop.brand.test", climb), 3);
	caa_judge(&got, &asker, climb, answers, 3);
	return got.caa;
}

static void the_climb_ends_at_the_first_that_has_records(void **state)
{
	(void)state;
	assert_int_equal(climbed(RESOLVER_NO_NAME, RESOLVER_NO_DATA, "other.test"), CAA_FORBIDDEN);
	assert_non_null(strstr(got.note, "records of test "));
	assert_int_equal(climbed(RESOLVER_NO_DATA, RESOLVER_NO_DATA, "ca.test"), CAA_ALLOWED);
}

static void a_look_up_that_failed_on_the_way_leaves_it_open(void **state)
{
	(void)state;
	assert_int_equal(climbed(RESOLVER_TEMPORARY, RESOLVER_NO_DATA, "other.test"), CAA_UNKNOWN);
	assert_int_equal(climbed(RESOLVER_NO_DATA, RESOLVER_BOGUS, "ca.test"), CAA_BOGUS);
}

static void without_identities_of_the_ca_nothing_is_compared(void **state)
{
	(void)state;
	asker.identity_count = 0;
	assert_int_equal(judge_issue(";"), CAA_ALLOWED);
	asker.identity_count = 2;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_issuer_is_compared_with_every_identity_of_the_ca),
	    cmocka_unit_test(an_empty_issuer_forbids),
	    cmocka_unit_test(what_does_not_follow_the_grammar_forbids),
	    cmocka_unit_test(an_account_must_be_ours_to_the_byte),
	    cmocka_unit_test(methods_are_only_those_that_are_listed),
	    cmocka_unit_test(one_property_that_allows_is_enough),
	    cmocka_unit_test(a_set_without_issue_says_nothing),
	    cmocka_unit_test(an_unknown_critical_property_forbids),
	    cmocka_unit_test(wildcards_go_by_issuewild_where_there_is_one),
	    cmocka_unit_test(the_record_to_add_is_as_narrow_as_those_that_are_there),
	    cmocka_unit_test(a_critical_property_is_named_without_what_could_harm_a_reader),
	    cmocka_unit_test(broken_records_are_passed_over),
	    cmocka_unit_test(the_climb_ends_at_the_first_that_has_records),
	    cmocka_unit_test(a_look_up_that_failed_on_the_way_leaves_it_open),
	    cmocka_unit_test(without_identities_of_the_ca_nothing_is_compared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
