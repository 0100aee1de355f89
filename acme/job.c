#include "acme/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/crash_point.h"
#include "common/mem.h"
#include "common/process.h"

#define OURS " WHERE name = $1 AND fence = $2 AND state = 'running' AND lease_until > clock_timestamp()"
#define PROLONG "lease_until = clock_timestamp() + $3::bigint * interval '1 millisecond'"
#define FORGET \
	"step = 'none', order_url = NULL, key_sealed = NULL, key_version = NULL, csr = NULL, " \
	"certificate_url = NULL"

static const char *const step_names[] = {
    [JOB_NONE] = "none",
    [JOB_ORDERING] = "ordering",
    [JOB_ORDERED] = "ordered",
    [JOB_FINALIZING] = "finalizing",
    [JOB_ISSUED] = "issued",
};

void job_fini(struct job *job)
{
	free(job->key_sealed);
	free(job->csr);
	*job = (struct job){.name = ""};
}

static enum job_step step_of(const char *name)
{
	for (size_t i = 0; i < sizeof step_names / sizeof *step_names; i++)
		if (strcmp(step_names[i], name) == 0)
			return (enum job_step)i;
	return JOB_NONE;
}

/* $1 name, $2 fence, $3 lease, then `extra`. R_LOST: no row was ours. */
static enum result job_update(struct pg *pg, const struct job *job, struct error *error, const char *sql,
    const struct pg_param *extra, int extra_count)
{
	struct pg_param params[8] = {pg_text(job->name), pg_int(job->fence), pg_int(job->lease_ms)};
	for (int i = 0; i < extra_count; i++)
		params[3 + i] = extra[i];
	PGresult *rows = NULL;
	enum result result = pg_query(pg, JOB_QUERY_MS, &rows, error, sql, params, 3 + extra_count);
	if (result == R_OK && strcmp(PQcmdTuples(rows), "1") != 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static void copy_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

/* Candidates in order: what a dead owner left, what somebody waits for, renewals. Each is one index scan with
 * LIMIT 1. now() can use the index where clock_timestamp() can't; it is this transaction's beginning. */
static const char claim_sql[] =
    "WITH expired AS (SELECT name FROM issuance_jobs WHERE state = 'running' AND lease_until <= now()"
    "   ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED),"
    " awaited AS (SELECT name FROM issuance_jobs WHERE state IN ('queued', 'failed') AND next_try_at <= now()"
    "   AND reason <> 'renewal' AND NOT EXISTS (SELECT 1 FROM expired)"
    "   ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED),"
    " due AS (SELECT name FROM issuance_jobs WHERE state IN ('queued', 'failed') AND next_try_at <= now()"
    "   AND NOT EXISTS (SELECT 1 FROM expired) AND NOT EXISTS (SELECT 1 FROM awaited)"
    "   ORDER BY next_try_at LIMIT 1 FOR UPDATE SKIP LOCKED),"
    " picked AS (SELECT name FROM expired UNION ALL SELECT name FROM awaited UNION ALL SELECT name FROM due)"
    " UPDATE issuance_jobs j SET state = 'running', fence = nextval('fences'), lease_owner = $1,"
    "   lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond', last_try_at = "
    "clock_timestamp()"
    " FROM picked WHERE j.name = picked.name"
    " RETURNING j.name, j.fence, j.attempts, j.step, j.order_url, j.certificate_url, j.key_sealed, "
    "j.key_version,"
    "   j.csr, j.directory";

/* A statement of its own, so that its snapshot is younger than the lock on the job: what the last owner
 * committed together with the job is seen. Rows in domains of which none is active mean that ask would have
 * said no, except that a certificate already there goes on being renewed; no rows at all mean a foreign ask
 * endpoint. */
static const char judge_sql[] =
    "SELECT site_blocked($1) OR (EXISTS (SELECT 1 FROM domains WHERE name = $1)"
    "   AND NOT EXISTS (SELECT 1 FROM domains WHERE name = $1 AND status IN ('active', 'drifted'))"
    "   AND NOT EXISTS (SELECT 1 FROM certificates WHERE name = $1)),"
    " EXISTS (SELECT 1 FROM certificates WHERE name = $1 AND not_after > now() AND renew_at > now()"
    "   AND revoked_at IS NULL)";

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
}

/* R_AGAIN: closed. */
static enum result judge(struct pg *pg, struct job *job, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error, judge_sql, pg_text(job->name));
	bool is_forbidden = result == R_OK && pg_get_bool(rows, 0, 0);
	job->has_certificate = result == R_OK && pg_get_bool(rows, 0, 1);
	PQclear(rows);
	if (!is_forbidden)
		return result;
	result = job_close(pg, job, error);
	return result == R_OK ? R_AGAIN : result;
}

