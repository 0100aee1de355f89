/* Only the exact whole string of one record proves ownership; what could not be looked up proves nothing. */
#include "verifier/claim/txt_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXPECTED "0123456789abcdef0123456789abcdef.verify.acme-saas.test"

static struct resolver_answer answer_of(struct resolver_value *values, size_t count, const char *const *texts)
{
	for (size_t i = 0; i < count; i++)
		values[i] = (struct resolver_value){(unsigned char *)texts[i], strlen(texts[i])};
	return (struct resolver_answer){.outcome = RESOLVER_FOUND, .values = values, .count = count};
}

static void check_one(const char *found, enum txt_outcome expected)
{
	struct resolver_value value;
	struct resolver_answer answer = answer_of(&value, 1, &found);
	assert_int_equal(txt_check(&answer, EXPECTED), expected);
}

static void exact_string_is_proof(void **state)
{
	(void)state;
	check_one(EXPECTED, TXT_VERIFIED);
}

static void anything_less_or_more_is_no_proof(void **state)
{
	(void)state;
	check_one("", TXT_MISMATCH);
	check_one(EXPECTED ".", TXT_MISMATCH);
	check_one(" " EXPECTED, TXT_MISMATCH);
	check_one("\"" EXPECTED "\"", TXT_MISMATCH);
	check_one(EXPECTED ".evil.test", TXT_MISMATCH);
	check_one("x" EXPECTED, TXT_MISMATCH);
	check_one("0123456789ABCDEF0123456789abcdef.verify.acme-saas.test", TXT_MISMATCH);
	check_one("0123456789abcdef", TXT_MISMATCH);
}

static void bytes_after_a_nul_count(void **state)
{
	(void)state;
	char bytes[sizeof EXPECTED + 4] = EXPECTED;
	struct resolver_value value = {(unsigned char *)bytes, sizeof EXPECTED + 3};
	struct resolver_answer answer = {.outcome = RESOLVER_FOUND, .values = &value, .count = 1};
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_MISMATCH);
}

static void right_one_among_many_is_proof(void **state)
{
	(void)state;
	enum { MANY = 3000 };
	const char *texts[MANY];
	struct resolver_value *values = calloc(MANY, sizeof *values);
	for (size_t i = 0; i < MANY; i++)
		texts[i] = i == MANY - 1 ? EXPECTED : "v=spf1 -all";
	struct resolver_answer answer = answer_of(values, MANY, texts);
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_VERIFIED);
	free(values);
}

static void missing_is_told_from_wrong_and_from_unknown(void **state)
{
	(void)state;
	struct resolver_answer answer = {.outcome = RESOLVER_NO_NAME};
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_ABSENT);
	answer.outcome = RESOLVER_NO_DATA;
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_ABSENT);
	answer.outcome = RESOLVER_TEMPORARY;
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_TEMPORARY);
	answer.outcome = RESOLVER_BOGUS;
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_BOGUS);
	answer.outcome = RESOLVER_FOUND;
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_ABSENT);
}

/* A bogus or failed answer that carries the right value still proves nothing. */
static void value_in_an_untrusted_answer_is_no_proof(void **state)
{
	(void)state;
	const char *text = EXPECTED;
	struct resolver_value value;
	struct resolver_answer answer = answer_of(&value, 1, &text);
	answer.outcome = RESOLVER_BOGUS;
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_BOGUS);
	answer.outcome = RESOLVER_TEMPORARY;
	assert_int_equal(txt_check(&answer, EXPECTED), TXT_TEMPORARY);
}

static void every_outcome_is_explained_with_the_record(void **state)
{
	(void)state;
	struct record wanted = {.type = "TXT", .name = "acme_verify.shop.brand.test", .value = EXPECTED};
	struct resolver_answer answer = {.outcome = RESOLVER_TEMPORARY, .detail = "nobody answered"};
	for (int outcome = TXT_VERIFIED; outcome <= TXT_BOGUS; outcome++) {
		char text[700];
		txt_check_explain((enum txt_outcome)outcome, &answer, &wanted, text, sizeof text);
		assert_non_null(strstr(text, wanted.name));
		bool says_value = outcome == TXT_ABSENT || outcome == TXT_MISMATCH;
		assert_int_equal(strstr(text, EXPECTED) != NULL, says_value);
	}
}

static void shown_value_has_no_byte_but_printable_ascii(void **state)
{
	(void)state;
	unsigned char bytes[] = {'a', '\\', 0, 0x1b, '[', 0xff, 0xe2, 0x80, 0xae, '"'};
	struct resolver_value value = {bytes, sizeof bytes};
	char text[100];
	txt_value_text(&value, text, sizeof text);
	assert_string_equal(text, "a\\092\\000\\027[\\255\\226\\128\\174\"");
}

static void shown_value_is_cut_between_escapes(void **state)
{
	(void)state;
	unsigned char bytes[] = {'a', 0, 0, 0};
	struct resolver_value value = {bytes, sizeof bytes};
	char text[8];
	txt_value_text(&value, text, sizeof text);
	assert_string_equal(text, "a\\000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exact_string_is_proof),
	    cmocka_unit_test(anything_less_or_more_is_no_proof),
	    cmocka_unit_test(bytes_after_a_nul_count),
	    cmocka_unit_test(right_one_among_many_is_proof),
	    cmocka_unit_test(missing_is_told_from_wrong_and_from_unknown),
	    cmocka_unit_test(value_in_an_untrusted_answer_is_no_proof),
	    cmocka_unit_test(every_outcome_is_explained_with_the_record),
	    cmocka_unit_test(shown_value_has_no_byte_but_printable_ascii),
	    cmocka_unit_test(shown_value_is_cut_between_escapes),
	};
	return cmocka_run_group_tests_name("txt_check", tests, NULL, NULL);
}
