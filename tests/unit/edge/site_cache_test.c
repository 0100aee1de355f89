/* The site cache: what it keeps, what it lets go, and which answers about a name are too old to be kept. */
#include "edge/site/site_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "edge/loop/name_hash.h"

static int64_t fake_us, fake_wall_ms;

static int64_t read_fake_us(void)
{
	return fake_us;
}

static int64_t read_fake_wall(void)
{
	return fake_wall_ms;
}

static void pass_ms(int64_t ms)
{
	fake_us += ms * 1000;
	fake_wall_ms += ms;
}

enum { LEAF_SIZE = 900, INTERMEDIATE_SIZE = 1000, EXPIRES = 5000 };

static struct certificate make_certificate(unsigned char leaf, unsigned char intermediate)
{
	struct certificate certificate = {.chain_count = 2, .not_before = 0, .not_after = EXPIRES};

	/* One allocation, as certificate_parse makes it. */
	certificate.chain[0] = mem_alloc(LEAF_SIZE + INTERMEDIATE_SIZE);
	certificate.chain[1] = certificate.chain[0] + LEAF_SIZE;
	certificate.chain_size[0] = LEAF_SIZE;
	certificate.chain_size[1] = INTERMEDIATE_SIZE;
	memset(certificate.chain[0], leaf, LEAF_SIZE);
	memset(certificate.chain[1], intermediate, INTERMEDIATE_SIZE);
	return certificate;
}

static struct site *make_site(const char *name, int64_t version)
{
	struct hostname host = {0};
	struct certificate certificate = make_certificate((unsigned char)version, 0x17);

	snprintf(host.text, sizeof host.text, "%s", name);
	return site_new(&host, (struct site_stamp){version, 0}, &certificate,
	    "0123456789abcdef0123456789abcdef", 32, NULL, &(struct domain_options){0});
}

static enum result put(struct site_cache *cache, const char *name, int64_t version)
{
	struct site *site = make_site(name, version);
	enum result result = site_cache_put(cache, site);

	site_unref(site);
	return result;
}

static int64_t version_of(struct site_cache *cache, const char *name)
{
	struct site *site = site_cache_find(cache, name);
	int64_t version = site ? site->stamp.version : -1;

	site_unref(site);
	return version;
}

static void refuse(struct site_cache *cache, const char *name, enum refusal refusal, int64_t for_ms)
{
	site_cache_refuse(cache, name, refusal, for_ms, site_cache_epoch(cache, name), "cause");
}

static int make_cache(void **state)
{
	fake_us = 1000 * 1000;
	fake_wall_ms = 1000 * 1000;
	clock_replace(read_fake_us, read_fake_wall);
	*state = site_cache_new(1024 * 1024, 100);
	return 0;
}

static int free_cache(void **state)
{
	site_cache_free(*state);
	clock_replace(NULL, NULL);
	return 0;
}

static void hash_agrees_with_the_published_vectors(void **state)
{
	unsigned char key[16], input[15];
	(void)state;

	for (size_t i = 0; i < 16; i++)
		key[i] = (unsigned char)i;
	for (size_t i = 0; i < 15; i++)
		input[i] = (unsigned char)i;
	assert_true(name_hash_keyed(key, input, 0) == 0x726fdb47dd0e0e31);
	assert_true(name_hash_keyed(key, input, 15) == 0xa129ca6149be45e5);
}

static void site_keeps_the_whole_chain_and_the_key(void **state)
{
	struct site *site = make_site("a.example.com", 3);
	(void)state;

	assert_int_equal(site->certificate.chain_count, 2);
	assert_int_equal(site->certificate.chain[0][LEAF_SIZE - 1], 3);
	assert_int_equal(site->certificate.chain[1][INTERMEDIATE_SIZE - 1], 0x17);
	assert_memory_equal(site->key, "0123456789abcdef0123456789abcdef", 32);
	site_unref(site);
}

static void equal_intermediates_are_kept_once(void **state)
{
	struct site *first = make_site("a.example.com", 1), *second = make_site("b.example.com", 2);
	(void)state;

	assert_ptr_equal(first->certificate.chain[1], second->certificate.chain[1]);
	assert_int_equal(first->bytes - second->bytes, INTERMEDIATE_SIZE);
	site_unref(first);
	assert_int_equal(second->certificate.chain[1][0], 0x17);
	site_unref(second);
}

static void stored_site_costs_at_most_two_kibibytes(void **state)
{
	struct site_cache *cache = *state;

	put(cache, "first.example.com", 1);
	size_t before = site_cache_bytes(cache);
	put(cache, "second.example.com", 1);
	assert_in_range(site_cache_bytes(cache) - before, LEAF_SIZE, 2048);
}

