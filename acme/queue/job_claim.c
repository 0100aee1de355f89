#include "acme/queue/job.h"

#include <stdio.h>
#include <string.h>

#include "acme/crash_point.h"
#include "common/base/process.h"

static const char *const step_names[] = {
    [JOB_NONE] = "none",
    [JOB_ORDERING] = "ordering",
    [JOB_ORDERED] = "ordered",
    [JOB_FINALIZING] = "finalizing",
    [JOB_ISSUED] = "issued",
};

static enum job_step step_of(const char *name)
{
	for (size_t i = 0; i < sizeof step_names / sizeof *step_names; i++)
		if (strcmp(step_names[i], name) == 0)
			return (enum job_step)i;
	return JOB_NONE;
}

static void copy_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

/* Candidates: what a dead owner left; then the lanes in their order, where the LIMIT ends the walk at the
 * first that has something; or the oldest of all. Each is an index scan of one row. now() can use the index
 * where clock_timestamp() can't; it is this transaction's beginning. */
#define DUE "state IN ('queued', 'failed') AND next_try_at <= now()"
#define FIRST " ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED"
static const char claim_sql[] =
    "WITH expired AS MATERIALIZED (SELECT name FROM issuance_jobs"
    "   WHERE state = 'running' AND lease_until <= now()"
    "   ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED),"
    " by_lane AS MATERIALIZED (SELECT first.* FROM"
    "   unnest(ARRAY['urgent', 'new', 'routine', 'reissue']) AS l (lane),"
    "   LATERAL (SELECT name FROM issuance_jobs WHERE lane = l.lane AND " DUE FIRST ") AS first"
    "   WHERE $3::boolean AND NOT EXISTS (SELECT 1 FROM expired) LIMIT 1),"
    " oldest AS MATERIALIZED (SELECT name FROM issuance_jobs WHERE NOT $3::boolean"
    "   AND NOT EXISTS (SELECT 1 FROM expired) AND " DUE FIRST "),"
    " picked AS (SELECT * FROM expired UNION ALL SELECT * FROM by_lane UNION ALL SELECT * FROM oldest)"
    " UPDATE issuance_jobs j SET state = 'running', fence = nextval('fences'), lease_owner = $1,"
    "   lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond',"
    "   last_try_at = clock_timestamp(), waits_on = NULL, waits_for = NULL"
    " FROM picked WHERE j.name = picked.name"
    " RETURNING j.name, j.fence, j.attempts, j.step, j.order_url, j.certificate_url, j.key_sealed,"
    "   j.key_version, j.csr, j.directory, j.reason, j.lane, j.turn_at, j.is_charged,"
    "   EXISTS (SELECT 1 FROM issuance_jobs AS other WHERE " DUE " AND other.name <> j.name)"
    "    OR EXISTS (SELECT 1 FROM issuance_jobs AS other WHERE state = 'running' AND lease_until <= now()"
    "      AND other.name <> j.name)";

/* A statement of its own, so that its snapshot is younger than the lock on the job: what the last owner
 * committed together with the job is seen. A name whose TLS is passed on needs none. Rows in domains of which
 * none is active mean that ask would have said no, except that a certificate already there goes on being
 * renewed; no rows at all mean a foreign ask endpoint. An uploaded certificate, also a wildcard of its
 * owner's, is theirs to replace, until it has expired. A campaign of re-issue wants one that was stored after
 * it asked. */
static const char judge_sql[] =
    "SELECT site_blocked($1) OR site_is_passed($1) OR (EXISTS (SELECT 1 FROM domains WHERE name = $1)"
    "   AND NOT EXISTS (SELECT 1 FROM domains WHERE name = $1 AND status IN ('active', 'drifted'))"
    "   AND NOT EXISTS (SELECT 1 FROM certificates WHERE name = $1))"
    " OR site_has_upload($1),"
    " EXISTS (SELECT 1 FROM certificates c JOIN issuance_jobs j USING (name) WHERE name = $1"
    "   AND c.not_after > now() AND c.renew_at > now() AND c.revoked_at IS NULL"
    "   AND (j.reason <> 'reissue' OR c.stored_at >= j.requested_at))";

static void read_claimed(struct job *job, const PGresult *row, int64_t lease_ms)
{
	*job = (struct job){.lease_ms = lease_ms};
	copy_text(job->name, sizeof job->name, pg_get(row, 0, 0));
	job->fence = pg_get_int(row, 0, 1);
	lease_adopt(&job->lease, &lease_issuance_jobs, job->name, process_id(), job->fence);
	job->attempts = (int)pg_get_int(row, 0, 2);
	job->step = step_of(pg_get(row, 0, 3));
	copy_text(job->directory, sizeof job->directory, pg_get(row, 0, 9));
	copy_text(job->order_url, sizeof job->order_url, pg_get(row, 0, 4));
	copy_text(job->certificate_url, sizeof job->certificate_url, pg_get(row, 0, 5));
	job->key_sealed = pg_get_bytes(row, 0, 6, &job->key_sealed_size);
	job->key_version = pg_get_int(row, 0, 7);
	job->csr = pg_get_bytes(row, 0, 8, &job->csr_size);
	copy_text(job->reason, sizeof job->reason, pg_get(row, 0, 10));
	copy_text(job->lane, sizeof job->lane, pg_get(row, 0, 11));
	copy_text(job->turn_at, sizeof job->turn_at, pg_get(row, 0, 12));
	job->is_charged = pg_get_bool(row, 0, 13);
	job->is_one_of_many = pg_get_bool(row, 0, 14);
}

/* R_AGAIN: closed. */
static enum result judge(struct pg *pg, struct job *job, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error, judge_sql, pg_text(job->name));
	bool is_forbidden = result == R_OK && pg_get_bool(rows, 0, 0);
	job->has_certificate = result == R_OK && pg_get_bool(rows, 0, 1);
	PQclear(rows);
	job->is_forbidden = is_forbidden && job->step == JOB_ORDERED;
	if (!is_forbidden || job->is_forbidden)
		return result;
	result = job_close(pg, job, error);
	return result == R_OK ? R_AGAIN : result;
}

static enum result take(
    struct pg *pg, int64_t lease_ms, enum job_order order, struct job *out, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error, claim_sql, pg_text(process_id()),
	    pg_int(lease_ms), pg_text(order == JOB_BY_LANE ? "t" : "f"));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	if (result != R_OK)
		goto out;
	read_claimed(out, rows, lease_ms);
	result = judge(pg, out, error);
out:
	PQclear(rows);
	return result;
}

enum result job_claim(
    struct pg *pg, int64_t lease_ms, enum job_order order, struct job *out, struct error *error)
{
	*out = (struct job){.name = ""};
	enum result result = pg_query(pg, JOB_QUERY_MS, NULL, error, "BEGIN", NULL, 0);
	if (result == R_OK)
		result = take(pg, lease_ms, order, out, error);
	enum result committed = R_OK;
	if (result == R_OK || result == R_AGAIN)
		committed = pg_query(pg, JOB_QUERY_MS, NULL, error, "COMMIT", NULL, 0);
	if (committed != R_OK)
		result = committed;
	if (result != R_OK) {
		pg_rollback(pg);
		job_fini(out);
		return result;
	}
	crash_point("claimed");
	return R_OK;
}
