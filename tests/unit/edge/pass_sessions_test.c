#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/pass/pass_sessions.h"

enum { MAX = 100, LIFE_MS = 1000 };

static struct net_address server(unsigned port)
{
	struct net_address address = {.size = sizeof(struct sockaddr_in)};

	address.storage.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	return address;
}

static void learn(struct pass_sessions *sessions, uint64_t group, unsigned number, int64_t now, unsigned port)
{
	const struct pass_session session = {.group = group, .id = &number, .size = sizeof number};
	struct net_address address = server(port);

	pass_sessions_learn(sessions, &session, now, &address);
}

/* -1: unknown. */
static int find(struct pass_sessions *sessions, uint64_t group, unsigned number, int64_t now)
{
	const struct pass_session session = {.group = group, .id = &number, .size = sizeof number};
	struct net_address address;

	return pass_sessions_find(sessions, &session, now, &address) ? net_port(&address) : -1;
}

static int setup(void **state)
{
	*state = pass_sessions_new(MAX, LIFE_MS);
	return 0;
}

static int teardown(void **state)
{
	pass_sessions_free(*state);
	return 0;
}

static void what_was_learnt_is_found_by_its_group_alone(void **state)
{
	learn(*state, 1, 7, 0, 4001);
	assert_int_equal(find(*state, 1, 7, 10), 4001);
	assert_int_equal(find(*state, 2, 7, 10), -1);
	assert_int_equal(find(*state, 1, 8, 10), -1);
	learn(*state, 1, 7, 20, 4002);
	assert_int_equal(find(*state, 1, 7, 30), 4002);
	assert_int_equal(pass_sessions_count(*state), 1);
}

static void each_use_begins_its_time_anew(void **state)
{
	learn(*state, 1, 7, 0, 4001);
	learn(*state, 1, 8, 0, 4002);
	assert_int_equal(find(*state, 1, 7, LIFE_MS - 1), 4001);
	assert_int_equal(find(*state, 1, 8, LIFE_MS), -1);
	assert_int_equal(find(*state, 1, 7, 2 * LIFE_MS - 2), 4001);
	assert_int_equal(find(*state, 1, 7, 4 * LIFE_MS), -1);
	assert_int_equal(pass_sessions_count(*state), 0);
}

static void the_least_recently_used_makes_room(void **state)
{
	for (unsigned number = 0; number < MAX; number++)
		learn(*state, 1, number, 0, 4001);
	assert_int_equal(find(*state, 1, 0, 1), 4001);
	for (unsigned number = 0; number < 10 * MAX; number++) {
		learn(*state, 1, 1000 + number, 2, 4002);
		assert_true(pass_sessions_count(*state) <= MAX);
		assert_int_equal(find(*state, 1, 0, 3), 4001);
	}
	assert_int_equal(find(*state, 1, 1, 3), -1);
}

static void the_table_holds_as_many_as_it_says(void **state)
{
	struct pass_sessions *full = pass_sessions_new(PASS_SESSIONS_MAX, PASS_SESSIONS_LIFE_MS);

	(void)state;
	for (unsigned number = 0; number < PASS_SESSIONS_MAX + 5000; number++)
		learn(full, 1, number, 0, 4001);
	assert_int_equal(pass_sessions_count(full), 30000);
	assert_int_equal(find(full, 1, 4999, 1), -1);
	assert_int_equal(find(full, 1, 5000, 1), 4001);
	pass_sessions_free(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_was_learnt_is_found_by_its_group_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(each_use_begins_its_time_anew, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_least_recently_used_makes_room, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_table_holds_as_many_as_it_says, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
