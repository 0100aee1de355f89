/* Certificates of wildcards: which names they serve, what a name's own rows change about it, and that
 * invented names cost nothing. */
#include "tests/support/edge_fixture.h"

static const char wildcard[] = "*.sandbox.example.com";

static int64_t lookups(void)
{
	static const char name[] = "postern_edge_broker_lookups_total";

	return metric_get(metrics_counter(name, "result=\"stored\"", NULL)) +
	       metric_get(metrics_counter(name, "result=\"absent\"", NULL)) +
	       metric_get(metrics_counter(name, "result=\"blocked\"", NULL));
}

/* What would be served for the name without asking anybody: "" for nothing. */
static const char *served_as(const char *name)
{
	static char text[HOSTNAME_MAX + 1];
	struct site *site = site_cache_find(fixture.cache, name);

	snprintf(text, sizeof text, "%s", site ? site->name.text : "");
	site_unref(site);
	return text;
}

static void wait_for_served_as(const char *name, const char *expected)
{
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;

	while (strcmp(served_as(name), expected) != 0) {
		if (clock_monotonic_ms() > deadline)
			fail_msg("%s: served as `%s`, not as `%s`", name, served_as(name), expected);
		poll(NULL, 0, 2);
	}
}

static void start_with_wildcard(void)
{
	store_certificate(wildcard, 1);
	start_broker();
	find("first.sandbox.example.com");
	expect_ready("first.sandbox.example.com", 1);
}

static void add_options(const char *name, const char *options)
{
	add_domain(name, "active");
	database_run(fixture.db, "UPDATE domains SET options = $2::jsonb WHERE name = $1", name, options);
}

static void one_label_is_served_underscores_and_all(void **state)
{
	(void)state;
	start_with_wildcard();
	assert_string_equal(served_as("storename_a1b2.sandbox.example.com"), wildcard);
	assert_string_equal(served_as("sandbox.example.com"), "");
	assert_string_equal(served_as("a.b.sandbox.example.com"), "");
	assert_string_equal(served_as("x.othersandbox.example.com"), "");
}

static void ten_thousand_invented_names_cost_no_lookup(void **state)
{
	char name[64];
	(void)state;

	start_with_wildcard();
	int64_t before = lookups();
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "junk_%d.sandbox.example.com", i);
		assert_string_equal(served_as(name), wildcard);
	}
	assert_int_equal(lookups(), before);
	assert_int_equal(site_cache_count(fixture.cache), 1);
}

static void names_that_come_before_the_wildcard_is_cached_share_one_site(void **state)
{
	char name[64];
	(void)state;

	store_certificate(wildcard, 1);
	start_broker();
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof name, "junk%d.sandbox.example.com", i);
		find(name);
	}
	for (int i = 0; i < 300; i++)
		expect_reply(BROKER_READY, NULL);
	assert_int_equal(site_cache_count(fixture.cache), 1);
}

static void own_certificate_wins(void **state)
{
	(void)state;
	store_certificate("own.sandbox.example.com", 2);
	start_with_wildcard();
	assert_string_equal(served_as("own.sandbox.example.com"), "");
	find("own.sandbox.example.com");
	expect_ready("own.sandbox.example.com", 2);
	assert_string_equal(served_as("own.sandbox.example.com"), "own.sandbox.example.com");
}

static void own_certificate_that_comes_later_wins_at_its_notification(void **state)
{
	(void)state;
	start_with_wildcard();
	assert_string_equal(served_as("own.sandbox.example.com"), wildcard);
	store_certificate("own.sandbox.example.com", 2);
	wait_for_served_as("own.sandbox.example.com", "");
	find("own.sandbox.example.com");
	expect_ready("own.sandbox.example.com", 2);
}

static void own_certificate_that_comes_later_wins_within_cache_max_age(void **state)
{
	(void)state;
	add_argument("cache-max-age", "600ms");
	lose_notifications();
	start_with_wildcard();
	store_certificate("own.sandbox.example.com", 2);
	wait_for_served_as("own.sandbox.example.com", "");
}

static void own_certificate_that_goes_leaves_the_name_to_the_wildcard(void **state)
{
	(void)state;
	store_certificate("own.sandbox.example.com", 7);
	start_with_wildcard();
	find("own.sandbox.example.com");
	expect_ready("own.sandbox.example.com", 7);
	database_run(fixture.db, "DELETE FROM certificates WHERE name = 'own.sandbox.example.com'");
	wait_for_served_as("own.sandbox.example.com", wildcard);
}

static void own_row_brings_its_options_to_the_wildcard(void **state)
{
	(void)state;
	add_options("paid.sandbox.example.com", "{\"hsts\": 60}");
	add_options(wildcard, "{\"hsts\": 5}");
	start_with_wildcard();
	find("paid.sandbox.example.com");
	expect_ready("paid.sandbox.example.com", 1);
	struct site *own = site_cache_find(fixture.cache, "paid.sandbox.example.com");
	struct site *shared = site_cache_find(fixture.cache, "other.sandbox.example.com");
	assert_string_equal(own->options.hsts, "max-age=60");
	assert_string_equal(shared->options.hsts, "max-age=5");
	assert_true(own->borrowed);
	site_unref(own);
	site_unref(shared);
	database_run(fixture.db, "DELETE FROM domains WHERE name = 'paid.sandbox.example.com'");
	wait_for_served_as("paid.sandbox.example.com", wildcard);
}

