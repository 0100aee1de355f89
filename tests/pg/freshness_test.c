/* Keeping the cache true: what changes in the database is seen at once by its notification, within
 * cache-max-age without it, and nothing is dropped because the database is away. */
#include "tests/support/edge_fixture.h"

static int64_t cached_version(const char *name)
{
	struct site *site = site_cache_find(fixture.cache, name);
	int64_t version = site ? site->stamp.version : 0;

	site_unref(site);
	return version;
}

/* Until the cache has that version of the name (0: none). Returns the milliseconds it took. */
static int64_t wait_for_version(const char *name, int64_t version)
{
	int64_t start = clock_monotonic_ms();

	while (cached_version(name) != version) {
		if (clock_monotonic_ms() - start > TEST_WAIT_MS)
			fail_msg(
			    "%s: still version %d, not %d", name, (int)cached_version(name), (int)version);
		poll(NULL, 0, 2);
	}
	return clock_monotonic_ms() - start;
}

static int64_t compared(void)
{
	return metric_get(metrics_counter("postern_edge_revalidations_total", "result=\"compared\"", NULL));
}

static int64_t unusable_rows(void)
{
	return metric_get(metrics_counter("postern_edge_unusable_rows_total", NULL, NULL));
}

static void wait_for_rise(int64_t (*read)(void), int64_t by)
{
	int64_t wanted = read() + by, deadline = clock_monotonic_ms() + TEST_WAIT_MS;

	while (read() < wanted) {
		if (clock_monotonic_ms() > deadline)
			fail_msg("a metric did not rise by %d", (int)by);
		poll(NULL, 0, 2);
	}
}

static void start_with(const char *name, int64_t version)
{
	store_certificate(name, version);
	start_broker();
	find(name);
	expect_ready(name, version);
}

static void renewal_is_taken_over_at_its_notification(void **state)
{
	(void)state;
	start_with("shop.example.com", 1);
	store_certificate("shop.example.com", 2);
	assert_in_range(wait_for_version("shop.example.com", 2), 0, 1000);
}

static void renewal_is_taken_over_within_cache_max_age_without_one(void **state)
{
	(void)state;
	add_argument("cache-max-age", "600ms");
	lose_notifications();
	start_with("shop.example.com", 1);
	store_certificate("shop.example.com", 2);
	assert_in_range(wait_for_version("shop.example.com", 2), 0, 800);
}

static void released_domain_is_dropped_at_its_notification(void **state)
{
	(void)state;
	add_domain("shop.example.com", "active");
	start_with("shop.example.com", 1);
	database_run(fixture.db, "UPDATE domains SET status = 'released'");
	assert_in_range(wait_for_version("shop.example.com", 0), 0, 1000);
}

static void released_domain_is_dropped_within_cache_max_age_without_one(void **state)
{
	(void)state;
	add_argument("cache-max-age", "600ms");
	lose_notifications();
	add_domain("shop.example.com", "active");
	start_with("shop.example.com", 1);
	database_run(fixture.db, "UPDATE domains SET status = 'released'");
	assert_in_range(wait_for_version("shop.example.com", 0), 0, 800);
}

static void deleted_certificate_is_dropped(void **state)
{
	(void)state;
	start_with("shop.example.com", 1);
	database_run(fixture.db, "DELETE FROM certificates");
	wait_for_version("shop.example.com", 0);
}

static void pending_claim_of_another_tenant_drops_nothing(void **state)
{
	(void)state;
	start_with("shop.example.com", 1);
	int64_t before = compared();
	add_domain("shop.example.com", "pending");
	wait_for_rise(compared, compared() == before);
	assert_int_equal(cached_version("shop.example.com"), 1);
}

static void older_version_never_overwrites_a_newer_one(void **state)
{
	(void)state;
	start_with("shop.example.com", 7);
	int64_t before = compared();
	store_certificate("shop.example.com", 6);
	wait_for_rise(compared, compared() == before);
	assert_int_equal(cached_version("shop.example.com"), 7);
}

static void damaged_newer_row_leaves_the_good_one(void **state)
{
	(void)state;
	start_with("shop.example.com", 1);
	int64_t before = unusable_rows();
	store_truncated("shop.example.com", 2);
	wait_for_rise(unusable_rows, unusable_rows() == before);
	assert_int_equal(cached_version("shop.example.com"), 1);
	store_certificate("shop.example.com", 3);
	wait_for_version("shop.example.com", 3);
}

