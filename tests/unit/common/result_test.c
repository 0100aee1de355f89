/* Errors are sentences that are always terminated and never overrun, whatever goes into them. */
#include "common/base/result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void error_holds_the_sentence(void **state)
{
	(void)state;
	struct error error;
	error_set(&error, "line %d is %s", 3, "bad");
	assert_string_equal(error.text, "line 3 is bad");
}

static void error_may_quote_itself(void **state)
{
	(void)state;
	struct error error;
	error_set(&error, "inner");
	error_set(&error, "outer: %s", error.text);
	assert_string_equal(error.text, "outer: inner");
}

static void prefix_goes_before_what_is_there(void **state)
{
	(void)state;
	struct error error;
	error_set(&error, "unknown setting");
	error_prefix(&error, "%s:%d", "postern.conf", 3);
	assert_string_equal(error.text, "postern.conf:3: unknown setting");
}

static void long_sentences_are_cut(void **state)
{
	(void)state;
	struct error error;
	char letters[2 * sizeof error.text];
	memset(letters, 'a', sizeof letters - 1);
	letters[sizeof letters - 1] = '\0';
	error_set(&error, "%s", letters);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	error_prefix(&error, "place");
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	assert_memory_equal(error.text, "place: aaa", 10);
	error_prefix(&error, "%s", letters);
	assert_int_equal(strlen(error.text), sizeof error.text - 1);
	assert_null(strchr(error.text, 'p'));
}

static void no_error_wanted_is_fine(void **state)
{
	(void)state;
	error_set(NULL, "%d", 1);
	error_prefix(NULL, "%d", 1);
}

/* access(2)'s R_OK is 4; see result.h. */
static void ok_is_zero_after_unistd(void **state)
{
	(void)state;
	assert_int_equal(R_OK, 0);
	assert_string_equal(result_name(R_OK), "ok");
}

static void every_result_has_its_own_name(void **state)
{
	(void)state;
	for (int i = R_OK; i <= R_ERROR; i++) {
		assert_string_not_equal(result_name(i), "unknown");
		for (int j = R_OK; j < i; j++)
			assert_string_not_equal(result_name(i), result_name(j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(error_holds_the_sentence),
	    cmocka_unit_test(error_may_quote_itself),
	    cmocka_unit_test(prefix_goes_before_what_is_there),
	    cmocka_unit_test(long_sentences_are_cut),
	    cmocka_unit_test(no_error_wanted_is_fine),
	    cmocka_unit_test(ok_is_zero_after_unistd),
	    cmocka_unit_test(every_result_has_its_own_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
