/* Migrations: in order, once, whoever races; and the questions daemons ask at start. */
#include "common/cli/migrate.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pg/schema.h"
#include "tests/pg/database.h"

static const struct migration three[] = {
    {1, "0001_one.sql", "CREATE TABLE one (id int); INSERT INTO one VALUES (1);"},
    {2, "0002_two.sql", "CREATE TABLE two AS SELECT id + 1 AS id FROM one;"},
    {3, "0003_three.sql", "SELECT pg_sleep(0.3); CREATE TABLE three AS SELECT id + 1 AS id FROM two;"},
};

struct log {
	char text[512];
};

static void on_step(void *arg, const char *what, const char *name)
{
	struct log *log = arg;
	size_t used = strlen(log->text);
	snprintf(log->text + used, sizeof log->text - used, "%s %s;", what, name);
}

static enum result migrate(
    void **state, const struct migration *files, size_t count, struct log *log, struct error *error)
{
	memset(log, 0, sizeof *log);
	const struct migrate_options options = {
	    .conninfo = database_conninfo(state, NULL),
	    .migrations = files,
	    .count = count,
	    .lock_wait_ms = 5000,
	    .report = on_step,
	    .arg = log,
	};
	return migrate_run(&options, error);
}

static void files_are_applied_in_order_and_once(void **state)
{
	struct log log;
	struct error error;
	struct pg *pg = database_connect(state, NULL);
	assert_int_equal(migrate(state, three, 2, &log, &error), R_OK);
	assert_string_equal(log.text, "applied 0001_one.sql;applied 0002_two.sql;");
	assert_int_equal(migrate(state, three, 2, &log, &error), R_OK);
	assert_string_equal(log.text, "");
	assert_int_equal(migrate(state, three, 3, &log, &error), R_OK);
	assert_string_equal(log.text, "applied 0003_three.sql;");
	assert_string_equal(database_value(pg, "SELECT id FROM three"), "3");
	assert_string_equal(
	    database_value(
		pg, "SELECT string_agg(version || ' ' || name, ',' ORDER BY version) FROM schema_migrations"),
	    "1 0001_one.sql,2 0002_two.sql,3 0003_three.sql");
}

static void failing_file_leaves_nothing_of_itself(void **state)
{
	const struct migration files[] = {
	    three[0], {2, "0002_bad.sql", "CREATE TABLE half (id int);\nINSERT INTO nowhere VALUES (1);"}};
	struct log log;
	struct error error;
	struct pg *pg = database_connect(state, NULL);
	assert_int_equal(migrate(state, files, 2, &log, &error), R_ERROR);
	assert_non_null(strstr(error.text, "0002_bad.sql"));
	assert_non_null(strstr(error.text, "nowhere"));
	assert_string_equal(log.text, "applied 0001_one.sql;");
	assert_string_equal(database_value(pg, "SELECT to_regclass('half') IS NULL"), "t");
	assert_int_equal(migrate(state, three, 3, &log, &error), R_OK);
}

/* The note that a file was applied belongs to its transaction. */
static void file_that_cannot_be_noted_leaves_nothing_either(void **state)
{
	const struct migration files[] = {
	    three[0], {2, "0002_bad.sql",
			  "CREATE TABLE half (id int); INSERT INTO schema_migrations VALUES (2, '', '');"}};
	struct log log;
	struct error error;
	struct pg *pg = database_connect(state, NULL);
	assert_int_equal(migrate(state, files, 2, &log, &error), R_ERROR);
	assert_string_equal(database_value(pg, "SELECT to_regclass('half') IS NULL"), "t");
	assert_string_equal(database_value(pg, "SELECT max(version) FROM schema_migrations"), "1");
}

static void newer_database_is_refused(void **state)
{
	struct log log;
	struct error error;
	assert_int_equal(migrate(state, three, 3, &log, &error), R_OK);
	assert_int_equal(migrate(state, three, 2, &log, &error), R_INVALID);
	assert_non_null(
	    strstr(error.text, "version 3 (0003_three.sql), newer than this program, which knows 2"));
	assert_string_equal(log.text, "");
}

static void changed_file_is_refused(void **state)
{
	const struct migration changed[] = {{1, "0001_one.sql", "CREATE TABLE one (id bigint);"}, three[1]};
	struct log log;
	struct error error;
	assert_int_equal(migrate(state, three, 1, &log, &error), R_OK);
	assert_int_equal(migrate(state, changed, 2, &log, &error), R_INVALID);
	assert_non_null(strstr(error.text, "0001_one.sql is not the file that made this database"));
	assert_string_equal(log.text, "");
}

struct racer {
	void **state;
	struct migrate_options options;
	struct log log;
	struct error error;
	enum result result;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	racer->result = migrate_run(&racer->options, &racer->error);
	return NULL;
}

