/* Flights: one per name, in the list of its state, each mailbox on it once. */
#include "edge/site/flight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/mem.h"

static int make_flights(void **state)
{
	struct flights *flights = mem_alloc(sizeof *flights);

	flights_init(flights);
	*state = flights;
	return 0;
}

static int free_flights(void **state)
{
	flights_fini(*state);
	free(*state);
	return 0;
}

/* Never looked into: flights only compare and hand on. */
static struct mailbox *mailbox_number(uintptr_t number)
{
	return (struct mailbox *)(number * 64);
}

static void flight_is_found_by_its_name_until_removed(void **state)
{
	struct flights *flights = *state;
	struct flight *flight = flights_add(flights, "a.example.com", false);

	flights_add(flights, "b.example.com", false);
	assert_ptr_equal(flights_find(flights, "a.example.com", false), flight);
	assert_null(flights_find(flights, "c.example.com", false));
	flights_remove(flights, flight);
	assert_null(flights_find(flights, "a.example.com", false));
	assert_int_equal(flights->count, 1);
}

static void many_flights_are_all_found(void **state)
{
	enum { NAMES = 50000 }; /* more than there are buckets */
	struct flights *flights = *state;
	char name[64];

	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		flights_add(flights, name, false);
	}
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		struct flight *flight = flights_find(flights, name, false);
		assert_non_null(flight);
		assert_string_equal(flight->name.text, name);
		flights_remove(flights, flight);
	}
	assert_int_equal(flights->count, 0);
}

static void states_keep_the_order_of_arrival_and_count(void **state)
{
	struct flights *flights = *state;
	struct flight *first = flights_add(flights, "a.example.com", false);
	struct flight *second = flights_add(flights, "b.example.com", false);

	assert_ptr_equal(TAILQ_FIRST(&flights->states[FLIGHT_QUEUED]), first);
	flights_move(flights, second, FLIGHT_ASKING);
	flights_move(flights, first, FLIGHT_ASKING);
	assert_ptr_equal(TAILQ_FIRST(&flights->states[FLIGHT_ASKING]), second);
	assert_int_equal(flights->counts[FLIGHT_QUEUED], 0);
	assert_int_equal(flights->counts[FLIGHT_ASKING], 2);
	flights_remove(flights, second);
	assert_int_equal(flights->counts[FLIGHT_ASKING], 1);
	assert_ptr_equal(TAILQ_FIRST(&flights->states[FLIGHT_ASKING]), first);
}

static void mailbox_joins_once_and_leaves(void **state)
{
	struct flight *flight = flights_add(*state, "a.example.com", false);

	for (int round = 0; round < 2; round++) {
		for (uintptr_t i = 1; i <= 9; i++)
			flight_join(flight, mailbox_number(i));
	}
	assert_int_equal(flight->receiver_count, 9);
	flight_leave(flight, mailbox_number(3));
	flight_leave(flight, mailbox_number(3));
	flight_leave(flight, mailbox_number(77));
	assert_int_equal(flight->receiver_count, 8);
	for (size_t i = 0; i < flight->receiver_count; i++)
		assert_ptr_not_equal(flight->receivers[i], mailbox_number(3));
	for (uintptr_t i = 1; i <= 9; i++)
		flight_leave(flight, mailbox_number(i));
	assert_int_equal(flight->receiver_count, 0);
}

#define in_flights(test) cmocka_unit_test_setup_teardown(test, make_flights, free_flights)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    in_flights(flight_is_found_by_its_name_until_removed),
	    in_flights(many_flights_are_all_found),
	    in_flights(states_keep_the_order_of_arrival_and_count),
	    in_flights(mailbox_joins_once_and_leaves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