static enum result take(struct pg *pg, int64_t lease_ms, struct job *out, struct error *error)
{
	PGresult *rows = NULL;
	enum result result =
	    pg_run(pg, JOB_QUERY_MS, &rows, error, claim_sql, pg_text(process_id()), pg_int(lease_ms));
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

enum result job_claim(struct pg *pg, int64_t lease_ms, struct job *out, struct error *error)
{
	*out = (struct job){.name = ""};
	enum result result = pg_query(pg, JOB_QUERY_MS, NULL, error, "BEGIN", NULL, 0);
	if (result == R_OK)
		result = take(pg, lease_ms, out, error);
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

enum result job_hold(struct pg *pg, const struct job *job, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT lease_until < clock_timestamp() + $3::bigint * interval '0.5 millisecond' FROM "
	    "issuance_jobs" OURS,
	    pg_text(job->name), pg_int(job->fence), pg_int(job->lease_ms));
	bool half_used = result == R_OK && PQntuples(rows) == 1 && pg_get_bool(rows, 0, 0);
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	PQclear(rows);
	return half_used ? lease_renew(&job->lease, pg, (int)job->lease_ms, error) : result;
}

enum result job_set_ordering(struct pg *pg, struct job *job, const char *directory, struct error *error)
{
	const struct pg_param extra[] = {pg_text(directory)};
	enum result result = job_update(pg, job, error,
	    "UPDATE issuance_jobs SET step = 'ordering', directory = $4, " PROLONG OURS, extra, 1);
	if (result != R_OK)
		return result;
	job->step = JOB_ORDERING;
	copy_text(job->directory, sizeof job->directory, directory);
	crash_point("ordering");
	return R_OK;
}

enum result job_set_ordered(struct pg *pg, struct job *job, const char *order_url, struct error *error)
{
	const struct pg_param extra[] = {pg_text(order_url)};
	enum result result = job_update(pg, job, error,
	    "UPDATE issuance_jobs SET step = 'ordered', order_url = $4, " PROLONG OURS, extra, 1);
	if (result != R_OK)
		return result;
	job->step = JOB_ORDERED;
	copy_text(job->order_url, sizeof job->order_url, order_url);
	crash_point("ordered");
	return R_OK;
}

enum result job_set_finalizing(struct pg *pg, struct job *job, const void *key_sealed, size_t key_size,
    const void *csr, size_t csr_size, struct error *error)
{
	const struct pg_param extra[] = {pg_bytea(key_sealed, key_size), pg_bytea(csr, csr_size)};
	enum result result = job_update(pg, job, error,
	    "UPDATE issuance_jobs SET step = 'finalizing', key_sealed = $4, key_version = $2, csr = "
	    "$5, " PROLONG OURS,
	    extra, 2);
	if (result != R_OK)
		return result;
	job->step = JOB_FINALIZING;
	free(job->key_sealed);
	free(job->csr);
	job->key_sealed = mem_copy(key_sealed, key_size);
	job->key_sealed_size = key_size;
	job->key_version = job->fence;
	job->csr = mem_copy(csr, csr_size);
	job->csr_size = csr_size;
	crash_point("finalizing");
	return R_OK;
}

enum result job_set_issued(struct pg *pg, struct job *job, const char *certificate_url, struct error *error)
{
	const struct pg_param extra[] = {pg_text(certificate_url)};
	enum result result = job_update(pg, job, error,
	    "UPDATE issuance_jobs SET step = 'issued', certificate_url = $4, " PROLONG OURS, extra, 1);
	if (result != R_OK)
		return result;
	job->step = JOB_ISSUED;
	copy_text(job->certificate_url, sizeof job->certificate_url, certificate_url);
	crash_point("issued");
	return R_OK;
}

enum result job_forget_order(struct pg *pg, struct job *job, struct error *error)
{
	enum result result =
	    job_update(pg, job, error, "UPDATE issuance_jobs SET " FORGET ", " PROLONG OURS, NULL, 0);
	if (result != R_OK)
		return result;
	job->step = JOB_NONE;
	job->order_url[0] = job->certificate_url[0] = '\0';
	free(job->key_sealed);
	free(job->csr);
	job->key_sealed = job->csr = NULL;
	job->key_sealed_size = job->csr_size = 0;
	return R_OK;
}

/* The edges are told as well: who waits for this name looks again, and finds a certificate or none. */
enum result job_close(struct pg *pg, const struct job *job, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "WITH closed AS (UPDATE issuance_jobs SET state = 'idle', attempts = 0, last_cause = NULL,"
	    " last_error = NULL, lease_owner = NULL, lease_until = NULL, finished_at = "
	    "clock_timestamp(), " FORGET OURS
	    " RETURNING name) SELECT pg_notify('postern_site', name) FROM closed",
	    pg_text(job->name), pg_int(job->fence));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static enum result count_failure(
    struct pg *pg, const struct job *job, const struct acme_failure *failure, int *count, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "INSERT INTO failures AS f (name, cause, retry_at, detail) VALUES ($1, $2, now(), $3)"
	    " ON CONFLICT (name, cause) DO UPDATE SET count = f.count + 1, last_at = now(), detail = "
	    "EXCLUDED.detail"
	    " RETURNING count",
	    pg_text(job->name), pg_text(acme_cause_name(failure->cause)), pg_text(failure->detail));
	*count = result == R_OK ? (int)pg_get_int(rows, 0, 0) : 1;
	PQclear(rows);
	return result;
}