static void found_site_outlives_its_removal(void **state)
{
	struct site_cache *cache = *state;

	put(cache, "a.example.com", 1);
	struct site *site = site_cache_find(cache, "a.example.com");
	site_cache_remove(cache, "a.example.com");
	assert_null(site_cache_find(cache, "a.example.com"));
	assert_int_equal(site_cache_bytes(cache), 0);
	assert_string_equal(site->name.text, "a.example.com");
	site_unref(site);
}

static void older_version_never_overwrites_a_newer_one(void **state)
{
	struct site_cache *cache = *state;

	assert_int_equal(put(cache, "a.example.com", 7), R_OK);
	assert_int_equal(put(cache, "a.example.com", 6), R_LOST);
	assert_int_equal(version_of(cache, "a.example.com"), 7);
	assert_int_equal(put(cache, "a.example.com", 8), R_OK);
	assert_int_equal(version_of(cache, "a.example.com"), 8);
	assert_int_equal(site_cache_count(cache), 1);
}

static void least_recently_used_site_goes_first(void **state)
{
	struct site_cache *small = site_cache_new(5 * 2048, 10);
	char name[32];
	(void)state;

	put(small, "first.example.com", 1);
	put(small, "second.example.com", 1);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		put(small, name, 1);
		assert_in_range(site_cache_bytes(small), 2048, 5 * 2048);
		assert_int_equal(version_of(small, "first.example.com"), 1);
	}
	assert_int_equal(version_of(small, "second.example.com"), -1);
	assert_int_equal(version_of(small, "n99.example.com"), 1);
	site_cache_free(small);
}

static void site_larger_than_the_cache_changes_nothing(void **state)
{
	struct site_cache *tiny = site_cache_new(512, 10);
	(void)state;

	assert_int_equal(put(tiny, "a.example.com", 1), R_LIMIT);
	assert_int_equal(site_cache_count(tiny), 0);
	site_cache_free(tiny);
}

static void expired_certificate_is_not_given(void **state)
{
	struct site_cache *cache = *state;

	put(cache, "a.example.com", 1);
	fake_wall_ms = EXPIRES * INT64_C(1000) - 1;
	assert_int_equal(version_of(cache, "a.example.com"), 1);
	fake_wall_ms = EXPIRES * INT64_C(1000);
	assert_int_equal(version_of(cache, "a.example.com"), -1);
	assert_int_equal(site_cache_count(cache), 0);
}

static void change_rises_with_put_and_remove(void **state)
{
	struct site_cache *cache = *state;
	uint64_t start = site_cache_change(cache);

	put(cache, "a.example.com", 1);
	uint64_t after_put = site_cache_change(cache);
	assert_true(after_put > start);
	assert_int_equal(version_of(cache, "a.example.com"), 1);
	assert_true(site_cache_change(cache) == after_put);
	site_cache_remove(cache, "a.example.com");
	assert_true(site_cache_change(cache) > after_put);
}

static void refusal_ends_with_its_time(void **state)
{
	struct site_cache *cache = *state;

	refuse(cache, "a.example.com", REFUSAL_DENIED, 10000);
	refuse(cache, "b.example.com", REFUSAL_TEMPORARY, 1000);
	assert_int_equal(site_cache_find_refusal(cache, "a.example.com"), REFUSAL_DENIED);
	assert_int_equal(site_cache_find_refusal(cache, "b.example.com"), REFUSAL_TEMPORARY);
	assert_int_equal(site_cache_find_refusal(cache, "c.example.com"), REFUSAL_NONE);
	assert_string_equal(site_cache_refusal_cause(cache, "a.example.com"), "cause");
	assert_null(site_cache_refusal_cause(cache, "c.example.com"));
	pass_ms(1000);
	assert_int_equal(site_cache_find_refusal(cache, "b.example.com"), REFUSAL_NONE);
	assert_int_equal(site_cache_find_refusal(cache, "a.example.com"), REFUSAL_DENIED);
	pass_ms(9000);
	assert_int_equal(site_cache_find_refusal(cache, "a.example.com"), REFUSAL_NONE);
	assert_int_equal(site_cache_refusals(cache), 0);
}

static void refusal_asked_for_before_an_invalidation_is_not_kept(void **state)
{
	struct site_cache *cache = *state;
	uint64_t epoch = site_cache_epoch(cache, "a.example.com");

	site_cache_invalidate(cache, "a.example.com");
	site_cache_refuse(cache, "a.example.com", REFUSAL_DENIED, 10000, epoch, "cause");
	assert_int_equal(site_cache_find_refusal(cache, "a.example.com"), REFUSAL_NONE);
	refuse(cache, "a.example.com", REFUSAL_DENIED, 10000);
	assert_int_equal(site_cache_find_refusal(cache, "a.example.com"), REFUSAL_DENIED);
}

