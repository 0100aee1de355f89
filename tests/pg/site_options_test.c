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
	assert_string_equal(site->tenant, "default");
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
	assert_null(site->tenant);
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

static void add_target(const char *name, const char *tenant, const char *status, const char *options)
{
	database_run(fixture.db, "INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING", tenant);
	database_run(fixture.db,
	    "INSERT INTO domains (name, tenant, token, status, options)"
	    " VALUES ($1, $2, '0123456789abcdef0123456789abcdef', $3, $4::jsonb)",
	    name, tenant, status, options);
}

static bool is_redirected(const char *name)
{
	struct site *site = cached(name);
	bool is = site->options.redirect != NULL;

	site_unref(site);
	return is;
}

static void redirect_leads_to_the_same_tenant_alone(void **state)
{
	static const struct {
		const char *name, *tenant, *status, *options;
		bool leads;
	} targets[] = {
	    {"example.com", "default", "active", "{}", true},
	    {"example.com", "default", "drifted", "{\"hsts\": 5}", true},
	    {"*.example.com", "default", "active", "{}", false},
	    {"example.com", "default", "pending", "{}", false},
	    {"example.com", "default", "suspended", "{}", false},
	    {"example.com", "other", "active", "{}", false},
	    {"example.com", "default", "active", "{\"redirect\": \"www.example.com\"}", false},
	    {"other.example.com", "default", "active", "{}", false},
	};

	(void)state;
	start_with_options("www.example.com", "{\"redirect\": \"example.com\"}");
	assert_false(is_redirected("www.example.com"));
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		char mark[32];

		add_target(targets[i].name, targets[i].tenant, targets[i].status, targets[i].options);
		snprintf(mark, sizeof mark, "max-age=%zu", i);
		database_run(fixture.db,
		    "UPDATE domains SET options = options || jsonb_build_object('hsts', $1::integer)"
		    " WHERE name = 'www.example.com'",
		    mark + sizeof "max-age=" - 1);
		wait_for_hsts("www.example.com", mark);
		if (is_redirected("www.example.com") != targets[i].leads)
			fail_msg("target %zu", i);
		database_run(fixture.db, "DELETE FROM domains WHERE name <> 'www.example.com'");
	}
}

static void redirect_leads_to_what_a_wildcard_stands_for(void **state)
{
	(void)state;
	store_certificate("shop.test", 1);
	add_domain("shop.test", "active");
	set_options("{\"redirect\": {\"host\": \"eu.shops.test\", \"status\": 301}}");
	add_target("*.shops.test", "default", "active", "{}");
	start_broker();
	find("shop.test");
	expect_ready("shop.test", 1);
	assert_true(is_redirected("shop.test"));
}

/* The rows of both hosts redirect to the other one: neither does. */
static void two_redirects_never_go_round_in_circles(void **state)
{
	(void)state;
	add_argument("cache-max-age", "200ms");
	store_certificate("www.example.com", 1);
	add_target("www.example.com", "default", "active", "{\"redirect\": \"example.com\"}");
	store_certificate("example.com", 1);
	add_target("example.com", "default", "active", "{}");
	start_broker();
	find("www.example.com");
	find("example.com");
	expect_ready("www.example.com", 1);
	expect_ready("example.com", 1);
	assert_true(is_redirected("www.example.com"));
	database_run(fixture.db,
	    "UPDATE domains SET options = '{\"redirect\": \"www.example.com\", \"hsts\": 9}'"
	    " WHERE name = 'example.com'");
	wait_for_hsts("example.com", "max-age=9");
	assert_false(is_redirected("example.com"));
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;
	while (is_redirected("www.example.com")) {
		if (clock_monotonic_ms() > deadline)
			fail_msg("www.example.com still redirects to what redirects to it");
		poll(NULL, 0, 2);
	}
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
	    broker_test(redirect_leads_to_the_same_tenant_alone),
	    broker_test(redirect_leads_to_what_a_wildcard_stands_for),
	    broker_test(two_redirects_never_go_round_in_circles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
