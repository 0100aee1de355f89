#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "edge/upstream.h"

static void urls_become_addresses(void **state)
{
	static struct upstream_list list;

	(void)state;
	assert_int_equal(upstream_list_add(&list, "http://127.0.0.1:8080", NULL), R_OK);
	assert_int_equal(upstream_list_add(&list, "http://127.0.0.2/", NULL), R_OK);
	assert_int_equal(upstream_list_add(&list, "http://[::1]:81", NULL), R_OK);
	assert_int_equal(upstream_list_add(&list, "http://[::1]", NULL), R_OK);
	assert_int_equal(list.count, 4);
	assert_string_equal(list.addresses[0].text, "127.0.0.1:8080");
	assert_string_equal(list.addresses[1].text, "127.0.0.2:80");
	assert_string_equal(list.addresses[2].text, "[::1]:81");
	assert_string_equal(list.addresses[3].text, "[::1]:80");
}

static void the_same_address_counts_once(void **state)
{
	static struct upstream_list list;

	(void)state;
	assert_int_equal(upstream_list_add(&list, "http://127.0.0.1:80", NULL), R_OK);
	assert_int_equal(upstream_list_add(&list, "http://127.0.0.1", NULL), R_OK);
	assert_int_equal(list.count, 1);
}

static void bad_urls_are_refused_with_the_mend(void **state)
{
	static const char *const urls[] = {"http://", "http:///", "http://:80",
	    "http://127.0.0.1:", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://127.0.0.1:80x",
	    "http://127.0.0.1:8 0", "http://127.0.0.1/app", "http://127.0.0.1?x", "http://[::1",
	    "http://[::1]x", "http://user@127.0.0.1:80", "http://no-such-host.invalid:80",
	    "https://127.0.0.1:443", "127.0.0.1:80", ""};
	static struct upstream_list list;

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		struct error error = {{0}};

		if (upstream_list_add(&list, urls[i], &error) != R_INVALID || error.text[0] == '\0')
			fail_msg("%s was taken, or refused without a word", urls[i]);
	}
	assert_int_equal(list.count, 0);
}

static void more_addresses_than_there_is_room_for_are_refused(void **state)
{
	static struct upstream_list list;
	struct error error = {{0}};

	(void)state;
	for (int i = 0; i < UPSTREAM_ADDRESSES_MAX; i++) {
		char url[64];

		snprintf(url, sizeof url, "http://127.0.0.1:%d", 1000 + i);
		assert_int_equal(upstream_list_add(&list, url, &error), R_OK);
	}
	assert_int_equal(upstream_list_add(&list, "http://127.0.0.1:999", &error), R_LIMIT);
	assert_non_null(strstr(error.text, "64"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls_become_addresses),
	    cmocka_unit_test(the_same_address_counts_once),
	    cmocka_unit_test(bad_urls_are_refused_with_the_mend),
	    cmocka_unit_test(more_addresses_than_there_is_room_for_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
