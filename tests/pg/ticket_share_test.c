/* Ticket keys that nodes share through the database: all come to the same one, it is changed in time, and a
 * database that is away costs nothing. */
#include "tests/support/edge_fixture.h"

#include "edge/tls/ticket_share.h"

enum { NODES = 3 };

static struct ticket_keys *keys[NODES];
static struct ticket_share *shares[NODES];
static struct metric *shared_metric;

/* Starts anew where it runs: what the table holds is read at once. */
static void start_node(void **state, int node)
{
	if (!keys[node])
		keys[node] = ticket_keys_new();
	ticket_share_stop(shares[node]);
	shared_metric = metrics_gauge("postern_edge_ticket_keys_shared", NULL, NULL);
	metric_set(shared_metric, -1);
	shares[node] = ticket_share_start(database_conninfo(state, "postern_edge"), fixture.keys, keys[node]);
}

static void wait_for_shared(int64_t count)
{
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;

	while (metric_get(shared_metric) != count) {
		if (clock_monotonic_ms() > deadline)
			fail_msg("%d shared keys instead of %d", (int)metric_get(shared_metric), (int)count);
		poll(NULL, 0, 2);
	}
}

static bool seal_alike(int one, int other)
{
	struct ticket_key a, b;

	ticket_keys_newest(keys[one], &a);
	ticket_keys_newest(keys[other], &b);
	return memcmp(&a, &b, sizeof a) == 0;
}

static bool opens(int node, const struct ticket_key *key, bool *renew)
{
	struct ticket_key found;

	return ticket_keys_find(keys[node], key->name, &found, renew) &&
	       memcmp(&found, key, sizeof found) == 0;
}

static void age_all_by(const char *interval)
{
	database_run(fixture.db, "UPDATE ticket_keys SET made_at = made_at - $1::interval", interval);
}

static const char *generations(void)
{
	return database_value(
	    fixture.db, "SELECT string_agg(generation::text, ' ' ORDER BY generation) FROM ticket_keys");
}

static void nodes_that_start_together_seal_alike(void **state)
{
	for (int i = 0; i < NODES; i++)
		keys[i] = ticket_keys_new();
	for (int i = 0; i < NODES; i++)
		shares[i] =
		    ticket_share_start(database_conninfo(state, "postern_edge"), fixture.keys, keys[i]);
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;
	while (!seal_alike(0, 1) || !seal_alike(0, 2)) {
		assert_true(clock_monotonic_ms() < deadline);
		poll(NULL, 0, 2);
	}
	assert_string_equal(generations(), "1");
}

static void tickets_from_before_still_open(void **state)
{
	struct ticket_key before;
	bool renew = false;

	keys[0] = ticket_keys_new();
	ticket_keys_newest(keys[0], &before);
	start_node(state, 0);
	wait_for_shared(1);
	assert_true(opens(0, &before, &renew));
	assert_true(renew);
}

static void next_key_comes_in_time_and_is_used_once_all_have_heard_of_it(void **state)
{
	struct ticket_key first, second;
	bool renew = true;

	start_node(state, 0);
	wait_for_shared(1);
	ticket_keys_newest(keys[0], &first);
	age_all_by("10 hours 59 minutes");
	start_node(state, 0);
	wait_for_shared(1);
	age_all_by("2 minutes");
	start_node(state, 0);
	wait_for_shared(2);
	assert_string_equal(generations(), "1 2");
	ticket_keys_newest(keys[0], &second);
	assert_memory_equal(&first, &second, sizeof first);
	age_all_by("16 minutes");
	start_node(state, 0);
	wait_for_shared(2);
	ticket_keys_newest(keys[0], &second);
	assert_memory_not_equal(&first, &second, sizeof first);
	assert_true(opens(0, &first, &renew));
	assert_true(renew);
	assert_true(opens(0, &second, &renew));
	assert_false(renew);
}

static void three_generations_are_kept(void **state)
{
	for (int i = 0; i < 5; i++) {
		start_node(state, 0);
		wait_for_shared(i < 3 ? i + 1 : 3);
		age_all_by("11 hours 1 minute");
	}
	assert_string_equal(generations(), "3 4 5");
}