static void two_at_once_apply_each_file_once(void **state)
{
	enum { RACERS = 4 };
	struct racer racers[RACERS] = {{.state = state}};
	pthread_t threads[RACERS];
	size_t applied = 0;
	for (size_t i = 0; i < RACERS; i++) {
		racers[i].options = (struct migrate_options){
		    .conninfo = database_conninfo(state, NULL),
		    .migrations = three,
		    .count = 3,
		    .lock_wait_ms = 20000,
		    .report = on_step,
		    .arg = &racers[i].log,
		};
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (size_t i = 0; i < RACERS; i++) {
		pthread_join(threads[i], NULL);
		if (racers[i].result != R_OK)
			fail_msg("%s", racers[i].error.text);
		applied += racers[i].log.text[0] != 0;
	}
	assert_int_equal(applied, 1);
}

static void lock_that_is_held_too_long_is_an_error_with_a_mend(void **state)
{
	struct pg *holder = database_connect(state, NULL);
	struct error error;
	struct log log;
	assert_int_equal(migrate(state, three, 1, &log, &error), R_OK);
	database_run(holder, "BEGIN");
	database_run(holder, "LOCK TABLE schema_migrations");
	const struct migrate_options options = {
	    .conninfo = database_conninfo(state, NULL), .migrations = three, .count = 3, .lock_wait_ms = 200};
	assert_int_not_equal(migrate_run(&options, &error), R_OK);
	assert_non_null(strstr(error.text, "lock timeout"));
	database_run(holder, "ROLLBACK");
}

static void second_migration_does_not_wait_for_ever(void **state)
{
	/* The first one's file waits for a lock of ours, so it holds the migrations' lock as long as we like.
	 */
	const struct migration files[] = {{1, "0001_waits.sql", "SELECT pg_advisory_xact_lock(42);"}};
	struct pg *holder = database_connect(state, NULL);
	database_run(holder, "SELECT pg_advisory_lock(42)");
	struct racer first = {.options = {.conninfo = database_conninfo(state, NULL),
				  .migrations = files,
				  .count = 1,
				  .lock_wait_ms = 20000}};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, race, &first), 0);
	database_wait_for(holder, "1",
	    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postern-migrate' AND datname ="
	    " current_database() AND wait_event = 'advisory'");
	struct error error;
	const struct migrate_options options = {
	    .conninfo = database_conninfo(state, NULL), .migrations = files, .count = 1, .lock_wait_ms = 200};
	assert_int_equal(migrate_run(&options, &error), R_TIMEOUT);
	assert_non_null(strstr(error.text, "another `postern migrate`"));
	database_run(holder, "SELECT pg_advisory_unlock(42)");
	pthread_join(thread, NULL);
	assert_int_equal(first.result, R_OK);
}

static void missing_right_to_create_roles_is_told_with_its_mend(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct error error;
	/* On a server where the roles exist already, nobody needs the right; so the right that is missing
	 * here is the one to create tables. */
	database_run(admin, "DROP ROLE IF EXISTS test_nobody");
	database_run(admin, "CREATE ROLE test_nobody LOGIN");
	const struct migrate_options options = {.conninfo = database_conninfo(state, "test_nobody"),
	    .migrations = three,
	    .count = 1,
	    .lock_wait_ms = 1000};
	assert_int_equal(migrate_run(&options, &error), R_DENIED);
	assert_non_null(strstr(error.text, "CREATEROLE"));
	database_run(admin, "DROP ROLE test_nobody");
}

static void unreachable_database_is_told_apart(void **state)
{
	(void)state;
	struct error error;
	const struct migrate_options options = {.conninfo = "host=/nonexistent user=x dbname=x",
	    .migrations = three,
	    .count = 1,
	    .lock_wait_ms = 1000};
	assert_int_equal(migrate_run(&options, &error), R_DOWN);
	assert_non_null(strstr(error.text, "/nonexistent"));
}

static void program_carries_every_file_of_the_folder(void **state)
{
	(void)state;
	size_t files = 0;
	DIR *directory = opendir("sql");
	if (!directory)
		fail_msg("run this test from the project's folder");
	for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
		size_t size = strlen(entry->d_name);
		files += size > 4 && !strcmp(entry->d_name + size - 4, ".sql");
	}
	closedir(directory);
	assert_int_equal(files, migration_count);
	for (size_t i = 0; i < migration_count; i++) {
		assert_int_equal(migrations[i].version, i + 1);
		assert_int_equal(atoi(migrations[i].name), i + 1);
	}
}

static void daemons_are_told_what_the_database_lacks(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct error error;
	assert_int_equal(schema_check(pg, 5000, &error), R_INVALID);
	assert_non_null(strstr(error.text, "version 0"));
	assert_non_null(strstr(error.text, "run `postern migrate`"));
	struct log log;
	assert_int_equal(migrate(state, migrations, migration_count, &log, &error), R_OK);
	assert_int_equal(schema_check(pg, 5000, &error), R_OK);
	database_run(pg,
	    "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, '9999_future.sql', '')");
	assert_int_equal(schema_check(pg, 5000, &error), R_INVALID);
	assert_non_null(strstr(error.text, "version 9999, newer than this program"));
}

static void roles_may_ask_for_the_version(void **state)
{
	struct log log;
	struct error error;
	assert_int_equal(migrate(state, migrations, migration_count, &log, &error), R_OK);
	const char *const roles[] = {"postern_edge", "postern_acme", "postern_verifier"};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(schema_check(database_connect(state, roles[i]), 5000, &error), R_OK);
}

#define empty_test(test) cmocka_unit_test_setup_teardown(test, database_setup_empty, database_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    empty_test(files_are_applied_in_order_and_once),
	    empty_test(failing_file_leaves_nothing_of_itself),
	    empty_test(file_that_cannot_be_noted_leaves_nothing_either),
	    empty_test(newer_database_is_refused),
	    empty_test(changed_file_is_refused),
	    empty_test(two_at_once_apply_each_file_once),
	    empty_test(lock_that_is_held_too_long_is_an_error_with_a_mend),
	    empty_test(second_migration_does_not_wait_for_ever),
	    empty_test(missing_right_to_create_roles_is_told_with_its_mend),
	    cmocka_unit_test(unreachable_database_is_told_apart),
	    cmocka_unit_test(program_carries_every_file_of_the_folder),
	    empty_test(daemons_are_told_what_the_database_lacks),
	    empty_test(roles_may_ask_for_the_version),
	};
	return cmocka_run_group_tests_name("migrate", tests, NULL, NULL);
}
