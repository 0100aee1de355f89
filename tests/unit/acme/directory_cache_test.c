/* The directory: fetched by one, kept for an hour, an old one better than none, and no hammering after a
 * failure. */
#include "acme/ca/directory_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"

static int64_t now_us;
static struct acme_directory out;
static struct acme_failure failure;

static int64_t fake_now(void)
{
	return now_us;
}

static void pass(int64_t ms)
{
	now_us += ms * 1000;
}

static int setup(void **state)
{
	now_us = 1000 * 1000;
	clock_replace(fake_now, NULL);
	memset(&out, 0, sizeof out);
	*state = directory_cache_new();
	return 0;
}

static int teardown(void **state)
{
	directory_cache_free(*state);
	clock_replace(NULL, NULL);
	return 0;
}

static void keep(struct directory_cache *cache, const char *new_order)
{
	struct acme_directory directory = {.profile_count = 0};
	snprintf(directory.new_order, sizeof directory.new_order, "%s", new_order);
	assert_int_equal(directory_cache_look(cache, &out, &failure), R_NONE);
	directory_cache_keep(cache, &directory);
}

static enum result fetch_failed(struct directory_cache *cache, int64_t retry_after)
{
	struct acme_failure reason = {.cause = CAUSE_CA, .retry_after = retry_after, .detail = "busy"};
	assert_int_equal(directory_cache_look(cache, &out, &failure), R_NONE);
	return directory_cache_failed(cache, &reason, &out);
}

static void one_fetches_and_the_others_wait_for_it(void **state)
{
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_NONE);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_AGAIN);
	const struct acme_directory directory = {.new_order = "https://ca.test/order"};
	directory_cache_keep(*state, &directory);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_OK);
	assert_string_equal(out.new_order, "https://ca.test/order");
}

static void it_is_fetched_anew_after_an_hour_and_the_old_one_serves_meanwhile(void **state)
{
	keep(*state, "https://ca.test/old");
	pass(DIRECTORY_LIFE_MS - 1);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_OK);
	pass(1);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_NONE);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_OK);
	assert_string_equal(out.new_order, "https://ca.test/old");
}

static void an_old_one_stays_in_use_where_none_can_be_had(void **state)
{
	keep(*state, "https://ca.test/old");
	pass(DIRECTORY_LIFE_MS);
	assert_int_equal(fetch_failed(*state, 0), R_OK);
	assert_string_equal(out.new_order, "https://ca.test/old");
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_OK);
	pass(DIRECTORY_HOLD_MIN_MS);
	keep(*state, "https://ca.test/new");
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_OK);
	assert_string_equal(out.new_order, "https://ca.test/new");
}

static void after_failures_it_is_asked_for_more_and_more_seldom(void **state)
{
	for (int64_t hold = DIRECTORY_HOLD_MIN_MS; hold < 10 * DIRECTORY_HOLD_MAX_MS; hold *= 2) {
		int64_t expected = hold < DIRECTORY_HOLD_MAX_MS ? hold : DIRECTORY_HOLD_MAX_MS;
		assert_int_equal(fetch_failed(*state, 0), R_ERROR);
		pass(expected - 1);
		assert_int_equal(directory_cache_look(*state, &out, &failure), R_ERROR);
		assert_string_equal(failure.detail, "busy");
		assert_int_equal(failure.held_ms, 1);
		pass(1);
	}
	/* Once it was there, a failure begins anew. */
	keep(*state, "https://ca.test/order");
	pass(DIRECTORY_LIFE_MS);
	fetch_failed(*state, 0);
	pass(DIRECTORY_HOLD_MIN_MS);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_NONE);
}

static void what_the_ca_asked_for_is_heeded_for_an_hour_at_most(void **state)
{
	fetch_failed(*state, 600);
	pass(600 * 1000 - 1);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_ERROR);
	pass(1);
	fetch_failed(*state, RETRY_AFTER_MAX);
	pass(DIRECTORY_ASKED_MAX_MS - 1);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_ERROR);
	pass(1);
	assert_int_equal(directory_cache_look(*state, &out, &failure), R_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(one_fetches_and_the_others_wait_for_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		it_is_fetched_anew_after_an_hour_and_the_old_one_serves_meanwhile, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_old_one_stays_in_use_where_none_can_be_had, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		after_failures_it_is_asked_for_more_and_more_seldom, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		what_the_ca_asked_for_is_heeded_for_an_hour_at_most, setup, teardown),
	};
	return cmocka_run_group_tests_name("directory_cache", tests, NULL, NULL);
}
