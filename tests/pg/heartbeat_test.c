/* Who is alive: a process says so, for its own role alone, takes it back when it ends, and is forgotten when
 * it did not. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/process.h"
#include "common/daemon/heartbeat.h"
#include "tests/pg/database.h"

#define BEAT "SELECT node_beat('edge@one:2019', 'edge', 'one', '0.1', 5000)"

static void process_is_known_while_it_runs(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct heartbeat *heartbeat = heartbeat_start(
	    &(struct heartbeat_config){.conninfo = database_conninfo(state, "postern_edge"), .role = "edge"});
	char host[256] = "";
	gethostname(host, sizeof host - 1);

	database_wait_for(
	    admin, "1", "SELECT count(*) FROM nodes WHERE role = 'edge' AND node_is_alive(seen_at)");
	assert_string_equal(database_value(admin, "SELECT host FROM nodes"), host);
	assert_string_equal(database_value(admin, "SELECT id FROM nodes"), heartbeat_node(heartbeat));
	assert_string_equal(database_value(admin,
				"SELECT started_at BETWEEN now() - interval '1 minute' AND now() FROM nodes"),
	    "t");
	heartbeat_stop(heartbeat);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM nodes"), "0");
}

static int said;
static void say(void *arg, struct pg *pg, const char *node)
{
	assert_non_null(strstr(node, "acme@"));
	assert_ptr_equal(arg, &said);
	database_run(pg, "SELECT 1");
	__atomic_add_fetch(&said, 1, __ATOMIC_SEQ_CST);
}

static void more_is_said_on_the_same_connection(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct heartbeat *heartbeat = heartbeat_start(&(struct heartbeat_config){
	    .conninfo = database_conninfo(state, "postern_acme"), .role = "acme", .more = say, .arg = &said});

	database_wait_for(admin, "1", "SELECT count(*) FROM nodes WHERE role = 'acme'");
	database_wait_for(admin, "1", "SELECT count(*) FROM nodes WHERE role = 'acme'");
	while (__atomic_load_n(&said, __ATOMIC_SEQ_CST) < 1)
		usleep(1000);
	/* Woken, it says it again before the next beat. */
	heartbeat_wake(heartbeat);
	while (__atomic_load_n(&said, __ATOMIC_SEQ_CST) < 2)
		usleep(1000);
	heartbeat_stop(heartbeat);
	assert_int_equal(__atomic_load_n(&said, __ATOMIC_SEQ_CST), 2);
}

static void beat_moves_one_row(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *edge = database_connect(state, "postern_edge");

	database_run(edge, BEAT);
	database_run(
	    admin, "UPDATE nodes SET seen_at = now() - interval '1 hour', started_at = '2020-01-01'");
	database_run(edge, "SELECT node_beat('edge@two:2019', 'edge', 'two', '0.1', 0)");
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(id, ' ') FROM nodes WHERE NOT node_is_alive(seen_at)"),
	    "edge@one:2019");
	database_run(edge, BEAT);
	assert_string_equal(
	    database_value(admin, "SELECT count(*) FROM nodes WHERE node_is_alive(seen_at)"), "2");
	assert_string_equal(database_value(admin, "SELECT now() - started_at < interval '1 minute' FROM nodes"
						  " WHERE id = 'edge@one:2019'"),
	    "t");
}

static void what_was_not_heard_of_for_a_day_is_forgotten(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *edge = database_connect(state, "postern_edge");

	database_run(edge, BEAT);
	database_run(edge, "SELECT node_beat('edge@two:2019', 'edge', 'two', '0.1', 0)");
	database_run(admin, "UPDATE nodes SET seen_at = now() - interval '25 hours' WHERE host = 'one'");
	database_run(edge, "SELECT node_beat('edge@two:2019', 'edge', 'two', '0.1', 0)");
	assert_string_equal(database_value(admin, "SELECT string_agg(host, ' ') FROM nodes"), "two");
}

static void nobody_speaks_for_another_role(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *edge = database_connect(state, "postern_edge");
	struct pg *acme = database_connect(state, "postern_acme");

	database_refused(acme, "42501", BEAT);
	database_refused(edge, "42704", "SELECT node_beat('x', 'owner', 'one', '0.1', 0)");
	database_run(edge, BEAT);
	database_run(acme, "SELECT node_leave('edge@one:2019')");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM nodes"), "1");
	/* Nor does it move a row that has its id. */
	database_run(admin, "UPDATE nodes SET seen_at = '2020-01-01', id = 'one'");
	database_run(admin, "UPDATE nodes SET seen_at = now() - interval '1 hour'");
	database_run(acme, "SELECT node_beat('one', 'acme', 'one', '0.1', 0)");
	assert_string_equal(database_value(admin, "SELECT role, node_is_alive(seen_at) FROM nodes"), "edge");
	assert_string_equal(database_value(admin, "SELECT node_is_alive(seen_at) FROM nodes"), "f");
	database_run(edge, "SELECT node_leave('one')");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM nodes"), "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(process_is_known_while_it_runs),
	    database_test(more_is_said_on_the_same_connection),
	    database_test(beat_moves_one_row),
	    database_test(what_was_not_heard_of_for_a_day_is_forgotten),
	    database_test(nobody_speaks_for_another_role),
	};
	return cmocka_run_group_tests_name("heartbeat", tests, NULL, NULL);
}
