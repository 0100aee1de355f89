#include "common/cli/migrate.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pg/pg.h"
#include "common/pg/pg_connect.h"

/* Any number would do, as long as every version of this program takes the same. */
#define LOCK_SQL "SELECT pg_advisory_lock(4919371000217364)"

enum { CHECKSUM_TEXT = 65, STATEMENT_MAX = 512 };

static const char *const roles[] = {"postern_edge", "postern_acme", "postern_verifier"};

static void checksum_of(const char *sql, char text[CHECKSUM_TEXT])
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};
	EVP_Digest(sql, strlen(sql), digest, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < (CHECKSUM_TEXT - 1) / 2; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

static const char *sqlstate_of(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	return state ? state : "";
}

/* The server's sentence, with the line of the file it is about. */
static enum result refused(PGconn *conn, const PGresult *result, struct error *error)
{
	char line[300];
	pg_error_line(line, sizeof line, result ? PQresultErrorMessage(result) : PQerrorMessage(conn));
	const char *state = result ? sqlstate_of(result) : "";
	if (!strcmp(state, "42501")) { /* insufficient_privilege */
		error_set(error,
		    "%s; migrate as the database's owner, who may also create roles (ALTER ROLE ... "
		    "CREATEROLE)",
		    line);
		return R_DENIED;
	}
	error_set(error, "%s", *line ? line : "the connection to the database was lost");
	return PQstatus(conn) == CONNECTION_OK ? R_ERROR : R_DOWN;
}

static enum result run(PGconn *conn, const char *sql, struct error *error)
{
	PGresult *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);
	enum result outcome = R_OK;
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		outcome = refused(conn, result, error);
	PQclear(result);
	return outcome;
}

/* The session's lock, held until the connection closes, also by a crash. */
static enum result lock(PGconn *conn, int wait_ms, struct error *error)
{
	char sql[STATEMENT_MAX];
	snprintf(sql, sizeof sql,
	    "SET search_path TO public; SET lock_timeout TO %d; SET client_min_messages TO warning", wait_ms);
	enum result outcome = run(conn, sql, error);
	if (outcome != R_OK)
		return outcome;
	PGresult *result = PQexec(conn, LOCK_SQL);
	if (PQresultStatus(result) != PGRES_TUPLES_OK) {
		bool busy = !strcmp(sqlstate_of(result), "55P03"); /* lock_not_available */
		outcome = busy ? R_TIMEOUT : refused(conn, result, error);
		if (busy)
			error_set(error,
			    "another `postern migrate` has held its lock for %d s: wait for it, or end it",
			    wait_ms / 1000);
	}
	PQclear(result);
	return outcome;
}

/* Two databases of one server may be migrated at once, and roles belong to the server: one that came into
 * being meanwhile is as good as ours. */
static enum result create_role(PGconn *conn, const char *role, struct error *error)
{
	char sql[STATEMENT_MAX];
	PGresult *found =
	    PQexecParams(conn, "SELECT 1 FROM pg_roles WHERE rolname = $1", 1, NULL, &role, NULL, NULL, 0);
	bool exists = PQresultStatus(found) == PGRES_TUPLES_OK && PQntuples(found) == 1;
	PQclear(found);
	if (exists)
		return R_OK;
	snprintf(sql, sizeof sql, "CREATE ROLE %s LOGIN", role);
	PGresult *created = PQexec(conn, sql);
	const char *state = sqlstate_of(created);
	enum result outcome = R_OK;
	if (PQresultStatus(created) != PGRES_COMMAND_OK && strcmp(state, "42710") != 0 &&
	    strcmp(state, "23505") != 0) {
		outcome = refused(conn, created, error);
		error_prefix(error, "cannot create the role %s", role);
	}
	PQclear(created);
	return outcome;
}

static enum result create_roles(PGconn *conn, struct error *error)
{
	enum result outcome = R_OK;
	for (size_t i = 0; i < sizeof roles / sizeof *roles && outcome == R_OK; i++)
		outcome = create_role(conn, roles[i], error);
	return outcome;
}

