#include "common/pg/schema.h"

#include <inttypes.h>
#include <string.h>

static enum result judge(int64_t version, struct error *error)
{
	if (version == SCHEMA_VERSION)
		return R_OK;
	if (version < SCHEMA_VERSION)
		error_set(error,
		    "the database is at version %" PRId64 ", this program needs %d: run `postern migrate`",
		    version, SCHEMA_VERSION);
	else
		error_set(error,
		    "the database is at version %" PRId64
		    ", newer than this program, which knows %d: upgrade the program",
		    version, SCHEMA_VERSION);
	return R_INVALID;
}

enum result schema_check(struct pg *pg, int timeout_ms, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(
	    pg, timeout_ms, &rows, error, "SELECT coalesce(max(version), 0) FROM schema_migrations", NULL, 0);
	if (result == R_OK)
		result = judge(pg_get_int(rows, 0, 0), error);
	else if (!strcmp(pg_sqlstate(pg), "42P01")) /* undefined_table */
		result = judge(0, error);
	PQclear(rows);
	return result;
}

bool schema_is_ready(struct pg *pg, int timeout_ms, bool *seen)
{
	if (pg_wait_ready(pg, timeout_ms, NULL) != R_OK)
		return false;
	*seen = *seen || schema_check(pg, timeout_ms, NULL) == R_OK;
	return *seen;
}
