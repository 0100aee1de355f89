#include "acme/queue/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/crash_point.h"
#include "common/base/mem.h"
#include "common/base/process.h"

#define OURS " WHERE name = $1 AND fence = $2 AND state = 'running' AND lease_until > clock_timestamp()"
#define PROLONG "lease_until = clock_timestamp() + $3::bigint * interval '1 millisecond'"
#define FORGET \
	"step = 'none', is_charged = false, order_url = NULL, key_sealed = NULL, key_version = NULL, csr = " \
	"NULL, " \
	"certificate_url = NULL"

void job_fini(struct job *job)
{
	free(job->key_sealed);
	free(job->csr);
	*job = (struct job){.name = ""};
}

bool job_is_renewal(const struct job *job)
{
	return strcmp(job->reason, "renewal") == 0 || strcmp(job->reason, "reissue") == 0;
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

enum result job_set_ordering(
    struct pg *pg, struct job *job, const char *directory, bool is_charged, struct error *error)
{
	const struct pg_param extra[] = {pg_text(directory), pg_text(is_charged ? "t" : "f")};
	enum result result = job_update(pg, job, error,
	    "UPDATE issuance_jobs SET step = 'ordering', directory = $4, is_charged = $5::boolean, turn_at = "
	    "NULL, " PROLONG OURS,
	    extra, 2);
	if (result != R_OK)
		return result;
	job->is_charged = is_charged;
	job->step = JOB_ORDERING;
	job->turn_at[0] = '\0';
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
	job->is_charged = false;
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
	    " last_error = NULL, last_actor = NULL, foreseen = false, lease_owner = NULL, lease_until = "
	    "NULL, finished_at = "
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
	    "INSERT INTO failures AS f (name, cause, retry_at, detail, actor) VALUES ($1, $2, now(), $3, $4)"
	    " ON CONFLICT (name, cause) DO UPDATE SET count = f.count + 1, last_at = now(), detail = "
	    "EXCLUDED.detail"
	    " RETURNING count",
	    pg_text(job->name), pg_text(acme_cause_name(failure->cause)), pg_text(failure->detail),
	    pg_text(acme_cause_actor(failure->cause)));
	*count = result == R_OK ? (int)pg_get_int(rows, 0, 0) : 1;
	PQclear(rows);
	return result;
}

/* A failure that was foreseen is none that the CA counts, nor one that another type of challenge would mend.
 */
#define FAILED \
	"attempts = attempts + CASE WHEN $7::boolean THEN 0 ELSE 1 END, foreseen = $7::boolean, last_actor " \
	"= $6," \
	" next_try_at = now() + $3::bigint * interval '1 millisecond', last_cause = $4," \
	" last_error = $5, lease_owner = NULL, lease_until = NULL"

static enum result set_failed(struct pg *pg, const struct job *job, const struct acme_failure *failure,
    int64_t delay_ms, struct error *error)
{
	static const char forget[] = "UPDATE issuance_jobs SET state = 'failed', " FAILED ", " FORGET OURS;
	static const char keep[] = "UPDATE issuance_jobs SET state = 'failed', " FAILED OURS;
	const char *cause = acme_cause_name(failure->cause);
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    failure->elsewhere || (acme_cause_ends_order(failure->cause) && !failure->keeps_order) ? forget
												   : keep,
	    pg_text(job->name), pg_int(job->fence), pg_int(delay_ms), pg_text(cause),
	    pg_text(failure->detail), pg_text(acme_cause_actor(failure->cause)),
	    pg_text(failure->foreseen ? "true" : "false"));
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

/* Soon enough for who waits at an edge: still queued. Else the edges are told that it takes longer. */
enum { SOON_MS = 10 * 1000 };

enum result job_defer(struct pg *pg, const struct job *job, const struct job_wait *wait, struct error *error)
{
	uint32_t random = 0;
	process_random(&random, sizeof random);
	int64_t ms = wait->ms < JOB_WAIT_MAX_MS ? wait->ms : JOB_WAIT_MAX_MS;
	ms += random % (ms / 50 + 250);
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "UPDATE issuance_jobs SET state = $3, waits_on = $4, waits_for = $5, lease_owner = NULL,"
	    " lease_until = NULL, next_try_at = clock_timestamp() + $6::bigint * interval '1 "
	    "millisecond', turn_at = CASE WHEN $4 <> 'budget' THEN turn_at WHEN $7::bigint > 0"
	    " THEN clock_timestamp() + $7::bigint * interval '1 millisecond' END" OURS,
	    pg_text(job->name), pg_int(job->fence), pg_text(ms <= SOON_MS ? "queued" : "failed"),
	    pg_text(wait->on), pg_text(wait->text), pg_int(ms), pg_int(wait->ms));
	if (result == R_OK && strcmp(PQcmdTuples(rows), "1") != 0)
		result = R_LOST;
	PQclear(rows);
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
	    " AND next_try_at <= now() ORDER BY next_try_at LIMIT 10000) AS due",
	    NULL, 0);
	if (result == R_OK)
		*out = pg_get_int(rows, 0, 0);
	PQclear(rows);
	return result;
}
