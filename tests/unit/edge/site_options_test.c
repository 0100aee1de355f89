/* Options of a domain: what each key comes to, and that what is wrong is left out alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/tls1.h>
#include <stdio.h>
#include <string.h>

#include "common/log/log.h"
#include "edge/site/site_options.h"

static struct domain_options options;

static const struct domain_options *read_json(const char *json)
{
	domain_options_fini(&options);
	site_options_read(&options, json, true, "shop.example.com");
	return &options;
}

static int fini(void **state)
{
	(void)state;
	domain_options_fini(&options);
	return 0;
}

static void no_row_means_no_options(void **state)
{
	struct domain_options none;
	const struct domain_options zero = {0};

	(void)state;
	site_options_read(&none, NULL, true, "shop.example.com");
	assert_memory_equal(&none, &zero, sizeof none);
}

static void every_key_is_read(void **state)
{
	(void)state;
	read_json("{\"upstream\":\"http://app.internal:8080\",\"minimum_tls\":\"1.3\",\"hsts\":63072000}");
	assert_string_equal(options.upstream, "http://app.internal:8080");
	assert_string_equal(options.hsts, "max-age=63072000");
	assert_int_equal(options.minimum_tls, TLS1_3_VERSION);
	assert_int_equal(read_json("{\"minimum_tls\":\"1.2\"}")->minimum_tls, TLS1_2_VERSION);
}

static void hsts_says_what_its_object_says(void **state)
{
	(void)state;
	assert_string_equal(read_json("{\"hsts\":{\"max_age\":31536000}}")->hsts, "max-age=31536000");
	assert_string_equal(
	    read_json("{\"hsts\":{\"max_age\":9,\"include_subdomains\":true,\"preload\":true}}")->hsts,
	    "max-age=9; includeSubDomains; preload");
	assert_string_equal(
	    read_json("{\"hsts\":{\"max_age\":9,\"include_subdomains\":false}}")->hsts, "max-age=9");
	assert_string_equal(read_json("{\"hsts\":0}")->hsts, "max-age=0");
}

static void wrong_hsts_is_left_out(void **state)
{
	static const char *const wrong[] = {"{\"hsts\":-1}", "{\"hsts\":\"1\"}", "{\"hsts\":null}",
	    "{\"hsts\":{}}", "{\"hsts\":true}", "{\"hsts\":1.5}", "{\"hsts\":[1]}",
	    "{\"hsts\":{\"max_age\":\"9\"}}", "{\"hsts\":{\"max_age\":9,\"preload\":1}}",
	    "{\"hsts\":{\"max_age\":9,\"includeSubDomains\":true}}", "{\"hsts\":315360001}",
	    "{\"hsts\":9223372036854775807}"};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (read_json(wrong[i])->hsts)
			fail_msg("%s became %s", wrong[i], options.hsts);
}

static void upstreams_with_a_port_or_address_are_taken(void **state)
{
	static const char *const fine[] = {"http://app", "https://app.internal/", "http://10.0.0.1:80",
	    "http://[fd00::1]:8080", "HTTPS://app:443"};
	char json[128];

	(void)state;
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		snprintf(json, sizeof json, "{\"upstream\":\"%s\"}", fine[i]);
		if (!read_json(json)->upstream)
			fail_msg("%s was left out", fine[i]);
	}
}

static void wrong_upstream_is_left_out(void **state)
{
	static const char *const wrong[] = {"{\"upstream\":\"\"}", "{\"upstream\":\"app:80\"}",
	    "{\"upstream\":\"ftp://app\"}", "{\"upstream\":\"file:///etc/passwd\"}",
	    "{\"upstream\":\"http://\"}", "{\"upstream\":\"http://a b\"}",
	    "{\"upstream\":\"http://user:word@app\"}", "{\"upstream\":\"http://app/path\"}",
	    "{\"upstream\":\"http://app?x\"}", "{\"upstream\":\"http://app#x\"}",
	    "{\"upstream\":\"http://app:65536\"}", "{\"upstream\":\"http://app:0\"}",
	    "{\"upstream\":\"http://app:x\"}", "{\"upstream\":80}", "{\"upstream\":\"http://a\\u0000b\"}",
	    "{\"upstream\":\"http://a\\r\\nb\"}"};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (read_json(wrong[i])->upstream)
			fail_msg("%s became %s", wrong[i], options.upstream);
}

static void wrong_minimum_tls_is_left_out(void **state)
{
	static const char *const wrong[] = {"{\"minimum_tls\":1.3}", "{\"minimum_tls\":\"1.1\"}",
	    "{\"minimum_tls\":\"TLSv1.3\"}", "{\"minimum_tls\":\"\"}", "{\"minimum_tls\":null}"};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (read_json(wrong[i])->minimum_tls)
			fail_msg("%s was taken", wrong[i]);
}

static void wrong_and_unknown_keys_leave_the_others(void **state)
{
	(void)state;
	read_json("{\"colour\":\"red\",\"hsts\":-1,\"minimum_tls\":\"1.3\",\"upstream\":\"no\"}");
	assert_int_equal(options.minimum_tls, TLS1_3_VERSION);
	assert_null(options.hsts);
	assert_null(options.upstream);
}

static void damaged_text_has_no_options(void **state)
{
	static const char *const damaged[] = {
	    "", "{", "[]", "7", "\"text\"", "{\"hsts\":1,\"hsts\":2}", "null"};

	(void)state;
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		read_json(damaged[i]);
		assert_null(options.hsts);
	}
}

static void each_line_stands_for_itself(void **state)
{
	(void)state;
	read_json(
	    "{\"hsts\":1e999}\n{\"x\":123456789012345678901234567890}\n{\"minimum_tls\":\"1.3\"}\nnull\n{");
	assert_int_equal(options.minimum_tls, TLS1_3_VERSION);
	assert_null(options.hsts);
}

static void redirect_that_does_not_lead_is_left_out(void **state)
{
	struct domain_options read;

	(void)state;
	assert_string_equal(read_json("{\"redirect\":\"example.com\"}")->redirect, "example.com");
	site_options_read(&read, "{\"redirect\":\"example.com\"}\n{\"hsts\":5}", false, "www.example.com");
	assert_null(read.redirect);
	assert_non_null(read.hsts);
	domain_options_fini(&read);
}

static void unreadable_list_of_visitors_lets_nobody_in(void **state)
{
	static const char *const closed[] = {"{\"deny\":[\"192.0.2.1/24\"]}", "{\"allow\":[]}",
	    "{\"allow\":\"192.0.2.1\"}", "{\"deny\": [1e999]}", "{\"allow\": [1e999]}", "{\"deny\"",
	    "{\"hsts\":5}\n{\"deny\":null}\n{\"allow\":[\"192.0.2.1\"]}"};
	static const char *const open[] = {"{\"denial\": [1e999]}", "{\"hsts\": 1e999}", "[]",
	    "{\"hsts\":\"deny\"}", "{\"allow\":[\"192.0.2.1\"]}"};

	(void)state;
	for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
		if (domain_options_admit(read_json(closed[i]), "192.0.2.1"))
			fail_msg("%s let a visitor in", closed[i]);
	for (size_t i = 0; i < sizeof open / sizeof *open; i++)
		if (!domain_options_admit(read_json(open[i]), "192.0.2.1"))
			fail_msg("%s let nobody in", open[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(no_row_means_no_options, fini),
	    cmocka_unit_test_teardown(every_key_is_read, fini),
	    cmocka_unit_test_teardown(hsts_says_what_its_object_says, fini),
	    cmocka_unit_test_teardown(wrong_hsts_is_left_out, fini),
	    cmocka_unit_test_teardown(upstreams_with_a_port_or_address_are_taken, fini),
	    cmocka_unit_test_teardown(wrong_upstream_is_left_out, fini),
	    cmocka_unit_test_teardown(wrong_minimum_tls_is_left_out, fini),
	    cmocka_unit_test_teardown(wrong_and_unknown_keys_leave_the_others, fini),
	    cmocka_unit_test_teardown(damaged_text_has_no_options, fini),
	    cmocka_unit_test_teardown(each_line_stands_for_itself, fini),
	    cmocka_unit_test_teardown(redirect_that_does_not_lead_is_left_out, fini),
	    cmocka_unit_test_teardown(unreadable_list_of_visitors_lets_nobody_in, fini),
	};

	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
