#include "tests/pg/database.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/cli/migrate.h"
#include "common/log/log.h"

enum { CONNECTIONS_MAX = 48, CONNINFOS_MAX = 48, PARAMS_MAX = 16, VALUE_MAX = 8192, QUERY_MS = 10000 };

struct database {
	char name[64];
	struct pg *admin; /* on the database postgres */
	struct pg *connections[CONNECTIONS_MAX];
	size_t connection_count;
	char *conninfos[CONNINFOS_MAX];
	size_t conninfo_count;
};

static const char *server_conninfo(void)
{
	const char *conninfo = getenv("POSTERN_TEST_DATABASE");
	if (!conninfo) {
		fprintf(stderr, "this test needs a PostgreSQL: tests/support/with_postgres %s\n",
		    program_invocation_name);
		exit(2);
	}
	return conninfo;
}

static const char *keep(struct database *database, char *conninfo)
{
	assert_true(database->conninfo_count < CONNINFOS_MAX);
	database->conninfos[database->conninfo_count++] = conninfo;
	return conninfo;
}

/* Later keywords win over earlier ones, so the server's conninfo is only added to. */
static char *conninfo_for(const char *name, const char *role, const char *more)
{
	char *conninfo = NULL;
	if (asprintf(&conninfo, "%s dbname=%s user=%s %s", server_conninfo(), name, role ? role : "postgres",
		more) < 0)
		abort();
	return conninfo;
}

const char *database_conninfo(void **state, const char *role)
{
	struct database *database = *state;
	return keep(database, conninfo_for(database->name, role, ""));
}

const char *database_conninfo_tcp(void **state, const char *role)
{
	struct database *database = *state;
	return keep(database, conninfo_for(database->name, role, "host=127.0.0.1"));
}

static struct pg *connect_to(const char *conninfo)
{
	struct error error;
	struct pg *pg = pg_new(conninfo, "postern-test");
	if (pg_wait_ready(pg, TEST_WAIT_MS, &error) != R_OK)
		fail_msg("%s", error.text);
	return pg;
}

struct pg *database_connect(void **state, const char *role)
{
	struct database *database = *state;
	assert_true(database->connection_count < CONNECTIONS_MAX);
	struct pg *pg = connect_to(database_conninfo(state, role));
	database->connections[database->connection_count++] = pg;
	return pg;
}

static int count_params(const char *sql)
{
	int highest = 0;
	for (const char *at = strchr(sql, '$'); at; at = strchr(at + 1, '$')) {
		int number = atoi(at + 1);
		highest = number > highest ? number : highest;
	}
	return highest;
}

const char *database_value(struct pg *pg, const char *sql, ...)
{
	static char value[VALUE_MAX];
	struct pg_param params[PARAMS_MAX];
	int count = count_params(sql);
	assert_true(count <= PARAMS_MAX);
	va_list arguments;
	va_start(arguments, sql);
	for (int i = 0; i < count; i++)
		params[i] = pg_text(va_arg(arguments, const char *));
	va_end(arguments);
	PGresult *rows = NULL;
	struct error error;
	if (pg_query(pg, QUERY_MS, &rows, &error, sql, params, count) != R_OK)
		fail_msg("%s: %s", sql, error.text);
	const char *first = PQntuples(rows) > 0 ? pg_get(rows, 0, 0) : NULL;
	snprintf(value, sizeof value, "%s", first ? first : "");
	PQclear(rows);
	return value;
}

void database_refused(struct pg *pg, const char *sqlstate, const char *sql)
{
	struct error error;
	if (pg_query(pg, QUERY_MS, NULL, &error, sql, NULL, 0) == R_OK)
		fail_msg("was not refused: %s", sql);
	if (strcmp(pg_sqlstate(pg), sqlstate) != 0)
		fail_msg("%s: SQLSTATE %s instead of %s (%s)", sql, pg_sqlstate(pg), sqlstate, error.text);
}

void database_wait_for(struct pg *pg, const char *expected, const char *sql)
{
	int64_t deadline = clock_monotonic_ms() + TEST_WAIT_MS;
	while (strcmp(database_value(pg, sql), expected) != 0) {
		if (clock_monotonic_ms() > deadline)
			fail_msg("%s: still %s, not %s", sql, database_value(pg, sql), expected);
		poll(NULL, 0, 10);
	}
}

int database_server_pid(struct pg *pg)
{
	char path[512];
	snprintf(path, sizeof path, "%s/postmaster.pid", database_value(pg, "SHOW data_directory"));
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	int pid = 0;
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

/* Under a lock, should two programs of tests share a server. */
static void make_template(struct pg *admin)
{
	static bool made;
	if (made)
		return;
	database_run(admin, "SELECT pg_advisory_lock(1)");
	if (!*database_value(
		admin, "SELECT 1 FROM pg_database WHERE datname = 'postern_template' AND datistemplate")) {
		database_run(admin, "DROP DATABASE IF EXISTS postern_template");
		database_run(admin, "CREATE DATABASE postern_template");
		char *conninfo = conninfo_for("postern_template", NULL, "");
		const struct migrate_options options = {
		    .conninfo = conninfo,
		    .migrations = migrations,
		    .count = migration_count,
		    .lock_wait_ms = TEST_WAIT_MS,
		};
		struct error error;
		if (migrate_run(&options, &error) != R_OK)
			fail_msg("%s", error.text);
		free(conninfo);
		database_run(admin, "ALTER DATABASE postern_template IS_TEMPLATE true");
	}
	database_run(admin, "SELECT pg_advisory_unlock(1)");
	made = true;
}

static struct database *make_database(const char *from)
{
	log_init("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, 2);
	struct database *database = mem_alloc(sizeof *database);
	database->admin = connect_to(server_conninfo());
	make_template(database->admin);
	uint32_t random = 0;
	process_random(&random, sizeof random);
	snprintf(database->name, sizeof database->name, "test_%08x", random);
	char sql[256];
	snprintf(sql, sizeof sql, "CREATE DATABASE %s TEMPLATE %s", database->name, from);
	database_run(database->admin, sql);
	return database;
}

int database_setup(void **state)
{
	*state = make_database("postern_template");
	return 0;
}

int database_setup_empty(void **state)
{
	*state = make_database("template1");
	return 0;
}

int database_teardown(void **state)
{
	struct database *database = *state;
	for (size_t i = 0; i < database->connection_count; i++)
		pg_free(database->connections[i]);
	struct error error;
	char sql[256];
	snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", database->name);
	if (pg_wait_ready(database->admin, TEST_WAIT_MS, &error) == R_OK)
		pg_query(database->admin, QUERY_MS, NULL, &error, sql, NULL, 0);
	pg_free(database->admin);
	for (size_t i = 0; i < database->conninfo_count; i++)
		free(database->conninfos[i]);
	free(database);
	return 0;
}