static void suspended_name_is_not_served_by_the_wildcard(void **state)
{
	(void)state;
	add_domain("bad.sandbox.example.com", "suspended");
	start_with_wildcard();
	find("bad.sandbox.example.com");
	expect_reply(BROKER_DENIED, "suspended");
	add_domain("late.sandbox.example.com", "active");
	wait_for_served_as("late.sandbox.example.com", "");
	find("late.sandbox.example.com");
	expect_ready("late.sandbox.example.com", 1);
	database_run(
	    fixture.db, "UPDATE domains SET status = 'suspended' WHERE name = 'late.sandbox.example.com'");
	wait_for_served_as("late.sandbox.example.com", "");
	find("late.sandbox.example.com");
	expect_reply(BROKER_DENIED, "suspended");
}

static void suspended_wildcard_takes_its_names_along_but_not_those_with_an_owner(void **state)
{
	(void)state;
	add_domain(wildcard, "active");
	add_domain("paid.sandbox.example.com", "active");
	start_with_wildcard();
	find("paid.sandbox.example.com");
	expect_ready("paid.sandbox.example.com", 1);
	database_run(fixture.db, "UPDATE domains SET status = 'suspended' WHERE name = $1", wildcard);
	wait_for_served_as("other.sandbox.example.com", "");
	find("other.sandbox.example.com");
	expect_reply(BROKER_DENIED, "suspended");
	assert_string_equal(served_as("paid.sandbox.example.com"), "paid.sandbox.example.com");
}

static void pending_claim_changes_nothing(void **state)
{
	(void)state;
	add_domain("claimed.sandbox.example.com", "pending");
	start_with_wildcard();
	assert_string_equal(served_as("claimed.sandbox.example.com"), wildcard);
}

static void renewed_wildcard_is_taken_over_and_its_borrowers_with_it(void **state)
{
	(void)state;
	add_options("paid.sandbox.example.com", "{}");
	start_with_wildcard();
	find("paid.sandbox.example.com");
	expect_ready("paid.sandbox.example.com", 1);
	store_certificate(wildcard, 2);
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS, versions = 0;
	while (versions != 4) {
		struct site *own = site_cache_find(fixture.cache, "paid.sandbox.example.com");
		struct site *shared = site_cache_find(fixture.cache, "other.sandbox.example.com");

		versions = own->stamp.version + shared->stamp.version;
		site_unref(own);
		site_unref(shared);
		assert_true(clock_monotonic_ms() < deadline);
		poll(NULL, 0, 2);
	}
}

static void refused_name_is_served_as_soon_as_there_is_a_wildcard(void **state)
{
	(void)state;
	ask_server_say(fixture.ask_server, 404, 0);
	add_argument("negative-ttl", "10s");
	start_broker();
	find("early.sandbox.example.com");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_DENIED, "denied");
	assert_int_equal(site_cache_find_refusal(fixture.cache, "early.sandbox.example.com"), REFUSAL_DENIED);
	store_certificate(wildcard, 1);
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;
	while (site_cache_find_refusal(fixture.cache, "early.sandbox.example.com") != REFUSAL_NONE) {
		assert_true(clock_monotonic_ms() < deadline);
		poll(NULL, 0, 2);
	}
	find("early.sandbox.example.com");
	expect_ready("early.sandbox.example.com", 1);
}

static void name_with_an_underscore_never_reaches_ask(void **state)
{
	(void)state;
	start_broker();
	find("no_wildcard.example.com");
	expect_reply(BROKER_DENIED, "denied");
	assert_int_equal(ask_server_asks(fixture.ask_server), 0);
}

static void wildcard_of_a_registry_serves_nobody(void **state)
{
	(void)state;
	store_certificate("*.co.uk", 1);
	store_certificate("*.com", 2);
	ask_server_say(fixture.ask_server, 404, 0);
	start_broker();
	find("shop.co.uk");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_DENIED, "denied");
	find("shop.com");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_DENIED, "denied");
}

static void certificate_that_is_not_for_the_wildcard_does_not_serve(void **state)
{
	char pem[TEST_CHAIN_MAX];
	EVP_PKEY *key = NULL;
	(void)state;

	test_make_certificate("*.other.example.com", -60, 3600, &key, pem);
	store_row(wildcard, 1, pem, key, wildcard);
	EVP_PKEY_free(key);
	ask_server_say(fixture.ask_server, 404, 0);
	start_broker();
	find("a.sandbox.example.com");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_DENIED, "denied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    broker_test(one_label_is_served_underscores_and_all),
	    broker_test(ten_thousand_invented_names_cost_no_lookup),
	    broker_test(names_that_come_before_the_wildcard_is_cached_share_one_site),
	    broker_test(own_certificate_wins),
	    broker_test(own_certificate_that_comes_later_wins_at_its_notification),
	    broker_test(own_certificate_that_comes_later_wins_within_cache_max_age),
	    broker_test(own_certificate_that_goes_leaves_the_name_to_the_wildcard),
	    broker_test(own_row_brings_its_options_to_the_wildcard),
	    broker_test(suspended_name_is_not_served_by_the_wildcard),
	    broker_test(suspended_wildcard_takes_its_names_along_but_not_those_with_an_owner),
	    broker_test(pending_claim_changes_nothing),
	    broker_test(renewed_wildcard_is_taken_over_and_its_borrowers_with_it),
	    broker_test(refused_name_is_served_as_soon_as_there_is_a_wildcard),
	    broker_test(name_with_an_underscore_never_reaches_ask),
	    broker_test(wildcard_of_a_registry_serves_nobody),
	    broker_test(certificate_that_is_not_for_the_wildcard_does_not_serve),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