static void nobody_can_hurry_it(void **state)
{
	start_node(state, 0);
	wait_for_shared(1);
	struct pg *edge = database_connect(state, "postern_edge");
	assert_string_equal(database_value(edge, "SELECT add_ticket_key(2, '\\x00')"), "f");
	age_all_by("11 hours");
	assert_string_equal(database_value(edge, "SELECT add_ticket_key(1, '\\x00')"), "f");
	assert_string_equal(database_value(edge, "SELECT add_ticket_key(3, '\\x00')"), "f");
	assert_string_equal(database_value(edge, "SELECT add_ticket_key(2, '\\x00')"), "t");
	assert_string_equal(database_value(edge, "SELECT add_ticket_key(3, '\\x00')"), "f");
}

static void key_that_does_not_open_is_left_out(void **state)
{
	start_node(state, 0);
	wait_for_shared(1);
	database_run(fixture.db, "UPDATE ticket_keys SET key_sealed = '\\x010203'");
	start_node(state, 0);
	wait_for_shared(0);
	struct ticket_key own;
	ticket_keys_newest(keys[0], &own);
	bool renew = true;
	assert_true(opens(0, &own, &renew));
	assert_false(renew);
}

/* As an operator does who fears for the keys. */
/* The database's clock was put back. */
static void key_from_the_future_is_replaced(void **state)
{
	struct ticket_key stuck;
	bool renew = false;

	start_node(state, 0);
	wait_for_shared(1);
	ticket_keys_newest(keys[0], &stuck);
	age_all_by("-30 days");
	start_node(state, 0);
	wait_for_shared(1);
	assert_string_equal(generations(), "1 2");
	assert_false(opens(0, &stuck, &renew));
}

static void keys_are_read_where_none_can_be_added(void **state)
{
	start_node(state, 0);
	wait_for_shared(1);
	age_all_by("11 hours 30 minutes");
	database_run(
	    fixture.db, "REVOKE EXECUTE ON FUNCTION add_ticket_key(bigint, bytea) FROM postern_edge");
	start_node(state, 1);
	wait_for_shared(1);
	assert_string_equal(generations(), "1");
}

static void deleted_rows_bring_a_new_key(void **state)
{
	struct ticket_key before, after;
	bool renew = false;

	start_node(state, 0);
	wait_for_shared(1);
	ticket_keys_newest(keys[0], &before);
	database_run(fixture.db, "DELETE FROM ticket_keys");
	start_node(state, 0);
	wait_for_shared(1);
	ticket_keys_newest(keys[0], &after);
	assert_memory_not_equal(&before, &after, sizeof before);
	assert_false(opens(0, &before, &renew));
}

static void keys_at_hand_go_on_without_a_database(void **state)
{
	struct ticket_key before, after;

	start_node(state, 0);
	wait_for_shared(1);
	ticket_keys_newest(keys[0], &before);
	database_run(fixture.db, "ALTER ROLE postern_edge NOLOGIN");
	start_node(state, 0);
	ticket_keys_newest(keys[0], &after);
	assert_memory_equal(&before, &after, sizeof before);
}

static int teardown(void **state)
{
	for (int i = 0; i < NODES; i++) {
		ticket_share_stop(shares[i]);
		ticket_keys_free(keys[i]);
		shares[i] = NULL;
		keys[i] = NULL;
	}
	return fixture_teardown(state);
}

#define share_test(test) cmocka_unit_test_setup_teardown(test, fixture_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    share_test(nodes_that_start_together_seal_alike),
	    share_test(tickets_from_before_still_open),
	    share_test(next_key_comes_in_time_and_is_used_once_all_have_heard_of_it),
	    share_test(three_generations_are_kept),
	    share_test(nobody_can_hurry_it),
	    share_test(key_that_does_not_open_is_left_out),
	    share_test(deleted_rows_bring_a_new_key),
	    share_test(key_from_the_future_is_replaced),
	    share_test(keys_are_read_where_none_can_be_added),
	    share_test(keys_at_hand_go_on_without_a_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
