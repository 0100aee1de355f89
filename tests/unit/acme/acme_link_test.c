/* Link headers with alternates: one or several, absolute or relative, and broken ones. */
#include "acme/ca/acme_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char list[3][ACME_URL_SIZE];
static size_t count;

static size_t read_header(const char *header)
{
	count = 0;
	acme_link_read_alternates(list, &count, 3, header, "https://ca.test/cert/1");
	return count;
}

static void several_links_in_one_header_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(read_header("<https://ca.test/cert/1/1>;rel=\"alternate\", <https://ca.test/dir>; "
				     "rel=\"index\" ,</cert/1/2>; title=\"a, b; c\"; REL=alternate"),
	    2);
	assert_string_equal(list[0], "https://ca.test/cert/1/1");
	assert_string_equal(list[1], "https://ca.test/cert/1/2");
}

static void a_relative_target_is_resolved(void **state)
{
	(void)state;
	assert_int_equal(read_header("<1/alternate?x=1>;rel=\"up alternate\""), 1);
	assert_string_equal(list[0], "https://ca.test/cert/1/alternate?x=1");
}

static void what_is_not_https_or_there_already_is_left_out(void **state)
{
	(void)state;
	assert_int_equal(read_header("<http://ca.test/c>;rel=alternate,<file:///etc/passwd>;rel=alternate,"
				     "<https://ca.test/c>;rel=alternate,<https://ca.test/c>;rel=alternate"),
	    1);
}

static void more_than_fit_are_left_out(void **state)
{
	(void)state;
	assert_int_equal(
	    read_header("<1>;rel=alternate,<2>;rel=alternate,<3>;rel=alternate,<4>;rel=alternate"), 3);
}

static void a_broken_header_has_no_alternates(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "x", "<", "<https://ca.test/c", "<https://ca.test/c>",
	    "<https://ca.test/c>;rel", "<https://ca.test/c>;rel=", "<https://ca.test/c>;rel=\"alternate",
	    "<https://ca.test/c>;rel=\"alternates\"", "<https://ca.test/c>;arel=alternate", ";rel=alternate"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (read_header(bad[i]) != 0)
			fail_msg("taken: %s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(several_links_in_one_header_are_told_apart),
	    cmocka_unit_test(a_relative_target_is_resolved),
	    cmocka_unit_test(what_is_not_https_or_there_already_is_left_out),
	    cmocka_unit_test(more_than_fit_are_left_out),
	    cmocka_unit_test(a_broken_header_has_no_alternates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
