#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/pass/pass_choice.h"

enum { SERVERS = 3 };

static struct upstream_members *members;
static struct net_address client;

static int setup(void **state)
{
	(void)state;
	members = mem_alloc(sizeof *members);
	atomic_init(&members->references, 1);
	for (int i = 0; i < SERVERS; i++) {
		struct upstream_url url;
		struct net_address address;
		char text[40];

		snprintf(text, sizeof text, "http://10.0.0.%d:993", i + 1);
		assert_int_equal(upstream_url_parse(&url, text, NULL), R_OK);
		assert_true(upstream_url_address(&url, &address));
		members->addresses[members->count++] = upstream_address_new(&address, &url, url.host);
	}
	return net_parse_address(&client, "203.0.113.7:1000", NULL) == R_OK ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	upstream_members_unref(members);
	return 0;
}

static int in_turn(unsigned turn)
{
	return pass_choose(members, &(struct pass_choice){.client = &client, .turn = turn});
}

static int by_client(const char *address)
{
	struct net_address from;

	assert_int_equal(net_parse_address(&from, address, NULL), R_OK);
	return pass_choose(
	    members, &(struct pass_choice){.affinity = PASSTHROUGH_BY_CLIENT, .client = &from});
}

static void servers_take_turns(void **state)
{
	(void)state;
	for (unsigned turn = 0; turn < 9; turn++)
		assert_int_equal(in_turn(turn), turn % SERVERS);
}

static void who_is_down_or_was_tried_is_left_out(void **state)
{
	const struct upstream_address *tried[] = {members->addresses[2]};

	(void)state;
	upstream_address_set_health(members->addresses[0], UPSTREAM_DOWN, 0);
	for (unsigned turn = 0; turn < 4; turn++) {
		assert_int_not_equal(in_turn(turn), 0);
		assert_int_equal(pass_choose(members,
				     &(struct pass_choice){
					 .client = &client, .turn = turn, .tried = tried, .tried_count = 1}),
		    1);
	}
	upstream_address_set_health(members->addresses[1], UPSTREAM_DOWN, 0);
	upstream_address_set_health(members->addresses[2], UPSTREAM_DOWN, 0);
	assert_int_equal(in_turn(0), UPSTREAM_CHOICE_NONE);
}

static void the_ejected_serve_where_nobody_else_does(void **state)
{
	(void)state;
	atomic_store(&members->addresses[0]->ejected_until_ms, 1000);
	for (unsigned turn = 0; turn < 4; turn++)
		assert_int_not_equal(in_turn(turn), 0);
	atomic_store(&members->addresses[1]->ejected_until_ms, 1000);
	atomic_store(&members->addresses[2]->ejected_until_ms, 1000);
	assert_int_equal(in_turn(0), 0);
}

static void a_client_keeps_its_server_whatever_its_port(void **state)
{
	char text[64];
	int seen[SERVERS] = {0};

	(void)state;
	for (int host = 1; host < 100; host++) {
		snprintf(text, sizeof text, "203.0.113.%d:1000", host);
		int chosen = by_client(text);
		snprintf(text, sizeof text, "203.0.113.%d:2000", host);
		assert_int_equal(by_client(text), chosen);
		snprintf(text, sizeof text, "[::ffff:203.0.113.%d]:3000", host);
		assert_int_equal(by_client(text), chosen);
		seen[chosen]++;
	}
	for (int i = 0; i < SERVERS; i++)
		assert_in_range(seen[i], 15, 60);
	assert_int_equal(by_client("[2001:db8::1]:1"), by_client("[2001:db8::ffff:1]:1"));
}

/* Nodes must agree, also those that were started at another time: these are for ever. */
static void the_choice_by_client_is_the_same_everywhere(void **state)
{
	(void)state;
	const int chosen[] = {by_client("203.0.113.1:1"), by_client("203.0.113.2:1"),
	    by_client("203.0.113.3:1"), by_client("203.0.113.4:1"), by_client("203.0.113.5:1"),
	    by_client("203.0.113.6:1")};
	const int expected[] = {2, 2, 1, 2, 1, 1};

	for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
		assert_int_equal(chosen[i], expected[i]);
}

static void a_server_that_goes_moves_its_own_clients_alone(void **state)
{
	int before[100];
	char text[64];

	(void)state;
	for (int host = 0; host < 100; host++) {
		snprintf(text, sizeof text, "203.0.113.%d:1", host);
		before[host] = by_client(text);
	}
	upstream_address_set_health(members->addresses[1], UPSTREAM_DOWN, 0);
	for (int host = 0; host < 100; host++) {
		snprintf(text, sizeof text, "203.0.113.%d:1", host);
		int now = by_client(text);
		assert_int_not_equal(now, 1);
		if (before[host] != 1)
			assert_int_equal(now, before[host]);
	}
}

static void a_session_goes_home_if_its_server_is_there(void **state)
{
	struct net_address home = members->addresses[2]->address;
	struct net_address stranger;
	const struct pass_choice choice = {
	    .affinity = PASSTHROUGH_BY_SESSION, .client = &client, .session = &home, .turn = 0};

	(void)state;
	assert_int_equal(pass_choose(members, &choice), 2);
	upstream_address_set_health(members->addresses[2], UPSTREAM_DOWN, 0);
	assert_int_equal(pass_choose(members, &choice), 0);
	assert_int_equal(net_parse_address(&stranger, "10.9.9.9:993", NULL), R_OK);
	assert_int_equal(
	    pass_choose(members,
		&(struct pass_choice){
		    .affinity = PASSTHROUGH_BY_SESSION, .client = &client, .session = &stranger, .turn = 1}),
	    1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(servers_take_turns, setup, teardown),
	    cmocka_unit_test_setup_teardown(who_is_down_or_was_tried_is_left_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_ejected_serve_where_nobody_else_does, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_client_keeps_its_server_whatever_its_port, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_choice_by_client_is_the_same_everywhere, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_server_that_goes_moves_its_own_clients_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_session_goes_home_if_its_server_is_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
