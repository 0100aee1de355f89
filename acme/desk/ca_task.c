#include "acme/desk/ca_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/crash_point.h"
#include "acme/queue/job.h"
#include "common/base/mem.h"
#include "common/base/process.h"

#define OURS " WHERE id = $1 AND fence = $2 AND state = 'running' AND lease_until > clock_timestamp()"

static const char *const kind_names[TASK_KINDS] = {
    [TASK_ROLLOVER] = "rollover",
    [TASK_DEACTIVATE] = "deactivate",
    [TASK_REGISTER] = "register",
    [TASK_REVOKE] = "revoke",
};

void ca_task_fini(struct ca_task *task)
{
	free(task->chain_pem);
	free(task->key_sealed);
	*task = (struct ca_task){.id = 0};
}

static void read_claimed(struct ca_task *task, const PGresult *rows, const struct ca_list *list)
{
	*task = (struct ca_task){.id = pg_get_int(rows, 0, 0)};
	task->fence = pg_get_int(rows, 0, 1);
	task->attempts = (int)pg_get_int(rows, 0, 2);
	while (task->kind < TASK_REVOKE && strcmp(kind_names[task->kind], pg_get(rows, 0, 3)) != 0)
		task->kind++;
	task->at = ca_list_find(list, pg_get(rows, 0, 4));
	const char *name = pg_get(rows, 0, 5);
	snprintf(task->name, sizeof task->name, "%s", name ? name : "");
	task->version = pg_get_int(rows, 0, 6);
	task->reason = (int)pg_get_int(rows, 0, 7);
	task->by_key = pg_get_bool(rows, 0, 8);
	task->chain_pem = mem_string(pg_get(rows, 0, 9));
	task->key_sealed = pg_get_bytes(rows, 0, 10, &task->key_sealed_size);
}

enum result ca_task_claim(struct pg *pg, const struct ca_list *list, struct ca_task *out, struct error *error)
{
	PGresult *rows = NULL;
	const char *directories[CA_MAX];
	*out = (struct ca_task){.id = 0};
	for (size_t i = 0; i < list->count; i++)
		directories[i] = ca_directory_url(list->cas[i]);
	char *array = pg_text_array(directories, list->count);
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "UPDATE ca_tasks SET state = 'running', fence = nextval('fences'), lease_owner = $1,"
	    " lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond', attempts = attempts + "
	    "1"
	    " WHERE id = (SELECT id FROM ca_tasks WHERE directory = ANY ($3::text[])"
	    "  AND ((state = 'queued' AND next_try_at <= now()) OR (state = 'running' AND lease_until <= "
	    "now()))"
	    "  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
	    " RETURNING id, fence, attempts, kind, directory, name, version, reason, by_key, chain_pem, "
	    "key_sealed",
	    pg_text(process_id()), pg_int(TASK_LEASE_MS), pg_text(array));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	if (result == R_OK)
		read_claimed(out, rows, list);
	PQclear(rows);
	free(array);
	if (result == R_OK)
		crash_point("task-claimed");
	return result;
}

enum result ca_task_check(struct pg *pg, const struct ca_task *task, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error, "SELECT 1 FROM ca_tasks" OURS,
	    pg_int(task->id), pg_int(task->fence));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static enum result update(
    struct pg *pg, struct error *error, const char *sql, const struct pg_param *params, int count)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, JOB_QUERY_MS, &rows, error, sql, params, count);
	if (result == R_OK && strcmp(PQcmdTuples(rows), "1") != 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

enum result ca_task_begin(struct pg *pg, struct ca_task *task, int64_t version, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "UPDATE ca_tasks SET version = coalesce(version, $3::bigint)" OURS " RETURNING version",
	    pg_int(task->id), pg_int(task->fence), pg_int(version));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	if (result == R_OK)
		task->version = pg_get_int(rows, 0, 0);
	PQclear(rows);
	return result;
}

enum result ca_task_done(struct pg *pg, const struct ca_task *task, const char *result, struct error *error)
{
	const struct pg_param params[] = {pg_int(task->id), pg_int(task->fence), pg_text(result)};
	return update(pg, error,
	    "UPDATE ca_tasks SET state = 'done', result = $3, key_sealed = NULL, chain_pem = NULL,"
	    " finished_at = clock_timestamp(), lease_owner = NULL, lease_until = NULL" OURS,
	    params, 3);
}

static bool may_help_later(const struct acme_failure *failure)
{
	switch (failure->cause) {
	case CAUSE_CA: return failure->status == 0 || failure->status >= 500 || failure->status == 429;
	case CAUSE_RATE_LIMITED:
	case CAUSE_NETWORK:
	case CAUSE_DATABASE: return true;
	default: return false;
	}
}

enum result ca_task_failed(
    struct pg *pg, const struct ca_task *task, const struct acme_failure *failure, struct error *error)
{
	uint32_t random = 0;
	process_random(&random, sizeof random);
	bool again = may_help_later(failure) && task->attempts < TASK_TRIES;
	const struct pg_param params[] = {pg_int(task->id), pg_int(task->fence), pg_text(again ? "t" : "f"),
	    pg_text(failure->detail), pg_int(acme_failure_delay_ms(failure, task->attempts, random))};
	return update(pg, error,
	    "UPDATE ca_tasks SET state = CASE WHEN $3 THEN 'queued' ELSE 'failed' END, result = $4,"
	    " next_try_at = now() + $5::bigint * interval '1 millisecond', lease_owner = NULL,"
	    " lease_until = NULL, finished_at = CASE WHEN $3 THEN NULL ELSE clock_timestamp() END,"
	    " key_sealed = CASE WHEN $3 THEN key_sealed END" OURS,
	    params, 5);
}

enum result ca_task_sweep(struct pg *pg, struct error *error)
{
	return pg_query(pg, JOB_QUERY_MS, NULL, error,
	    "DELETE FROM ca_tasks WHERE id IN (SELECT id FROM ca_tasks WHERE finished_at < now() - interval "
	    "'30 days'"
	    " ORDER BY finished_at LIMIT 500 FOR UPDATE SKIP LOCKED)",
	    NULL, 0);
}
