/* How many connections a client has: counted by address, IPv6 by /64. */
#include "edge/conn/client_counts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct client_counts *counts;

static int setup(void **state)
{
	(void)state;
	counts = client_counts_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	client_counts_free(counts);
	return 0;
}

static struct net_address address(const char *text)
{
	struct net_address out;

	assert_int_equal(net_parse_address(&out, text, NULL), R_OK);
	return out;
}

static bool take(const char *text, int64_t max)
{
	struct net_address client = address(text);

	return client_counts_take(counts, &client, max);
}

static void give(const char *text)
{
	struct net_address client = address(text);

	client_counts_give(counts, &client);
}

static void one_above_the_limit_is_refused_until_another_goes(void **state)
{
	(void)state;
	assert_true(take("192.0.2.1:1", 2));
	assert_true(take("192.0.2.1:2", 2));
	assert_false(take("192.0.2.1:3", 2));
	assert_true(take("192.0.2.2:1", 2));
	give("192.0.2.1:2");
	assert_true(take("192.0.2.1:3", 2));
}

static void ipv6_counts_by_64_bits(void **state)
{
	(void)state;
	assert_true(take("[2001:db8:0:1::1]:1", 1));
	assert_false(take("[2001:db8:0:1:ffff::2]:1", 1));
	assert_true(take("[2001:db8:0:2::1]:1", 1));
}

static void a_mapped_address_is_the_ipv4_one(void **state)
{
	(void)state;
	assert_true(take("192.0.2.1:1", 1));
	assert_false(take("[::ffff:192.0.2.1]:1", 1));
	assert_true(take("[::1]:1", 1));
}

static void what_is_no_address_is_let_through(void **state)
{
	static const struct net_address none;

	(void)state;
	assert_true(client_counts_take(counts, &none, 1));
	assert_true(client_counts_take(counts, &none, 1));
	client_counts_give(counts, &none);
}

static void *take_and_give(void *arg)
{
	struct net_address client = address(arg);

	for (int i = 0; i < 2000; i++)
		if (client_counts_take(counts, &client, 3))
			client_counts_give(counts, &client);
	return NULL;
}

static void threads_leave_nothing_behind(void **state)
{
	static char one[] = "192.0.2.1:1", other[] = "192.0.2.2:1";
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, i % 2 ? one : other), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_true(take(one, 1));
	assert_true(take(other, 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(one_above_the_limit_is_refused_until_another_goes),
	    TEST(ipv6_counts_by_64_bits),
	    TEST(a_mapped_address_is_the_ipv4_one),
	    TEST(what_is_no_address_is_let_through),
	    TEST(threads_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
