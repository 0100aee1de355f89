/*
 * A fresh, migrated database for each test, on the server of tests/support/with_postgres: cmocka's setup and
 * teardown, and the few lines of SQL that tests are made of. Migrated once, into a template; copied in some
 * 30 ms.
 */
#ifndef TESTS_PG_DATABASE_H
#define TESTS_PG_DATABASE_H

/* What cmocka.h wants before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/pg/pg.h"

enum { TEST_WAIT_MS = 10000 };

/* As CMUnitTest's setup and teardown: cmocka_unit_test_setup_teardown(test, database_setup,
 * database_teardown), or shorter database_test(test). */
int database_setup(void **state);
int database_teardown(void **state);
#define database_test(test) cmocka_unit_test_setup_teardown(test, database_setup, database_teardown)

/* A database without any table. */
int database_setup_empty(void **state);

/* The conninfo of a role (NULL: superuser) on this test's database; over the Unix socket, or TCP. Lives as
 * long as the test. */
const char *database_conninfo(void **state, const char *role);
const char *database_conninfo_tcp(void **state, const char *role);

/* A connection that is ready; closed by the teardown. */
struct pg *database_connect(void **state, const char *role);

/* Runs a statement that must succeed; returns the first value as text, "" where there is none. Lives until
 * the next call. `...` are the parameters as text, $1 first, and must be as many as the statement has. */
const char *database_value(struct pg *pg, const char *sql, ...);
#define database_run(pg, ...) ((void)database_value((pg), __VA_ARGS__))
/* Runs a statement that must fail with this SQLSTATE. */
void database_refused(struct pg *pg, const char *sqlstate, const char *sql);

/* Asks every 10 ms until `sql` says `expected`; fails the test after TEST_WAIT_MS. */
void database_wait_for(struct pg *pg, const char *expected, const char *sql);

/* The process id of the server itself, whose end and start again a test may cause. */
int database_server_pid(struct pg *pg);

#endif
