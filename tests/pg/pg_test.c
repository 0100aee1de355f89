/* common/pg/pg.h against a real server: statements, values, and what a server does to its clients. */
#include "common/pg/pg.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/pg/database.h"

/* A listening socket that nobody answers on: connecting works, the kernel does that. */
static int silent_server(int *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* A port that refuses: bound, not listening, so that nobody else gets it. */
static int refusing_port(int *port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static void two_hosts(char *conninfo, size_t size, int first_port, void **state)
{
	PGresult *rows = NULL;
	struct error error;
	struct pg *pg = database_connect(state, NULL);
	assert_int_equal(pg_query(pg, 5000, &rows, &error, "SELECT current_database()", NULL, 0), R_OK);
	snprintf(conninfo, size,
	    "host=127.0.0.1,127.0.0.1 port=%d,%s user=postgres dbname=%s connect_timeout=2", first_port,
	    getenv("POSTERN_TEST_PORT"), pg_get(rows, 0, 0));
	PQclear(rows);
}

/* Until a statement works again. */
static void wait_until_back(struct pg *pg)
{
	struct error error;
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;
	while (pg_query(pg, 2000, NULL, &error, "SELECT 1", NULL, 0) != R_OK) {
		if (clock_monotonic_ms() > deadline)
			fail_msg("no connection again: %s", error.text);
		pg_wait_ready(pg, 100, &error);
	}
}

static void values_come_back_as_they_went(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	PGresult *rows = NULL;
	struct error error;
	const unsigned char bytes[] = {0, 1, '\\', '\'', 0xff};
	assert_int_equal(
	    pg_run(pg, 5000, &rows, &error,
		"SELECT $1::bytea, $2::text, $3::bigint, $4::text, true, ''::bytea",
		pg_bytea(bytes, sizeof bytes), pg_text("x"), pg_int(-9007199254740993), pg_text(NULL)),
	    R_OK);
	size_t size = 0;
	unsigned char *decoded = pg_get_bytes(rows, 0, 0, &size);
	assert_int_equal(size, sizeof bytes);
	assert_memory_equal(decoded, bytes, size);
	assert_string_equal(pg_get(rows, 0, 1), "x");
	assert_int_equal(pg_get_int(rows, 0, 2), -9007199254740993);
	assert_null(pg_get(rows, 0, 3));
	assert_int_equal(pg_get_int(rows, 0, 3), 0);
	assert_true(pg_get_bool(rows, 0, 4));
	assert_null(pg_get_bytes(rows, 0, 3, &size));
	unsigned char *empty = pg_get_bytes(rows, 0, 5, &size);
	assert_non_null(empty);
	assert_int_equal(size, 0);
	free(empty);
	free(decoded);
	PQclear(rows);
}

static void bytes_survive_the_other_bytea_output(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	database_run(pg, "SET bytea_output = 'escape'");
	PGresult *rows = NULL;
	struct error error;
	const unsigned char bytes[] = {0, 1, '\\', 'a', 0xff};
	assert_int_equal(
	    pg_run(pg, 5000, &rows, &error, "SELECT $1::bytea", pg_bytea(bytes, sizeof bytes)), R_OK);
	size_t size = 0;
	unsigned char *decoded = pg_get_bytes(rows, 0, 0, &size);
	assert_int_equal(size, sizeof bytes);
	assert_memory_equal(decoded, bytes, size);
	free(decoded);
	PQclear(rows);
}

static void arrays_of_awkward_names_arrive_whole(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	const char *const names[] = {"plain", "", "a\"b", "back\\slash", "{,}", "NULL"};
	char *array = pg_text_array(names, 6);
	PGresult *rows = NULL;
	struct error error;
	assert_int_equal(pg_run(pg, 5000, &rows, &error, "SELECT unnest($1::text[])", pg_text(array)), R_OK);
	assert_int_equal(PQntuples(rows), 6);
	for (int i = 0; i < 6; i++)
		assert_string_equal(pg_get(rows, i, 0), names[i]);
	PQclear(rows);
	free(array);
}

static void refused_statement_leaves_the_connection_usable(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct error error;
	assert_int_equal(pg_query(pg, 5000, NULL, &error, "SELECT * FROM nowhere", NULL, 0), R_ERROR);
	assert_string_equal(pg_sqlstate(pg), "42P01");
	assert_non_null(strstr(error.text, "nowhere"));
	assert_string_equal(database_value(pg, "SELECT 1"), "1");
	assert_string_equal(pg_sqlstate(pg), "");
	assert_int_equal(pg_generation(pg), 1);
}

static void rollback_ends_a_failed_transaction(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	database_run(pg, "BEGIN");
	database_refused(pg, "42P01", "SELECT * FROM nowhere");
	pg_rollback(pg);
	assert_string_equal(pg_sqlstate(pg), "42P01");
	assert_string_equal(database_value(pg, "SELECT 1"), "1");
}

static void copy_is_refused(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct error error;
	assert_int_equal(pg_query(pg, 5000, NULL, &error, "COPY tenants TO STDOUT", NULL, 0), R_ERROR);
	wait_until_back(pg);
}

static void query_past_its_deadline_gives_the_thread_back(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct error error;
	int64_t start = clock_monotonic_ms();
	assert_int_equal(pg_query(pg, 200, NULL, &error, "SELECT pg_sleep(30)", NULL, 0), R_TIMEOUT);
	assert_in_range(clock_monotonic_ms() - start, 200, 5000);
	assert_non_null(strstr(error.text, "200 ms"));
	if (pg_query(pg, 200, NULL, &error, "SELECT 1", NULL, 0) != R_OK)
		assert_non_null(strstr(error.text, "no database connection"));
	wait_until_back(pg);
	assert_int_equal(pg_generation(pg), 2);
}

/* More than the sockets hold, to a server that reads nothing: neither the statement nor the goodbye may wait.
 */
static void frozen_server_gives_the_thread_back(void **state)
{
	enum { MUCH = 32 * 1024 * 1024 };
	struct pg *pg = database_connect(state, NULL);
	struct pg *admin = database_connect(state, NULL);
	pid_t backend = atoi(database_value(pg, "SELECT pg_backend_pid()"));
	char *much = malloc(MUCH);
	assert_non_null(much);
	memset(much, 'x', MUCH);
	assert_int_equal(kill(backend, SIGSTOP), 0);
	struct error error;
	int64_t start = clock_monotonic_ms();
	enum result result = pg_run(pg, 300, NULL, &error, "SELECT length($1::bytea)", pg_bytea(much, MUCH));
	int64_t took = clock_monotonic_ms() - start;
	wait_until_back(pg);
	kill(backend, SIGCONT);
	free(much);
	assert_int_equal(result, R_TIMEOUT);
	assert_in_range(took, 300, 5000);
	assert_string_equal(database_value(admin, "SELECT 1"), "1");
}

static void end_backend(void **state, struct pg *pg)
{
	char pid[32];
	snprintf(pid, sizeof pid, "%s", database_value(pg, "SELECT pg_backend_pid()"));
	database_run(database_connect(state, NULL), "SELECT pg_terminate_backend($1::int, 5000)", pid);
}

static void ended_idle_backend_is_replaced_before_the_statement(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	end_backend(state, pg);
	struct error error = {0};
	if (pg_query(pg, 5000, NULL, &error, "SELECT 1", NULL, 0) != R_OK)
		fail_msg("%s", error.text);
	assert_int_equal(pg_generation(pg), 2);
}

static void backend_ended_in_a_transaction_is_an_error(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct error error;
	assert_int_equal(pg_query(pg, 5000, NULL, &error, "BEGIN", NULL, 0), R_OK);
	end_backend(state, pg);
	assert_int_equal(pg_query(pg, 5000, NULL, &error, "SELECT 1", NULL, 0), R_DOWN);
	wait_until_back(pg);
	assert_int_equal(pg_generation(pg), 2);
}

static void restarted_server_is_found_again(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct error error;
	kill(database_server_pid(pg), SIGQUIT);
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;
	enum result result = R_OK;
	/* A server that is back at once is found by the statement itself. */
	while (
	    pg_generation(pg) < 2 && (result = pg_query(pg, 1000, NULL, &error, "SELECT 1", NULL, 0)) == R_OK)
		assert_true(clock_monotonic_ms() < deadline);
	assert_true(result == R_OK || result == R_DOWN);
	wait_until_back(pg);
	assert_true(pg_generation(pg) >= 2);
}

static void silent_server_costs_a_query_nothing(void **state)
{
	(void)state;
	int port = 0;
	int fd = silent_server(&port);
	char conninfo[128];
	snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=x dbname=x", port);
	struct pg *pg = pg_new(conninfo, "test");
	struct error error;
	int64_t start = clock_monotonic_ms();
	assert_int_equal(pg_query(pg, 500, NULL, &error, "SELECT 1", NULL, 0), R_DOWN);
	assert_int_equal(pg_wait_ready(pg, 100, &error), R_TIMEOUT);
	assert_false(pg_is_ready(pg));
	pg_free(pg); /* while the helper is in the middle of connecting */
	assert_in_range(clock_monotonic_ms() - start, 100, 5000);
	close(fd);
}

static void refused_connection_is_told_in_words(void **state)
{
	(void)state;
	int port = 0;
	int fd = refusing_port(&port);
	char conninfo[128];
	snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=x dbname=x", port);
	struct pg *pg = pg_new(conninfo, "test");
	struct error error;
	assert_int_equal(pg_wait_ready(pg, 1500, &error), R_TIMEOUT);
	assert_non_null(strstr(error.text, "refused"));
	assert_null(strchr(error.text, '\n'));
	assert_int_equal(pg_query(pg, 500, NULL, &error, "SELECT 1", NULL, 0), R_DOWN);
	assert_non_null(strstr(error.text, "refused"));
	pg_free(pg);
	close(fd);
}

static void silent_first_host_is_left_for_the_second(void **state)
{
	int port = 0;
	int fd = silent_server(&port);
	char conninfo[256];
	two_hosts(conninfo, sizeof conninfo, port, state);
	struct pg *pg = pg_new(conninfo, "test");
	struct error error;
	assert_int_equal(pg_wait_ready(pg, TEST_WAIT_MS, &error), R_OK);
	assert_string_equal(database_value(pg, "SELECT 1"), "1");
	pg_free(pg);
	close(fd);
}

static void refusing_first_host_is_left_at_once(void **state)
{
	int port = 0;
	int fd = refusing_port(&port);
	char conninfo[256];
	two_hosts(conninfo, sizeof conninfo, port, state);
	int64_t start = clock_monotonic_ms();
	struct pg *pg = pg_new(conninfo, "test");
	struct error error;
	assert_int_equal(pg_wait_ready(pg, TEST_WAIT_MS, &error), R_OK);
	assert_true(clock_monotonic_ms() - start < 2700); /* one that is silent is left after three seconds */
	pg_free(pg);
	close(fd);
}

static void read_only_server_is_not_taken(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	char alter[128];
	snprintf(alter, sizeof alter, "ALTER DATABASE %s SET default_transaction_read_only = on",
	    database_value(admin, "SELECT current_database()"));
	database_run(admin, alter);
	struct pg *pg = pg_new(database_conninfo(state, NULL), "test");
	struct error error;
	assert_int_equal(pg_wait_ready(pg, 400, &error), R_TIMEOUT);
	assert_non_null(strstr(error.text, "read-only"));
	pg_free(pg);
}

/* A fail-over under an open connection: the server that took writes takes none any more. */
static void connection_whose_server_turned_read_only_is_dropped(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	database_run(pg, "SET default_transaction_read_only = on");
	struct error error;
	assert_int_equal(
	    pg_query(pg, 5000, NULL, &error, "INSERT INTO tenants VALUES ('x')", NULL, 0), R_DOWN);
	assert_string_equal(pg_sqlstate(pg), "25006");
	wait_until_back(pg);
	database_run(pg, "INSERT INTO tenants VALUES ('x')");
}

static void role_is_the_application_name_unless_the_user_said_otherwise(void **state)
{
	struct error error;
	struct pg *pg = pg_new(database_conninfo(state, NULL), "postern-edge");
	assert_int_equal(pg_wait_ready(pg, TEST_WAIT_MS, &error), R_OK);
	assert_string_equal(database_value(pg, "SHOW application_name"), "postern-edge");
	pg_free(pg);
	char conninfo[512];
	snprintf(conninfo, sizeof conninfo, "%s application_name=mine", database_conninfo(state, NULL));
	pg = pg_new(conninfo, "postern-edge");
	assert_int_equal(pg_wait_ready(pg, TEST_WAIT_MS, &error), R_OK);
	assert_string_equal(database_value(pg, "SHOW application_name"), "mine");
	pg_free(pg);
}

static void wrong_conninfo_is_an_error_with_its_place(void **state)
{
	(void)state;
	struct error error;
	assert_int_equal(pg_check_conninfo("host=a dbname=b", &error), R_OK);
	assert_int_equal(pg_check_conninfo("postgresql://u@h1:1,h2:2/db?sslmode=require", &error), R_OK);
	assert_int_equal(pg_check_conninfo("host=a hots=b", &error), R_INVALID);
	assert_non_null(strstr(error.text, "hots"));
	assert_int_equal(pg_check_conninfo("nonsense", &error), R_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(values_come_back_as_they_went),
	    database_test(bytes_survive_the_other_bytea_output),
	    database_test(arrays_of_awkward_names_arrive_whole),
	    database_test(refused_statement_leaves_the_connection_usable),
	    database_test(rollback_ends_a_failed_transaction),
	    database_test(copy_is_refused),
	    database_test(query_past_its_deadline_gives_the_thread_back),
	    database_test(frozen_server_gives_the_thread_back),
	    database_test(ended_idle_backend_is_replaced_before_the_statement),
	    database_test(backend_ended_in_a_transaction_is_an_error),
	    database_test(restarted_server_is_found_again),
	    cmocka_unit_test(silent_server_costs_a_query_nothing),
	    cmocka_unit_test(refused_connection_is_told_in_words),
	    database_test(silent_first_host_is_left_for_the_second),
	    database_test(refusing_first_host_is_left_at_once),
	    database_test(read_only_server_is_not_taken),
	    database_test(connection_whose_server_turned_read_only_is_dropped),
	    database_test(role_is_the_application_name_unless_the_user_said_otherwise),
	    cmocka_unit_test(wrong_conninfo_is_an_error_with_its_place),
	};
	return cmocka_run_group_tests_name("pg", tests, NULL, NULL);
}
