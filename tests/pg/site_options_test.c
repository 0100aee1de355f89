/* Options of a domain's row on their way into a site: with the certificate, and again when they change. */
#include "tests/support/edge_fixture.h"

#include <openssl/tls1.h>

static struct site *cached(const char *name)
{
	struct site *site = site_cache_find(fixture.cache, name);

	assert_non_null(site);
	return site;
}

static bool hsts_is(const char *name, const char *expected)
{
	struct site *site = cached(name);
	const char *hsts = site->options.hsts ? site->options.hsts : "";
	bool is = strcmp(hsts, expected) == 0;

	site_unref(site);
	return is;
}

static int64_t wait_for_hsts(const char *name, const char *expected)
{
	int64_t start = clock_monotonic_ms();

	while (!hsts_is(name, expected)) {
		if (clock_monotonic_ms() - start > TEST_WAIT_MS)
			fail_msg("%s: its Strict-Transport-Security never became `%s`", name, expected);
		poll(NULL, 0, 2);
	}
	return clock_monotonic_ms() - start;
}

static void set_options(const char *options)
{
	database_run(fixture.db, "UPDATE domains SET options = $1::jsonb WHERE status = 'active'", options);
}

static void start_with_options(const char *name, const char *options)
{
	store_certificate(name, 1);
	add_domain(name, "active");
	set_options(options);
	start_broker();
	find(name);
	expect_ready(name, 1);
}

static void options_and_tenant_come_with_the_certificate(void **state)
{
	(void)state;
	start_with_options("shop.example.com", "{\"upstream\": \"http://127.0.0.1:81\", \"hsts\": 60}");
	struct site *site = cached("shop.example.com");
	assert_string_equal(site->options.tenant, "default");
	assert_string_equal(site->options.upstream, "http://127.0.0.1:81");
	assert_string_equal(site->options.hsts, "max-age=60");
	site_unref(site);
}

static void name_without_a_row_has_no_options(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 1);
	add_domain("shop.example.com", "pending");
	start_broker();
	find("shop.example.com");
	expect_ready("shop.example.com", 1);
	struct site *site = cached("shop.example.com");
	assert_null(site->options.tenant);
	assert_null(site->options.upstream);
	site_unref(site);
}

static void change_is_seen_at_its_notification(void **state)
{
	(void)state;
	start_with_options("shop.example.com", "{\"hsts\": 60}");
	set_options("{\"hsts\": 61}");
	assert_in_range(wait_for_hsts("shop.example.com", "max-age=61"), 0, 1000);
	set_options("{}");
	assert_in_range(wait_for_hsts("shop.example.com", ""), 0, 1000);
}

static void change_is_seen_within_cache_max_age_without_one(void **state)
{
	(void)state;
	add_argument("cache-max-age", "600ms");
	lose_notifications();
	start_with_options("shop.example.com", "{\"hsts\": 60}");
	set_options("{\"hsts\": 61}");
	assert_in_range(wait_for_hsts("shop.example.com", "max-age=61"), 0, 900);
}

static void owner_that_appears_brings_its_options(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 1);
	start_broker();
	find("shop.example.com");
	expect_ready("shop.example.com", 1);
	add_domain("shop.example.com", "pending");
	database_run(fixture.db, "UPDATE domains SET status = 'active', options = '{\"hsts\": 7}'");
	wait_for_hsts("shop.example.com", "max-age=7");
}

static void unknown_and_wrong_options_do_not_unserve(void **state)
{
	(void)state;
	start_with_options("shop.example.com", "{\"hsts\": \"soon\", \"upstream\": 7, \"flavour\": []}");
	set_options("{\"hsts\": 5, \"flavour\": {\"deep\": true}, \"minimum_tls\": \"9\"}");
	wait_for_hsts("shop.example.com", "max-age=5");
}

static void value_out_of_all_bounds_costs_no_other_option(void **state)
{
	(void)state;
	start_with_options("shop.example.com",
	    "{\"hsts\": 5, \"minimum_tls\": \"1.3\", \"z\": 1e400, \"y\": \"\\n\\u2028\"}");
	struct site *site = cached("shop.example.com");
	assert_string_equal(site->options.hsts, "max-age=5");
	assert_int_equal(site->options.minimum_tls, TLS1_3_VERSION);
	site_unref(site);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    broker_test(options_and_tenant_come_with_the_certificate),
	    broker_test(name_without_a_row_has_no_options),
	    broker_test(change_is_seen_at_its_notification),
	    broker_test(change_is_seen_within_cache_max_age_without_one),
	    broker_test(owner_that_appears_brings_its_options),
	    broker_test(unknown_and_wrong_options_do_not_unserve),
	    broker_test(value_out_of_all_bounds_costs_no_other_option),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
