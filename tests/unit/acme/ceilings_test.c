/* What the ceilings of a CA are: said by the operator, or known. */
#include "acme/ca/ceilings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_number_in_a_time_is_read(void **state)
{
	static const struct {
		const char *text;
		int64_t count, period_s;
	} cases[] = {{"300/3h", 300, 3 * 3600}, {"50/7d", 50, 7 * 24 * 3600}, {"1/30s", 1, 30},
	    {"5/90m", 5, 5400}, {"0", 0, 0}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ceiling rule;
		struct error error;
		if (ceiling_parse(&rule, cases[i].text, &error) != R_OK)
			fail_msg("%s: %s", cases[i].text, error.text);
		assert_int_equal(rule.count, cases[i].count);
		assert_int_equal(rule.period_s, cases[i].period_s);
	}
}

static void nonsense_is_refused_with_the_mend(void **state)
{
	static const char *const cases[] = {"", "300", "300/", "/3h", "-1/3h", "+5/3h", " 5/3h", "5 /3h",
	    "5/3", "5/h", "5/0h", "5/-3h", "5/ 3h", "5/3hours", "5/3h/2", "0/3h", "5/367d", "9999999999/1h",
	    "5/3w", "99999999999999999999/1h"};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ceiling rule;
		struct error error;
		if (ceiling_parse(&rule, cases[i], &error) != R_INVALID)
			fail_msg("`%s` was taken", cases[i]);
		assert_non_null(strstr(error.text, "300/3h"));
		assert_int_equal(rule.count, 0);
	}
}

static void lets_encrypts_ceilings_are_known_and_nobody_elses(void **state)
{
	const struct ceilings_settings nothing = {.is_set = {false}};
	struct ceilings budget;
	(void)state;
	ceilings_of_directory(&budget, &nothing, "https://acme-v02.api.letsencrypt.org/directory");
	assert_int_equal(budget.rules[BUDGET_ORDERS].count, 300);
	assert_int_equal(budget.rules[BUDGET_EXACT].count, 5);
	assert_true(budget.rules[BUDGET_DOMAIN].count < 50);
	assert_true(budget.rules[BUDGET_REQUESTS].count <= 250);
	assert_int_equal(budget.rules[BUDGET_REQUESTS].period_s, 1);
	ceilings_of_directory(&budget, &nothing, "https://acme-v02.api.letsencrypt.org.evil.test/directory");
	for (int at = 0; at < BUDGET_CEILINGS; at++)
		assert_int_equal(budget.rules[at].count, 0);
}

static void the_operators_word_is_above_what_is_known(void **state)
{
	const struct ceilings_settings settings = {.is_set = {[BUDGET_ORDERS] = true, [BUDGET_EXACT] = true},
	    .rules = {[BUDGET_ORDERS] = {1000, 3600}}};
	struct ceilings budget;
	(void)state;
	ceilings_of_directory(&budget, &settings, "https://acme-v02.api.letsencrypt.org/directory");
	assert_int_equal(budget.rules[BUDGET_ORDERS].count, 1000);
	assert_int_equal(budget.rules[BUDGET_EXACT].count, 0);
	assert_int_equal(budget.rules[BUDGET_FAILURES].count, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_number_in_a_time_is_read),
	    cmocka_unit_test(nonsense_is_refused_with_the_mend),
	    cmocka_unit_test(lets_encrypts_ceilings_are_known_and_nobody_elses),
	    cmocka_unit_test(the_operators_word_is_above_what_is_known),
	};
	return cmocka_run_group_tests_name("ceilings", tests, NULL, NULL);
}