static enum result create_ledger(PGconn *conn, struct error *error)
{
	return run(conn,
	    "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL,"
	    " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
	    error);
}

static enum result compare(const struct migrate_options *options, int version, const char *name,
    const char *checksum, struct error *error)
{
	if (version < 1 || (size_t)version > options->count) {
		error_set(error,
		    "the database is at version %d (%s), newer than this program, which knows %zu: upgrade "
		    "the program",
		    version, name, options->count);
		return R_INVALID;
	}
	char expected[CHECKSUM_TEXT];
	checksum_of(options->migrations[version - 1].sql, expected);
	if (strcmp(expected, checksum) != 0) {
		error_set(error,
		    "%s is not the file that made this database (its checksum differs): use the program that "
		    "did,"
		    " or its newer release",
		    options->migrations[version - 1].name);
		return R_INVALID;
	}
	return R_OK;
}

/* *applied: how many of the migrations the database has. They are the first ones, without a gap. */
static enum result find_applied(
    PGconn *conn, const struct migrate_options *options, size_t *applied, struct error *error)
{
	PGresult *rows =
	    PQexec(conn, "SELECT version, name, checksum FROM schema_migrations ORDER BY version DESC");
	enum result outcome = PQresultStatus(rows) == PGRES_TUPLES_OK ? R_OK : refused(conn, rows, error);
	*applied = outcome == R_OK ? (size_t)PQntuples(rows) : 0;
	for (int row = 0; outcome == R_OK && row < (int)*applied; row++)
		outcome = compare(options, (int)pg_get_int(rows, row, 0), pg_get(rows, row, 1),
		    pg_get(rows, row, 2), error);
	PQclear(rows);
	return outcome;
}

static enum result note(PGconn *conn, const struct migration *migration, struct error *error)
{
	char version[24];
	char checksum[CHECKSUM_TEXT];
	checksum_of(migration->sql, checksum);
	const char *values[] = {pg_int_text(version, migration->version), migration->name, checksum};
	PGresult *result =
	    PQexecParams(conn, "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
		3, NULL, values, NULL, NULL, 0);
	enum result outcome =
	    PQresultStatus(result) == PGRES_COMMAND_OK ? R_OK : refused(conn, result, error);
	PQclear(result);
	return outcome;
}

static enum result apply(PGconn *conn, const struct migration *migration, struct error *error)
{
	enum result outcome = run(conn, "BEGIN", error);
	if (outcome == R_OK)
		outcome = run(conn, migration->sql, error);
	if (outcome == R_OK)
		outcome = note(conn, migration, error);
	if (outcome == R_OK)
		outcome = run(conn, "COMMIT", error);
	if (outcome != R_OK) {
		run(conn, "ROLLBACK", NULL);
		error_prefix(error, "%s", migration->name);
	}
	return outcome;
}

static enum result connect_to(PGconn **out, const char *conninfo, struct error *error)
{
	struct pg_options *connect = pg_options_new(conninfo, "postern-migrate");
	PGconn *conn = pg_options_connect(connect);
	pg_options_free(connect);
	*out = conn;
	if (PQstatus(conn) == CONNECTION_OK)
		return R_OK;
	char line[400];
	pg_error_line(line, sizeof line, PQerrorMessage(conn));
	error_set(error, "cannot connect to the database: %s", line);
	return R_DOWN;
}

enum result migrate_run(const struct migrate_options *options, struct error *error)
{
	PGconn *conn = NULL;
	size_t applied = 0;
	enum result outcome = connect_to(&conn, options->conninfo, error);
	if (outcome == R_OK)
		outcome = lock(conn, options->lock_wait_ms, error);
	if (outcome == R_OK)
		outcome = create_ledger(conn, error);
	if (outcome == R_OK)
		outcome = find_applied(conn, options, &applied, error);
	if (outcome == R_OK)
		outcome = create_roles(conn, error);
	for (size_t i = applied; outcome == R_OK && i < options->count; i++) {
		outcome = apply(conn, &options->migrations[i], error);
		if (outcome == R_OK && options->report)
			options->report(options->arg, "applied", options->migrations[i].name);
	}
	PQfinish(conn);
	return outcome;
}