static void database_that_is_away_drops_nothing_and_is_read_again(void **state)
{
	(void)state;
	add_argument("cache-max-age", "200ms");
	start_with("shop.example.com", 1);
	store_certificate("other.example.com", 1);
	find("other.example.com");
	expect_ready("other.example.com", 1);
	take_database_away();
	lose_notifications();
	store_certificate("shop.example.com", 2);
	database_run(fixture.db, "DELETE FROM certificates WHERE name = 'other.example.com'");
	poll(NULL, 0, 600); /* three times the age that a cached site may have */
	assert_int_equal(cached_version("shop.example.com"), 1);
	assert_int_equal(cached_version("other.example.com"), 1);
	bring_database_back();
	wait_for_version("shop.example.com", 2);
	wait_for_version("other.example.com", 0);
}

/* cache-max-age is an hour here: only the reconnect can bring the news. */
static void everything_is_read_again_when_the_listener_is_back(void **state)
{
	(void)state;
	start_with("shop.example.com", 1);
	lose_notifications();
	store_certificate("shop.example.com", 2);
	end_connections("postern-edge-listen");
	wait_for_version("shop.example.com", 2);
}

static void everything_is_read_again_when_the_connection_is_new(void **state)
{
	(void)state;
	add_argument("database-listen", "host=127.0.0.1 port=1 user=nobody dbname=none");
	store_certificate("shop.example.com", 1);
	start_broker_unready();
	wait_until(is_ready, "broker_is_ready");
	find("shop.example.com");
	expect_ready("shop.example.com", 1);
	store_certificate("shop.example.com", 2);
	end_connections("postern-edge");
	find("unknown.example.com"); /* the first to notice the end of the connection */
	wait_for_version("shop.example.com", 2);
}

static void silent_database_drops_nothing(void **state)
{
	(void)state;
	add_argument("cache-max-age", "200ms");
	start_with("shop.example.com", 1);
	int64_t before = compared();
	make_database_silent();
	poll(NULL, 0, 600);
	assert_int_equal(cached_version("shop.example.com"), 1);
	let_database_speak();
	wait_for_rise(compared, compared() < before + 3 ? 3 : 0);
	assert_int_equal(cached_version("shop.example.com"), 1);
}

static void thousand_sites_are_compared_in_batches(void **state)
{
	enum { SITES = 1000 };
	char name[64];
	(void)state;

	add_argument("cache-max-age", "1s");
	lose_notifications();
	for (int i = 0; i < SITES; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		store_certificate(name, 1);
	}
	start_broker();
	for (int i = 0; i < SITES; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		find(name);
	}
	for (int i = 0; i < SITES; i++)
		expect_reply(BROKER_READY, NULL);
	assert_int_equal(site_cache_count(fixture.cache), SITES);
	database_run(fixture.db, "DELETE FROM certificates");
	int64_t start = clock_monotonic_ms();
	while (site_cache_count(fixture.cache) > 0) {
		assert_in_range(clock_monotonic_ms() - start, 0, 1500);
		poll(NULL, 0, 5);
	}
}

static void notification_that_is_no_name_is_nothing(void **state)
{
	char junk[7001];
	(void)state;

	start_with("shop.example.com", 1);
	memset(junk, 'a', 7000);
	junk[7000] = '\0';
	database_run(fixture.db, "SELECT pg_notify('postern_site', $1)", junk);
	database_run(fixture.db, "SELECT pg_notify('postern_site', '')");
	database_run(
	    fixture.db, "SELECT pg_notify('postern_site', $1)", "a b\n'; DROP TABLE certificates; --");
	database_run(fixture.db, "SELECT pg_notify('postern_site', $1)", "never-heard-of.example.com");
	store_certificate("shop.example.com", 2);
	wait_for_version("shop.example.com", 2);
	assert_int_equal(site_cache_count(fixture.cache), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    broker_test(renewal_is_taken_over_at_its_notification),
	    broker_test(renewal_is_taken_over_within_cache_max_age_without_one),
	    broker_test(released_domain_is_dropped_at_its_notification),
	    broker_test(released_domain_is_dropped_within_cache_max_age_without_one),
	    broker_test(deleted_certificate_is_dropped),
	    broker_test(pending_claim_of_another_tenant_drops_nothing),
	    broker_test(older_version_never_overwrites_a_newer_one),
	    broker_test(damaged_newer_row_leaves_the_good_one),
	    broker_test(database_that_is_away_drops_nothing_and_is_read_again),
	    broker_test(everything_is_read_again_when_the_listener_is_back),
	    broker_test(everything_is_read_again_when_the_connection_is_new),
	    broker_test(silent_database_drops_nothing),
	    broker_test(thousand_sites_are_compared_in_batches),
	    broker_test(notification_that_is_no_name_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
