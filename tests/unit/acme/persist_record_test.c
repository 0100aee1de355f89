/* The record of dns-persist-01: which one counts, until when, for whom. */
#include "acme/proof/persist_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/dns_answers.h"

#define ACCOUNT "https://ca.test/acct/1"
#define GOOD "ca.test; accounturi=" ACCOUNT

enum { NOW = 2000000000 };

static const struct acme_issuer_names issuers = {.count = 2, .list = {"ca.test", "Other.CA.test."}};

static struct persist_record judge(const char *const *texts, bool needs_wildcard)
{
	struct dns_answers answers = {.answer = {.outcome = RESOLVER_NO_DATA}};
	for (; *texts; texts++)
		answers_add_txt(&answers, *texts);
	return persist_record_judge(&answers.answer, &issuers, ACCOUNT, needs_wildcard, NOW);
}

static enum persist_standing standing(const char *text)
{
	return judge((const char *const[]){text, NULL}, false).standing;
}

static void issuer_and_account_make_a_record(void **state)
{
	(void)state;
	assert_int_equal(standing(GOOD), PERSIST_GOOD);
	assert_int_equal(standing("  CA.TEST ;AccountURI=" ACCOUNT " ; unknown=thing"), PERSIST_GOOD);
	assert_int_equal(standing("other.ca.test.;accounturi=" ACCOUNT), PERSIST_GOOD);
}

static void anything_else_is_somebody_elses(void **state)
{
	(void)state;
	const char *const foreign[] = {"", "hello", "ca.test", "ca.test; accounturi=https://ca.test/acct/2",
	    ("third.test; accounturi=" ACCOUNT), ("; accounturi=" ACCOUNT), "v=spf1 -all",
	    (GOOD "; accounturi=" ACCOUNT), (GOOD "; persistUntil=soon"), (GOOD "; persistUntil="),
	    (GOOD "; persistUntil=-1"), (GOOD "; persistUntil=9999999999999999"), (GOOD " policy=wildcard")};
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
		if (standing(foreign[i]) != PERSIST_FOREIGN)
			fail_msg("\"%s\" is taken for %d", foreign[i], standing(foreign[i]));
}

static void a_record_ends_at_its_time(void **state)
{
	(void)state;
	assert_int_equal(standing(GOOD "; persistUntil=2000000001"), PERSIST_GOOD);
	assert_int_equal(standing(GOOD "; persistuntil=2000000000"), PERSIST_EXPIRED);
	assert_int_equal(standing(GOOD "; persistUntil=0"), PERSIST_EXPIRED);
}

static void the_record_that_lasts_longest_counts(void **state)
{
	(void)state;
	struct persist_record record =
	    judge((const char *const[]){"v=spf1", (GOOD "; persistUntil=1"),
		      (GOOD "; persistUntil=2000000005"), (GOOD "; persistUntil=2000000009"), NULL},
		false);
	assert_int_equal(record.standing, PERSIST_GOOD);
	assert_int_equal(record.until, 2000000009);
	record = judge((const char *const[]){(GOOD "; persistUntil=2000000009"), GOOD, NULL}, false);
	assert_int_equal(record.until, 0);
}

static void wildcards_want_the_policy(void **state)
{
	(void)state;
	const char *const plain[] = {
	    GOOD, (GOOD "; policy=specific"), (GOOD "; policy=wildcard; policy=wildcard"), NULL};
	const char *const wild[] = {GOOD, (GOOD "; Policy=WildCard"), NULL};
	assert_int_equal(judge(plain, true).standing, PERSIST_FOREIGN);
	assert_int_equal(judge(plain, false).standing, PERSIST_GOOD);
	assert_int_equal(judge(wild, true).standing, PERSIST_GOOD);
}

static void no_answer_is_no_verdict(void **state)
{
	(void)state;
	struct resolver_answer answer = {.outcome = RESOLVER_TEMPORARY};
	assert_int_equal(
	    persist_record_judge(&answer, &issuers, ACCOUNT, false, NOW).standing, PERSIST_UNKNOWN);
	answer.outcome = RESOLVER_NO_NAME;
	assert_int_equal(
	    persist_record_judge(&answer, &issuers, ACCOUNT, false, NOW).standing, PERSIST_ABSENT);
}

static void the_name_must_leave_room(void **state)
{
	(void)state;
	char out[HOSTNAME_MAX + 1];
	char longest[HOSTNAME_MAX + 1];
	assert_int_equal(persist_record_name(out, "shop.brand.test"), R_OK);
	assert_string_equal(out, "_validation-persist.shop.brand.test");
	memset(longest, 'a', HOSTNAME_MAX);
	longest[HOSTNAME_MAX] = '\0';
	assert_int_equal(persist_record_name(out, longest), R_INVALID);
	assert_int_equal(persist_record_name(out, longest + strlen(PERSIST_RECORD_PREFIX)), R_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(issuer_and_account_make_a_record),
	    cmocka_unit_test(anything_else_is_somebody_elses),
	    cmocka_unit_test(a_record_ends_at_its_time),
	    cmocka_unit_test(the_record_that_lasts_longest_counts),
	    cmocka_unit_test(wildcards_want_the_policy),
	    cmocka_unit_test(no_answer_is_no_verdict),
	    cmocka_unit_test(the_name_must_leave_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
