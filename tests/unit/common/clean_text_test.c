/* What peers wrote, made harmless. */
#include "common/base/clean_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void stored_words_hold_no_control_byte_and_are_utf_8(void **state)
{
	(void)state;
	char out[64];
	clean_text(out, sizeof out, "a\r\nb\tc\x1b[31m\x7f");
	assert_string_equal(out, "a  b c [31m ");
	clean_text(out, sizeof out, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_string_equal(out, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
	/* overlong, surrogate, beyond U+10FFFF, cut short, lone continuation, Latin-1 */
	clean_text(out, sizeof out, "\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xe2\x82|\x80|\xfc");
	assert_string_equal(out, "\?\?|\?\?\?|\?\?\?\?|\?\?|?|?");
}

static void stored_words_are_cut_between_characters(void **state)
{
	(void)state;
	char out[6];
	clean_text(out, sizeof out, "abcd\xe2\x82\xac");
	assert_string_equal(out, "abcd");
	clean_text(out, sizeof out, "ab\xe2\x82\xac");
	assert_string_equal(out, "ab\xe2\x82\xac");
	clean_text(out, sizeof out, "abcdefgh");
	assert_string_equal(out, "abcde");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(stored_words_hold_no_control_byte_and_are_utf_8),
	    cmocka_unit_test(stored_words_are_cut_between_characters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
