#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "edge/upstream/upstream_url.h"

static void expect(const char *text, bool tls, const char *host, const char *port, const char *authority)
{
	struct upstream_url url;

	assert_int_equal(upstream_url_parse(&url, text, NULL), R_OK);
	assert_int_equal(url.tls, tls);
	assert_string_equal(url.host, host);
	assert_string_equal(url.port, port);
	assert_string_equal(url.authority, authority);
}

static void urls_fall_into_parts(void **state)
{
	(void)state;
	expect("http://127.0.0.1:8080", false, "127.0.0.1", "8080", "127.0.0.1:8080");
	expect("http://app.internal/", false, "app.internal", "80", "app.internal");
	expect("https://app_1.internal", true, "app_1.internal", "443", "app_1.internal");
	expect("https://[::1]:8443/", true, "::1", "8443", "[::1]:8443");
	expect("http://[2001:db8::1]", false, "2001:db8::1", "80", "[2001:db8::1]");
}

static void http2_without_tls_has_a_scheme_of_its_own(void **state)
{
	struct upstream_url url;

	(void)state;
	assert_int_equal(upstream_url_parse(&url, "h2c://127.0.0.1:50051", NULL), R_OK);
	assert_true(url.h2c && !url.tls);
	assert_string_equal(upstream_url_scheme(&url), "h2c");
	assert_string_equal(url.port, "50051");
	assert_int_equal(upstream_url_parse(&url, "http://127.0.0.1", NULL), R_OK);
	assert_false(url.h2c);
	assert_string_equal(upstream_url_scheme(&url), "http");
}

static void bad_urls_are_refused_with_the_mend(void **state)
{
	static const char *const texts[] = {"http://", "http:///", "http://:80",
	    "http://127.0.0.1:", "ftp://127.0.0.1", "http://127.0.0.1:99999", "http://127.0.0.1:0",
	    "http://127.0.0.1:80x", "http://127.0.0.1:8 0", "http://127.0.0.1/app", "http://127.0.0.1?x",
	    "http://127.0.0.1#x", "http://[::1", "http://[::1]x", "http://[app]:80",
	    "http://user@127.0.0.1:80", "h2c://", "h2://127.0.0.1", "h2cs://127.0.0.1", "http://a b",
	    "http://a\r\nb", "http://a:80:80", "127.0.0.1:80", "", "https:/a"};
	struct upstream_url url;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct error error = {""};

		if (upstream_url_parse(&url, texts[i], &error) != R_INVALID ||
		    !strstr(error.text, "write http"))
			fail_msg("%s was taken, or refused without the mend: %s", texts[i], error.text);
	}
}

static void a_host_that_is_too_long_is_refused(void **state)
{
	char text[8 + UPSTREAM_HOST_MAX + 2] = "http://";
	struct upstream_url url;

	(void)state;
	memset(text + 7, 'a', UPSTREAM_HOST_MAX);
	assert_int_equal(upstream_url_parse(&url, text, NULL), R_OK);
	text[7 + UPSTREAM_HOST_MAX] = 'a';
	assert_int_equal(upstream_url_parse(&url, text, NULL), R_INVALID);
}

static void addresses_are_known_from_names(void **state)
{
	char text[NET_ADDRESS_TEXT];
	struct net_address address;
	struct upstream_url url;

	(void)state;
	upstream_url_parse(&url, "http://127.0.0.2:81", NULL);
	assert_true(upstream_url_address(&url, &address));
	assert_string_equal(net_format_address(&address, text), "127.0.0.2:81");
	upstream_url_parse(&url, "https://[::1]", NULL);
	assert_true(upstream_url_address(&url, &address));
	assert_string_equal(net_format_address(&address, text), "[::1]:443");
	upstream_url_parse(&url, "http://127.0.0.2.example", NULL);
	assert_false(upstream_url_address(&url, &address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls_fall_into_parts),
	    cmocka_unit_test(http2_without_tls_has_a_scheme_of_its_own),
	    cmocka_unit_test(bad_urls_are_refused_with_the_mend),
	    cmocka_unit_test(a_host_that_is_too_long_is_refused),
	    cmocka_unit_test(addresses_are_known_from_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
