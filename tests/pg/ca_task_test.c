/* The operator's tasks: what has ended is kept for a month, what has not for ever. */
#include "acme/desk/ca_task.h"

#include "tests/pg/database.h"

static struct error error;

static void what_ended_a_month_ago_is_removed(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	database_run(admin,
	    "INSERT INTO ca_tasks (kind, directory, state, requested_at, finished_at) VALUES"
	    " ('rollover', 'old', 'done', now() - interval '40 d', now() - interval '31 d'),"
	    " ('rollover', 'failed', 'failed', now() - interval '40 d', now() - interval '31 d'),"
	    " ('rollover', 'recent', 'done', now() - interval '40 d', now() - interval '29 d'),"
	    " ('rollover', 'waiting', 'queued', now() - interval '90 d', NULL)");
	assert_int_equal(ca_task_sweep(pg, &error), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(directory, ' ' ORDER BY directory) FROM ca_tasks"),
	    "recent waiting");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(what_ended_a_month_ago_is_removed),
	};
	return cmocka_run_group_tests_name("ca_task", tests, NULL, NULL);
}
