#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/upstream/upstream_choice.h"

enum { ROUNDS = 20000, SLOW_MS = 10000 };

static struct {
	struct upstream_members *members;
	int64_t now;
	uint64_t random;
} rig;

static int setup(void **state)
{
	(void)state;
	rig.members = mem_alloc(sizeof *rig.members);
	atomic_init(&rig.members->references, 1);
	rig.now = 1000000;
	rig.random = 88172645463325252u;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	upstream_members_unref(rig.members);
	return 0;
}

static struct upstream_address *add(void)
{
	struct upstream_url url;
	struct net_address address;
	char text[40];

	snprintf(text, sizeof text, "http://127.0.0.1:%zu", 1000 + rig.members->count);
	upstream_url_parse(&url, text, NULL);
	upstream_url_address(&url, &address);
	return rig.members->addresses[rig.members->count++] = upstream_address_new(&address, &url, url.host);
}

static int choose_but(const struct upstream_address *const *tried, size_t tried_count)
{
	return upstream_choose(rig.members, &(struct upstream_choice){.now_ms = rig.now,
						.slow_start_ms = SLOW_MS,
						.tried = tried,
						.tried_count = tried_count,
						.random = &rig.random});
}

/* How often each was chosen. */
static void count(int counts[UPSTREAM_ADDRESSES_MAX])
{
	memset(counts, 0, UPSTREAM_ADDRESSES_MAX * sizeof *counts);
	for (int i = 0; i < ROUNDS; i++) {
		int chosen = choose_but(NULL, 0);

		assert_in_range(chosen, 0, rig.members->count - 1);
		counts[chosen]++;
	}
}

static void expect_share(int counted, double share, const char *of)
{
	if (counted < ROUNDS * (share - 0.02) || counted > ROUNDS * (share + 0.02))
		fail_msg("%s got %.3f of the requests, not %.3f", of, (double)counted / ROUNDS, share);
}

static void eject(struct upstream_address *address)
{
	int failures = 0;

	while (!upstream_address_failed(address, rig.now))
		assert_true(++failures < UPSTREAM_FAILURES_MAX);
}

/* ---- choosing */

static void equals_share_equally(void **state)
{
	int counts[UPSTREAM_ADDRESSES_MAX];

	(void)state;
	for (int i = 0; i < 4; i++)
		add();
	count(counts);
	for (int i = 0; i < 4; i++)
		expect_share(counts[i], 0.25, "one of four");
}

static void of_two_the_less_loaded_one_is_chosen(void **state)
{
	int counts[UPSTREAM_ADDRESSES_MAX];

	(void)state;
	atomic_store(&add()->outstanding, 1);
	add();
	count(counts);
	assert_int_equal(counts[0], 0);
}

static void the_most_loaded_of_many_is_never_chosen(void **state)
{
	int counts[UPSTREAM_ADDRESSES_MAX];

	(void)state;
	for (int i = 0; i < UPSTREAM_ADDRESSES_MAX; i++)
		atomic_store(&add()->outstanding, i);
	count(counts);
	assert_int_equal(counts[UPSTREAM_ADDRESSES_MAX - 1], 0);
	assert_true(counts[0] > counts[UPSTREAM_ADDRESSES_MAX / 2]);
}

static void what_was_tried_is_not_chosen_again(void **state)
{
	const struct upstream_address *tried[] = {add(), add()};

	(void)state;
	add();
	for (int i = 0; i < 100; i++)
		assert_int_equal(choose_but(tried, 2), 2);
	rig.members->count = 2;
	assert_int_equal(choose_but(tried, 2), UPSTREAM_CHOICE_NONE);
	rig.members->count = 3;
}

static void without_an_address_there_is_no_choice(void **state)
{
	(void)state;
	assert_int_equal(choose_but(NULL, 0), UPSTREAM_CHOICE_NONE);
}

static void what_checks_call_down_is_never_chosen(void **state)
{
	struct upstream_address *first = add();

	(void)state;
	struct upstream_address *second = add();
	upstream_address_set_health(first, UPSTREAM_DOWN, rig.now);
	for (int i = 0; i < 100; i++)
		assert_int_equal(choose_but(NULL, 0), 1);
	upstream_address_set_health(second, UPSTREAM_DOWN, rig.now);
	assert_int_equal(choose_but(NULL, 0), UPSTREAM_CHOICE_NONE);
}

static void the_ejected_get_nothing_unless_all_are(void **state)
{
	int counts[UPSTREAM_ADDRESSES_MAX];
	struct upstream_address *first = add();

	(void)state;
	struct upstream_address *second = add();
	eject(first);
	count(counts);
	assert_int_equal(counts[0], 0);
	eject(second);
	count(counts);
	expect_share(counts[0], 0.5, "one of two, both ejected");
	upstream_address_set_health(second, UPSTREAM_DOWN, rig.now);
	count(counts);
	assert_int_equal(counts[1], 0);
}

/* ---- coming back */

static void who_comes_back_gets_its_share_slowly(void **state)
{
	int counts[UPSTREAM_ADDRESSES_MAX];

	(void)state;
	struct upstream_address *back = add();
	add();
	upstream_address_set_health(back, UPSTREAM_DOWN, rig.now);
	upstream_address_set_health(back, UPSTREAM_UP, rig.now);
	count(counts);
	expect_share(counts[0], 0.05, "one that has just come back");
	rig.now += SLOW_MS / 2;
	count(counts);
	expect_share(counts[0], 0.25, "one that is half back");
	rig.now += SLOW_MS / 2;
	count(counts);
	expect_share(counts[0], 0.5, "one that is back");
}

