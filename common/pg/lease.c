#include "common/pg/lease.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clock_timestamp(), not now(): a transaction's now() stands still while the lease runs out. */
#define OURS " AND fence = $2 AND lease_owner = $3 AND lease_until > clock_timestamp()"
#define MILLISECONDS_FROM_NOW "::bigint * interval '1 millisecond' + clock_timestamp()"

const struct lease_table lease_issuance_jobs = {
    .name = "issuance_jobs",
    .renew = "UPDATE issuance_jobs SET lease_until = $4" MILLISECONDS_FROM_NOW
	     " WHERE name = $1 AND state = 'running'" OURS,
    .check = "SELECT 1 FROM issuance_jobs WHERE name = $1 AND state = 'running'" OURS,
    .release =
	"UPDATE issuance_jobs SET state = 'queued', next_try_at = clock_timestamp(), lease_owner = NULL,"
	" lease_until = NULL WHERE name = $1 AND state = 'running'" OURS,
};

/* The second nextval is not the first: it runs when the row is locked, so that a claim that was held up in
 * between cannot put a smaller fence over a greater one. */
const struct lease_table lease_ca_accounts = {
    .name = "ca_accounts",
    .acquire = "INSERT INTO ca_accounts AS a (directory, fence, lease_owner, lease_until)"
	       " VALUES ($1, nextval('fences'), $2, $3" MILLISECONDS_FROM_NOW ")"
	       " ON CONFLICT (directory) DO UPDATE SET fence = nextval('fences'), lease_owner = "
	       "EXCLUDED.lease_owner,"
	       " lease_until = EXCLUDED.lease_until"
	       " WHERE a.lease_until IS NULL OR a.lease_until <= clock_timestamp() RETURNING fence",
    .renew = "UPDATE ca_accounts SET lease_until = $4" MILLISECONDS_FROM_NOW " WHERE directory = $1" OURS,
    .check = "SELECT 1 FROM ca_accounts WHERE directory = $1" OURS,
    .release = "UPDATE ca_accounts SET lease_owner = NULL, lease_until = NULL WHERE directory = $1" OURS,
};

static void copy_or_abort(char *to, size_t size, const char *from)
{
	if (strlen(from) >= size)
		abort();
	memcpy(to, from, strlen(from) + 1);
}

void lease_adopt(
    struct lease *lease, const struct lease_table *table, const char *key, const char *owner, int64_t fence)
{
	lease->table = table;
	copy_or_abort(lease->key, sizeof lease->key, key);
	copy_or_abort(lease->owner, sizeof lease->owner, owner);
	lease->fence = fence;
}

enum result lease_acquire(struct lease *lease, struct pg *pg, const struct lease_table *table,
    const char *key, const char *owner, int ttl_ms, struct error *error)
{
	PGresult *rows = NULL;
	lease_adopt(lease, table, key, owner, 0);
	enum result result = pg_run(
	    pg, LEASE_QUERY_MS, &rows, error, table->acquire, pg_text(key), pg_text(owner), pg_int(ttl_ms));
	if (result == R_OK && PQntuples(rows) == 0) {
		error_set(error, "another process works on %s %s", table->name, key);
		result = R_AGAIN;
	}
	if (result == R_OK)
		lease->fence = pg_get_int(rows, 0, 0);
	PQclear(rows);
	return result;
}

static enum result lost(const struct lease *lease, struct error *error)
{
	error_set(error, "the lease on %s %s has expired or is another's", lease->table->name, lease->key);
	return R_LOST;
}

static bool touched_a_row(PGresult *result)
{
	return strcmp(PQcmdTuples(result), "1") == 0;
}

enum result lease_renew(const struct lease *lease, struct pg *pg, int ttl_ms, struct error *error)
{
	PGresult *done = NULL;
	enum result result = pg_run(pg, LEASE_QUERY_MS, &done, error, lease->table->renew,
	    pg_text(lease->key), pg_int(lease->fence), pg_text(lease->owner), pg_int(ttl_ms));
	if (result == R_OK && !touched_a_row(done))
		result = lost(lease, error);
	PQclear(done);
	return result;
}

/* For the statements that take the key, the fence and the owner. */
static enum result ask(const struct lease *lease, struct pg *pg, const char *sql, struct error *error)
{
	PGresult *done = NULL;
	enum result result = pg_run(pg, LEASE_QUERY_MS, &done, error, sql, pg_text(lease->key),
	    pg_int(lease->fence), pg_text(lease->owner));
	if (result == R_OK && !touched_a_row(done))
		result = lost(lease, error);
	PQclear(done);
	return result;
}

enum result lease_check(const struct lease *lease, struct pg *pg, struct error *error)
{
	return ask(lease, pg, lease->table->check, error);
}

enum result lease_release(struct lease *lease, struct pg *pg, struct error *error)
{
	enum result result = ask(lease, pg, lease->table->release, error);
	lease->fence = 0;
	return result;
}
