#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "edge/conn/conn_table.h"

/* The table never looks into a connection. */
struct conn {
	int visits;
};

static struct conn_table *visiting;
static uint64_t victim;

static int setup(void **state)
{
	*state = conn_table_new();
	return 0;
}

static int teardown(void **state)
{
	conn_table_free(*state);
	return 0;
}

static void connection_is_found_by_its_id(void **state)
{
	struct conn a, b;
	uint64_t id_a = conn_table_add(*state, &a), id_b = conn_table_add(*state, &b);

	assert_int_not_equal(id_a, 0);
	assert_ptr_equal(conn_table_find(*state, id_a), &a);
	assert_ptr_equal(conn_table_find(*state, id_b), &b);
	assert_int_equal(conn_table_count(*state), 2);
}

static void id_of_one_who_left_finds_nobody(void **state)
{
	struct conn a, b;
	uint64_t old = conn_table_add(*state, &a);

	conn_table_remove(*state, old);
	assert_null(conn_table_find(*state, old));
	uint64_t new = conn_table_add(*state, &b);
	assert_int_equal((uint32_t) new, (uint32_t)old);
	assert_null(conn_table_find(*state, old));
	assert_ptr_equal(conn_table_find(*state, new), &b);
}

static void invented_ids_find_nobody(void **state)
{
	struct conn a;
	uint64_t id = conn_table_add(*state, &a);

	assert_null(conn_table_find(*state, 0));
	assert_null(conn_table_find(*state, id + 1));
	assert_null(conn_table_find(*state, id ^ 1ULL << 40));
	assert_null(conn_table_find(*state, UINT64_MAX));
}

static void table_grows_and_keeps_ids(void **state)
{
	static struct conn conns[1000];
	uint64_t ids[1000];

	for (int i = 0; i < 1000; i++)
		ids[i] = conn_table_add(*state, &conns[i]);
	for (int i = 0; i < 1000; i++)
		assert_ptr_equal(conn_table_find(*state, ids[i]), &conns[i]);
}

static void visit(struct conn *conn)
{
	conn->visits++;
	if (victim) {
		conn_table_remove(visiting, victim);
		victim = 0;
	}
}

static void visit_may_remove_others(void **state)
{
	struct conn conns[3] = {{0}};

	visiting = *state;
	for (int i = 0; i < 3; i++) {
		uint64_t id = conn_table_add(*state, &conns[i]);

		if (i == 1)
			victim = id;
	}
	conn_table_each(*state, visit);
	assert_int_equal(conns[0].visits, 1);
	assert_int_equal(conns[1].visits, 0);
	assert_int_equal(conns[2].visits, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(connection_is_found_by_its_id),
	    TEST(id_of_one_who_left_finds_nobody),
	    TEST(invented_ids_find_nobody),
	    TEST(table_grows_and_keeps_ids),
	    TEST(visit_may_remove_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