static void invalidation_forgets_the_refusal(void **state)
{
	struct site_cache *cache = *state;

	refuse(cache, "a.example.com", REFUSAL_DENIED, 10000);
	site_cache_invalidate(cache, "a.example.com");
	assert_int_equal(site_cache_find_refusal(cache, "a.example.com"), REFUSAL_NONE);
}

static void stored_site_ends_a_refusal(void **state)
{
	struct site_cache *cache = *state;

	refuse(cache, "a.example.com", REFUSAL_DENIED, 10000);
	put(cache, "a.example.com", 1);
	assert_int_equal(site_cache_find_refusal(cache, "a.example.com"), REFUSAL_NONE);
}

static void refusals_are_bounded_and_the_oldest_goes(void **state)
{
	struct site_cache *cache = *state;
	char name[64];

	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "junk%d.example.com", i);
		refuse(cache, name, REFUSAL_DENIED, 10000);
		assert_in_range(site_cache_refusals(cache), 1, 100);
	}
	assert_int_equal(site_cache_find_refusal(cache, "junk9899.example.com"), REFUSAL_NONE);
	assert_int_equal(site_cache_find_refusal(cache, "junk9900.example.com"), REFUSAL_DENIED);
}

static void refusal_for_no_time_is_not_kept(void **state)
{
	struct site_cache *cache = *state;

	refuse(cache, "a.example.com", REFUSAL_DENIED, 0);
	assert_int_equal(site_cache_refusals(cache), 0);
}

static size_t due(struct site_cache *cache, int64_t before_ms, struct hostname *names, size_t max)
{
	struct site_stamp stamps[16];

	assert_in_range(max, 0, 16);
	return site_cache_due(cache, before_ms, names, stamps, max);
}

static void sites_are_due_oldest_first_and_once(void **state)
{
	struct site_cache *cache = *state;
	struct hostname names[16];

	put(cache, "a.example.com", 1);
	pass_ms(10);
	put(cache, "b.example.com", 1);
	pass_ms(10);
	put(cache, "c.example.com", 1);
	pass_ms(10);
	int64_t before = clock_monotonic_ms() - 5;
	assert_int_equal(due(cache, before, names, 2), 2);
	assert_string_equal(names[0].text, "a.example.com");
	assert_string_equal(names[1].text, "b.example.com");
	assert_int_equal(due(cache, before, names, 2), 1);
	assert_string_equal(names[0].text, "c.example.com");
	assert_int_equal(due(cache, before, names, 2), 0);
	pass_ms(10);
	assert_int_equal(due(cache, clock_monotonic_ms(), names, 16), 3);
}

static void invalidated_site_is_due_at_once_and_still_served(void **state)
{
	struct site_cache *cache = *state;
	struct hostname names[16];

	put(cache, "a.example.com", 1);
	put(cache, "b.example.com", 1);
	site_cache_invalidate(cache, "b.example.com");
	assert_int_equal(version_of(cache, "b.example.com"), 1);
	assert_int_equal(due(cache, clock_monotonic_ms() - 30000, names, 16), 1);
	assert_string_equal(names[0].text, "b.example.com");
	assert_int_equal(due(cache, clock_monotonic_ms() - 30000, names, 16), 0);
}

#define in_cache(test) cmocka_unit_test_setup_teardown(test, make_cache, free_cache)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hash_agrees_with_the_published_vectors),
	    cmocka_unit_test(site_keeps_the_whole_chain_and_the_key),
	    cmocka_unit_test(equal_intermediates_are_kept_once),
	    in_cache(stored_site_costs_at_most_two_kibibytes),
	    in_cache(found_site_outlives_its_removal),
	    in_cache(older_version_never_overwrites_a_newer_one),
	    in_cache(least_recently_used_site_goes_first),
	    in_cache(site_larger_than_the_cache_changes_nothing),
	    in_cache(expired_certificate_is_not_given),
	    in_cache(change_rises_with_put_and_remove),
	    in_cache(refusal_ends_with_its_time),
	    in_cache(refusal_asked_for_before_an_invalidation_is_not_kept),
	    in_cache(invalidation_forgets_the_refusal),
	    in_cache(stored_site_ends_a_refusal),
	    in_cache(refusals_are_bounded_and_the_oldest_goes),
	    in_cache(refusal_for_no_time_is_not_kept),
	    in_cache(sites_are_due_oldest_first_and_once),
	    in_cache(invalidated_site_is_due_at_once_and_still_served),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