static void where_all_come_back_all_are_used(void **state)
{
	int counts[UPSTREAM_ADDRESSES_MAX];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct upstream_address *one = add();

		upstream_address_set_health(one, UPSTREAM_DOWN, rig.now);
		upstream_address_set_health(one, UPSTREAM_UP, rig.now);
	}
	count(counts);
	expect_share(counts[0], 0.5, "one of two that have just come back");
}

static void the_end_of_an_ejection_is_a_slow_start_too(void **state)
{
	struct upstream_address *address = add();

	(void)state;
	assert_int_equal(upstream_address_weight(address, rig.now, SLOW_MS), UPSTREAM_WEIGHT_FULL);
	eject(address);
	rig.now += UPSTREAM_EJECTION_MS;
	assert_false(upstream_address_is_ejected(address, rig.now));
	assert_int_equal(upstream_address_weight(address, rig.now, SLOW_MS), UPSTREAM_WEIGHT_MIN);
	assert_int_equal(upstream_address_weight(address, rig.now + SLOW_MS / 2, SLOW_MS), 50);
	assert_int_equal(upstream_address_weight(address, rig.now + SLOW_MS, SLOW_MS), UPSTREAM_WEIGHT_FULL);
	assert_int_equal(upstream_address_weight(address, rig.now, 0), UPSTREAM_WEIGHT_FULL);
}

/* ---- ejecting */

static void a_success_between_failures_starts_the_count_anew(void **state)
{
	struct upstream_address *address = add();

	(void)state;
	for (int i = 0; i < 10; i++) {
		for (int j = 1; j < UPSTREAM_FAILURES_MAX; j++)
			assert_false(upstream_address_failed(address, rig.now));
		upstream_address_succeeded(address, rig.now);
	}
	assert_false(upstream_address_is_ejected(address, rig.now));
}

static void failures_of_requests_that_were_under_way_eject_once(void **state)
{
	struct upstream_address *address = add();

	(void)state;
	eject(address);
	for (int i = 0; i < 100; i++)
		assert_false(upstream_address_failed(address, rig.now + 1));
	assert_false(upstream_address_is_ejected(address, rig.now + UPSTREAM_EJECTION_MS));
}

static void each_ejection_in_a_row_is_longer_up_to_a_minute(void **state)
{
	struct upstream_address *address = add();
	int64_t length = UPSTREAM_EJECTION_MS;

	(void)state;
	eject(address);
	for (int i = 0; i < 10; i++) {
		assert_true(upstream_address_is_ejected(address, rig.now + length - 1));
		rig.now += length;
		assert_false(upstream_address_is_ejected(address, rig.now));
		/* One failure is enough now. */
		assert_true(upstream_address_failed(address, rig.now));
		length = length * 2 < UPSTREAM_EJECTION_MAX_MS ? length * 2 : UPSTREAM_EJECTION_MAX_MS;
	}
	assert_int_equal(length, UPSTREAM_EJECTION_MAX_MS);
}

static void who_answers_for_long_enough_is_forgiven(void **state)
{
	struct upstream_address *address = add();

	(void)state;
	eject(address);
	rig.now += UPSTREAM_EJECTION_MS;
	assert_true(upstream_address_failed(address, rig.now));
	rig.now += 2 * UPSTREAM_EJECTION_MS;
	upstream_address_succeeded(address, rig.now + 1);
	assert_int_equal(atomic_load(&address->ejections), 2);
	upstream_address_succeeded(address, rig.now + 2 * UPSTREAM_EJECTION_MS + 1);
	assert_int_equal(atomic_load(&address->ejections), 0);
}

static void a_check_that_says_up_ends_an_ejection(void **state)
{
	struct upstream_address *address = add();

	(void)state;
	eject(address);
	upstream_address_set_health(address, UPSTREAM_DOWN, rig.now);
	upstream_address_set_health(address, UPSTREAM_UP, rig.now + 1);
	assert_false(upstream_address_is_ejected(address, rig.now + 1));
}

#define choice_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    choice_test(equals_share_equally),
	    choice_test(of_two_the_less_loaded_one_is_chosen),
	    choice_test(the_most_loaded_of_many_is_never_chosen),
	    choice_test(what_was_tried_is_not_chosen_again),
	    choice_test(without_an_address_there_is_no_choice),
	    choice_test(what_checks_call_down_is_never_chosen),
	    choice_test(the_ejected_get_nothing_unless_all_are),
	    choice_test(who_comes_back_gets_its_share_slowly),
	    choice_test(where_all_come_back_all_are_used),
	    choice_test(the_end_of_an_ejection_is_a_slow_start_too),
	    choice_test(a_success_between_failures_starts_the_count_anew),
	    choice_test(failures_of_requests_that_were_under_way_eject_once),
	    choice_test(each_ejection_in_a_row_is_longer_up_to_a_minute),
	    choice_test(who_answers_for_long_enough_is_forgiven),
	    choice_test(a_check_that_says_up_ends_an_ejection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
