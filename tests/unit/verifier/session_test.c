/* Which requests with a cookie come from our own page. */
#include "verifier/access/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct session_origin own_page = {.own = "",
    .host = "panel.test:8080",
    .origin = "http://panel.test:8080",
    .fetch_site = "same-origin",
    .marker = "1"};

static void own_page_is_accepted(void **state)
{
	(void)state;
	struct session_origin request = own_page;
	assert_true(session_is_same_origin(&request));
	request.fetch_site = NULL;
	assert_true(session_is_same_origin(&request));
	request.origin = NULL;
	assert_true(session_is_same_origin(&request));
}

static void request_without_the_marker_is_refused(void **state)
{
	(void)state;
	struct session_origin request = own_page;
	request.marker = NULL;
	assert_false(session_is_same_origin(&request));
	request.marker = "0";
	assert_false(session_is_same_origin(&request));
}

static void other_sites_are_refused(void **state)
{
	(void)state;
	struct session_origin request = own_page;
	request.fetch_site = "cross-site";
	assert_false(session_is_same_origin(&request));
	request.fetch_site = "same-site";
	assert_false(session_is_same_origin(&request));
	request.fetch_site = NULL;
	const char *const origins[] = {
	    "http://evil.test", "null", "", "http://panel.test", "http://panel.test:8080.evil.test"};
	for (size_t i = 0; i < sizeof origins / sizeof *origins; i++) {
		request.origin = origins[i];
		assert_false(session_is_same_origin(&request));
	}
}

static void public_url_wins_over_the_host_header(void **state)
{
	(void)state;
	struct session_origin request = own_page;
	request.own = "https://panel.acme-saas.test";
	assert_false(session_is_same_origin(&request));
	request.origin = "https://panel.acme-saas.test";
	assert_true(session_is_same_origin(&request));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(own_page_is_accepted),
	    cmocka_unit_test(request_without_the_marker_is_refused),
	    cmocka_unit_test(other_sites_are_refused),
	    cmocka_unit_test(public_url_wins_over_the_host_header),
	};
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