static enum result set_failed(struct pg *pg, const struct job *job, const struct acme_failure *failure,
    int64_t delay_ms, struct error *error)
{
	static const char forget[] =
	    "UPDATE issuance_jobs SET state = 'failed', attempts = attempts + 1,"
	    " next_try_at = now() + $3::bigint * interval '1 millisecond', last_cause = $4,"
	    " last_error = $5, lease_owner = NULL, lease_until = NULL, " FORGET OURS;
	static const char keep[] =
	    "UPDATE issuance_jobs SET state = 'failed', attempts = attempts + 1,"
	    " next_try_at = now() + $3::bigint * interval '1 millisecond', last_cause = $4,"
	    " last_error = $5, lease_owner = NULL, lease_until = NULL" OURS;
	const char *cause = acme_cause_name(failure->cause);
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    failure->elsewhere || (acme_cause_ends_order(failure->cause) && !failure->keeps_order) ? forget
												   : keep,
	    pg_text(job->name), pg_int(job->fence), pg_int(delay_ms), pg_text(cause),
	    pg_text(failure->detail));
	if (result == R_OK && strcmp(PQcmdTuples(rows), "1") != 0)
		result = R_LOST;
	PQclear(rows);
	if (result != R_OK)
		return result;
	return pg_run(pg, JOB_QUERY_MS, NULL, error,
	    "UPDATE failures SET retry_at = now() + $3::bigint * interval '1 millisecond'"
	    " WHERE name = $1 AND cause = $2",
	    pg_text(job->name), pg_text(cause), pg_int(delay_ms));
}

enum result job_fail(
    struct pg *pg, const struct job *job, const struct acme_failure *failure, struct error *error)
{
	int count = 1;
	uint32_t random = 0;
	process_random(&random, sizeof random);
	enum result result = pg_query(pg, JOB_QUERY_MS, NULL, error, "BEGIN", NULL, 0);
	if (result == R_OK)
		result = count_failure(pg, job, failure, &count, error);
	if (result == R_OK)
		result = set_failed(pg, job, failure, acme_failure_delay_ms(failure, count, random), error);
	if (result == R_OK)
		result = pg_query(pg, JOB_QUERY_MS, NULL, error, "COMMIT", NULL, 0);
	if (result != R_OK)
		pg_rollback(pg);
	return result;
}

enum result job_release(struct pg *pg, struct job *job, struct error *error)
{
	enum result result = lease_release(&job->lease, pg, error);
	if (result == R_OK)
		result = pg_run(
		    pg, JOB_QUERY_MS, NULL, error, "SELECT pg_notify('postern_job', $1)", pg_text(job->name));
	return result;
}

enum result job_count_queued(struct pg *pg, int64_t *out, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT count(*) FROM (SELECT 1 FROM issuance_jobs WHERE state IN ('queued', 'failed')"
	    " AND next_try_at <= now() LIMIT 10000) AS due",
	    NULL, 0);
	if (result == R_OK)
		*out = pg_get_int(rows, 0, 0);
	PQclear(rows);
	return result;
}
