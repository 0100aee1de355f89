/* The pool of nonces: bounded, freshest first, short-lived. */
#include "acme/ca/nonce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"

static int64_t now_us;

static int64_t fake_now(void)
{
	return now_us;
}

static int setup(void **state)
{
	now_us = 1000 * 1000;
	clock_replace(fake_now, NULL);
	*state = nonce_pool_new();
	return 0;
}

static int teardown(void **state)
{
	nonce_pool_free(*state);
	clock_replace(NULL, NULL);
	return 0;
}

static void an_empty_pool_has_none(void **state)
{
	char nonce[NONCE_SIZE];
	assert_false(nonce_take(*state, nonce));
}

static void the_freshest_is_taken_first_and_each_once(void **state)
{
	char nonce[NONCE_SIZE];
	nonce_put(*state, "first");
	nonce_put(*state, "second");
	assert_true(nonce_take(*state, nonce));
	assert_string_equal(nonce, "second");
	assert_true(nonce_take(*state, nonce));
	assert_string_equal(nonce, "first");
	assert_false(nonce_take(*state, nonce));
}

static void an_old_nonce_is_not_used(void **state)
{
	char nonce[NONCE_SIZE];
	nonce_put(*state, "old");
	now_us += (NONCE_LIFE_MS - 1) * 1000LL;
	nonce_put(*state, "young");
	now_us += 1000;
	assert_true(nonce_take(*state, nonce));
	assert_string_equal(nonce, "young");
	assert_false(nonce_take(*state, nonce));
	nonce_put(*state, "again");
	assert_true(nonce_take(*state, nonce));
}

static void a_full_pool_drops_its_oldest(void **state)
{
	char nonce[NONCE_SIZE];
	for (int i = 0; i < NONCE_POOL_MAX + 5; i++) {
		snprintf(nonce, sizeof nonce, "n%d", i);
		nonce_put(*state, nonce);
	}
	for (int i = NONCE_POOL_MAX + 4; i >= 5; i--) {
		char expected[16];
		snprintf(expected, sizeof expected, "n%d", i);
		assert_true(nonce_take(*state, nonce));
		assert_string_equal(nonce, expected);
	}
	assert_false(nonce_take(*state, nonce));
}

static void what_is_no_nonce_is_not_kept(void **state)
{
	char nonce[NONCE_SIZE];
	char long_one[NONCE_SIZE + 1];
	memset(long_one, 'a', NONCE_SIZE);
	long_one[NONCE_SIZE] = '\0';
	nonce_put(*state, long_one);
	nonce_put(*state, "");
	nonce_put(*state, NULL);
	nonce_put(*state, "quote\"");
	nonce_put(*state, "new\nline");
	assert_false(nonce_take(*state, nonce));
	long_one[NONCE_SIZE - 1] = '\0';
	nonce_put(*state, long_one);
	assert_true(nonce_take(*state, nonce));
	assert_string_equal(nonce, long_one);
}

static void a_flush_forgets_all(void **state)
{
	char nonce[NONCE_SIZE];
	nonce_put(*state, "a");
	nonce_put(*state, "b");
	nonce_flush(*state);
	assert_false(nonce_take(*state, nonce));
}

int main(void)
{
#define pool_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    pool_test(an_empty_pool_has_none),
	    pool_test(the_freshest_is_taken_first_and_each_once),
	    pool_test(an_old_nonce_is_not_used),
	    pool_test(a_full_pool_drops_its_oldest),
	    pool_test(what_is_no_nonce_is_not_kept),
	    pool_test(a_flush_forgets_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
