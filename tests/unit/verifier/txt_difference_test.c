/* Which mistake was made when the value was copied? */
#include "verifier/diagnose/txt_difference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WANTED "0123456789abcdef0123456789abcdef.verify.saas.test"
#define OLD "fedcba9876543210fedcba9876543210.verify.saas.test"

static enum txt_difference of(const char *found)
{
	const struct resolver_value value = {(unsigned char *)found, strlen(found)};
	return txt_difference(&value, WANTED, "brand.test", "saas.test");
}

static void the_value_itself_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(of(WANTED), TXT_IS_THE_SAME);
}

static void quotes_of_all_kinds_are_seen(void **state)
{
	(void)state;
	assert_int_equal(of("\"" WANTED "\""), TXT_HAS_QUOTES);
	assert_int_equal(of("'" WANTED "'"), TXT_HAS_QUOTES);
	assert_int_equal(of("\\\"" WANTED "\\\""), TXT_HAS_QUOTES);
	assert_int_equal(of("\xe2\x80\x9c" WANTED "\xe2\x80\x9d"), TXT_HAS_QUOTES);
	assert_int_equal(of("\"\"" WANTED "\"\""), TXT_HAS_QUOTES);
	assert_int_equal(of("\"" WANTED), TXT_HAS_QUOTES);
}

static void the_zone_behind_it_is_seen(void **state)
{
	(void)state;
	assert_int_equal(of(WANTED ".brand.test"), TXT_HAS_ZONE);
	assert_int_equal(of(WANTED ".BRAND.test"), TXT_HAS_ZONE);
	assert_int_equal(of(WANTED ".brand.test."), TXT_HAS_DOT);
	assert_int_equal(of(WANTED "."), TXT_HAS_DOT);
	assert_int_equal(of(WANTED "brand.test"), TXT_HAS_MORE);
}

static void blanks_capitals_and_cuts_are_seen(void **state)
{
	(void)state;
	assert_int_equal(of(" " WANTED), TXT_HAS_BLANKS);
	assert_int_equal(of(WANTED "\r\n"), TXT_HAS_BLANKS);
	assert_int_equal(of("\xc2\xa0" WANTED), TXT_HAS_BLANKS);
	assert_int_equal(of("0123456789ABCDEF0123456789ABCDEF.verify.saas.test"), TXT_HAS_CASE);
	assert_int_equal(of("0123456789abcdef0123456789abcdef"), TXT_IS_CUT);
	assert_int_equal(of("0123456789abcdef0123456789abcdef.verify.saas"), TXT_IS_CUT);
	assert_int_equal(of("acme_verify=" WANTED), TXT_HAS_MORE);
	assert_int_equal(of("acme_verify.shop TXT " WANTED " 3600"), TXT_HAS_MORE);
}

static void several_at_once_are_told_by_the_outermost(void **state)
{
	(void)state;
	assert_int_equal(of(" \"" WANTED ".brand.test\""), TXT_HAS_BLANKS);
	assert_int_equal(of("\"" WANTED ".\""), TXT_HAS_QUOTES);
}

static void a_value_of_the_platform_is_old(void **state)
{
	(void)state;
	assert_int_equal(of(OLD), TXT_IS_OLD);
	assert_int_equal(of("\"" OLD "\""), TXT_IS_OLD);
	assert_int_equal(of("Token_of-another-system.verify.saas.test"), TXT_IS_OLD);
	assert_int_equal(of("short.verify.saas.test"), TXT_IS_FOREIGN);
	assert_int_equal(of("say hello to fedcba9876543210.verify.saas.test"), TXT_IS_FOREIGN);
}

static void anything_else_is_foreign(void **state)
{
	(void)state;
	const char *const others[] = {"", "\"", "v=spf1 -all", "0123", ".", "brand.test", ".brand.test",
	    "google-site-verification=abc", "0123456789abcdef.verify.evil.test"};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (of(others[i]) != TXT_IS_FOREIGN)
			fail_msg("%s is %d", others[i], of(others[i]));
}

static void bytes_of_any_kind_and_number_are_read(void **state)
{
	(void)state;
	static unsigned char bytes[70000];
	memset(bytes, '"', sizeof bytes);
	struct resolver_value value = {bytes, sizeof bytes};
	assert_int_equal(txt_difference(&value, WANTED, "brand.test", "saas.test"), TXT_IS_FOREIGN);
	value.size = 1000;
	assert_int_equal(txt_difference(&value, WANTED, "", "saas.test"), TXT_IS_FOREIGN);
	memset(bytes, ' ', sizeof bytes);
	memcpy(bytes, WANTED, strlen(WANTED));
	assert_int_equal(txt_difference(&value, WANTED, "", "saas.test"), TXT_HAS_BLANKS);
	value.size = 5000;
	assert_int_equal(txt_difference(&value, WANTED, "", "saas.test"), TXT_IS_FOREIGN);
	value.size = 1000;
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(txt_difference(&value, WANTED, "brand.test", "saas.test"), TXT_IS_FOREIGN);
	value.size = 0;
	assert_int_equal(txt_difference(&value, WANTED, "brand.test", "saas.test"), TXT_IS_FOREIGN);
}

/* The zone may be the end of the platform's own name. */
static void a_zone_that_is_the_values_own_end_hides_nothing(void **state)
{
	(void)state;
	const struct resolver_value value = {(unsigned char *)OLD, strlen(OLD)};
	assert_int_equal(txt_difference(&value, WANTED, "test", "saas.test"), TXT_IS_OLD);
	const struct resolver_value same = {(unsigned char *)WANTED, strlen(WANTED)};
	assert_int_equal(txt_difference(&same, WANTED, "test", "saas.test"), TXT_IS_THE_SAME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_value_itself_is_the_same),
	    cmocka_unit_test(quotes_of_all_kinds_are_seen),
	    cmocka_unit_test(the_zone_behind_it_is_seen),
	    cmocka_unit_test(blanks_capitals_and_cuts_are_seen),
	    cmocka_unit_test(several_at_once_are_told_by_the_outermost),
	    cmocka_unit_test(a_value_of_the_platform_is_old),
	    cmocka_unit_test(anything_else_is_foreign),
	    cmocka_unit_test(bytes_of_any_kind_and_number_are_read),
	    cmocka_unit_test(a_zone_that_is_the_values_own_end_hides_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
