/* What people type to find a domain. */
#include "verifier/claim/name_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void found_by(const char *text, const char *words, const char *part)
{
	struct name_search search;
	if (!name_search_read(&search, text))
		fail_msg("\"%s\" is refused", text);
	assert_string_equal(search.words, words);
	assert_string_equal(search.part, part);
}

static void words_stand_between_dots_and_hyphens(void **state)
{
	(void)state;
	found_by("shop", "{\"shop\"}", "shop");
	found_by("client-bra", "{\"clie\",\"br\"}", "client-bra");
	found_by("shop.client-brand.", "{\"shop\",\"clie\",\"bran\"}", "shop.client-brand.");
	found_by("-a--b.", "{}", "-a--b.");
	found_by("null.abcdefghijklmno", "{\"null\",\"abcdefghijkl\"}", "null.abcdefghijklmno");
	found_by("*.sand", "{\"sand\"}", "*.sand");
}

static void case_and_spaces_are_forgiven(void **state)
{
	(void)state;
	found_by(" \tShop.Brand ", "{\"shop\",\"bran\"}", "shop.brand");
}

static void whole_unicode_name_is_found_by_its_a_labels(void **state)
{
	(void)state;
	found_by("B\xc3\xbc"
		 "cher.de",
	    "{\"xn\",\"bche\",\"kv\",\"de\"}", "xn--bcher-kva.de");
}

static void what_no_name_holds_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	    "", " ", ".", "-.-", "a b", "a'b", "a\\b", "a:*", "a&b", "\xc3\xbc", "\xff", "a/b", "a\nb", "%"};
	struct name_search search;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (name_search_read(&search, wrong[i]))
			fail_msg("\"%s\" is taken", wrong[i]);
}

static void longest_text_fits(void **state)
{
	(void)state;
	struct name_search search;
	char text[HOSTNAME_MAX + 2];
	for (size_t i = 0; i <= HOSTNAME_MAX; i++)
		text[i] = i % 3 == 2 ? '.' : 'a';
	text[HOSTNAME_MAX] = '\0';
	assert_true(name_search_read(&search, text));
	assert_string_equal(search.words + strlen(search.words) - 6, ",\"aa\"}");
	text[HOSTNAME_MAX] = 'a';
	text[HOSTNAME_MAX + 1] = '\0';
	assert_false(name_search_read(&search, text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_stand_between_dots_and_hyphens),
	    cmocka_unit_test(case_and_spaces_are_forgiven),
	    cmocka_unit_test(whole_unicode_name_is_found_by_its_a_labels),
	    cmocka_unit_test(what_no_name_holds_is_refused),
	    cmocka_unit_test(longest_text_fits),
	};
	return cmocka_run_group_tests_name("name_search", tests, NULL, NULL);
}
