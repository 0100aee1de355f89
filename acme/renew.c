#include "acme/renew.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acme/challenge_set.h"
#include "acme/job.h"
#include "common/clock.h"
#include "common/condition.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/process.h"
#include "common/schema.h"

/* A tick comes every 30 s, spread so that instances started together do not tick together. While the account
 * is not known yet or the database is away, sooner. */
enum { TICK_MS = 27 * 1000, TICK_SPREAD_MS = 6 * 1000, SOON_MS = 1000, CONNECT_MS = 2000, QUERY_MS = 5000 };

struct renew {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	struct pg *pg;
	struct account *account; /* of the first CA */
	struct ca_sessions sessions;
	struct renew_cursor cursor;
	struct metric *due;
	struct metric *queued;
	struct metric *enqueued;
};

/* The batch is taken along certificates_renewal whatever becomes of its rows, so that rows which stay due (a
 * blocked name, a job that keeps failing) cost their place in one batch and never hide the others. */
enum result renew_enqueue_due(struct pg *pg, struct renew_cursor *cursor, int *enqueued, struct error *error)
{
	PGresult *rows = NULL;
	*enqueued = 0;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "WITH batch AS MATERIALIZED (SELECT name, renew_at FROM certificates WHERE renew_at <= now()"
	    "   AND (renew_at, name) > (coalesce(nullif($1, '')::timestamptz, '-infinity'), $2)"
	    "   ORDER BY renew_at, name LIMIT $3::integer),"
	    " wanted AS MATERIALIZED (SELECT b.name FROM batch b LEFT JOIN issuance_jobs j ON j.name = b.name"
	    "   WHERE (j.name IS NULL OR j.state = 'idle') AND NOT site_blocked(b.name)),"
	    " enqueued AS MATERIALIZED (SELECT enqueue_issuance(name, 'renewal') FROM wanted)"
	    " SELECT (SELECT count(*) FROM batch), (SELECT count(*) FROM enqueued),"
	    "  (SELECT renew_at FROM batch ORDER BY renew_at DESC, name DESC LIMIT 1),"
	    "  (SELECT name FROM batch ORDER BY renew_at DESC, name DESC LIMIT 1)",
	    pg_text(cursor->renew_at), pg_text(cursor->name), pg_int(RENEW_BATCH));
	if (result != R_OK)
		goto out;
	*enqueued = (int)pg_get_int(rows, 0, 1);
	bool more = pg_get_int(rows, 0, 0) == RENEW_BATCH;
	snprintf(cursor->renew_at, sizeof cursor->renew_at, "%s", more ? pg_get(rows, 0, 2) : "");
	snprintf(cursor->name, sizeof cursor->name, "%s", more ? pg_get(rows, 0, 3) : "");
out:
	PQclear(rows);
	return result;
}

static enum result read_gauges(struct renew *renew, struct error *error)
{
	int64_t queued = 0;
	PGresult *rows = NULL;
	enum result result = job_count_queued(renew->pg, &queued, error);
	if (result != R_OK)
		return result;
	metric_set(renew->queued, queued);
	result = pg_query(renew->pg, QUERY_MS, &rows, error,
	    "SELECT count(*) FROM (SELECT 1 FROM certificates WHERE renew_at <= now() LIMIT 10000) AS due",
	    NULL, 0);
	if (result == R_OK)
		metric_set(renew->due, pg_get_int(rows, 0, 0));
	PQclear(rows);
	return result;
}

static enum result tick(struct renew *renew, struct error *error)
{
	int enqueued = 0;
	enum result result = renew_enqueue_due(renew->pg, &renew->cursor, &enqueued, error);
	if (result != R_OK)
		return result;
	metric_add(renew->enqueued, enqueued);
	if (enqueued > 0)
		log_info("renewals are due", log_int("enqueued", enqueued));
	result = challenge_sweep(renew->pg, error);
	return result == R_OK ? read_gauges(renew, error) : result;
}

static bool seek_account(struct renew *renew, struct error *error)
{
	struct account_view view;
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	if (!account_is_known(renew->account))
		account_get(renew->account, renew->sessions.sessions[0], renew->pg, &view, &failure, error);
	else
		return true;
	account_view_fini(&view);
	return account_is_known(renew->account);
}

static int64_t pause_ms(void)
{
	uint32_t random = 0;
	process_random(&random, sizeof random);
	return TICK_MS + random % TICK_SPREAD_MS;
}

/* False: stop. */
static bool wait_ms(struct renew *renew, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;
	pthread_mutex_lock(&renew->lock);
	bool in_time = true;
	while (!renew->stopping && in_time)
		in_time = condition_wait_until(&renew->changed, &renew->lock, until);
	bool go_on = !renew->stopping;
	pthread_mutex_unlock(&renew->lock);
	return go_on;
}

static void *run(void *arg)
{
	struct renew *renew = arg;
	int64_t tick_at_ms = 0;
	bool has_schema = false; /* the workers say when it has not */
	do {
		struct error error = {0};
		if (pg_wait_ready(renew->pg, CONNECT_MS, &error) != R_OK)
			continue;
		has_schema = has_schema || schema_check(renew->pg, QUERY_MS, &error) == R_OK;
		if (!has_schema)
			continue;
		seek_account(renew, &error);
		if (clock_monotonic_ms() < tick_at_ms)
			continue;
		tick_at_ms = clock_monotonic_ms() + pause_ms();
		if (tick(renew, &error) != R_OK)
			log_warn("upkeep failed", log_str("error", error.text));
	} while (wait_ms(renew, SOON_MS));
	return NULL;
}

struct renew *renew_start(const char *database, const struct ca_list *cas)
{
	struct renew *renew = mem_alloc(sizeof *renew);
	condition_init(&renew->changed);
	pthread_mutex_init(&renew->lock, NULL);
	renew->pg = pg_new(database, "postern-acme-upkeep");
	ca_sessions_init(&renew->sessions, cas);
	renew->account = cas->accounts[0];
	renew->due = metrics_gauge("postern_acme_renewals_due", NULL,
	    "Stored certificates whose time to renew has come, up to 10,000.");
	renew->queued = metrics_gauge("postern_acme_jobs_queued", NULL,
	    "Jobs of the whole fleet that wait to be claimed, up to 10,000.");
	renew->enqueued =
	    metrics_counter("postern_acme_renewals_total", NULL, "Renewals enqueued by this process.");
	if (pthread_create(&renew->thread, NULL, run, renew) != 0) {
		log_error("cannot start a thread");
		abort();
	}
	return renew;
}

void renew_stop(struct renew *renew)
{
	if (!renew)
		return;
	pthread_mutex_lock(&renew->lock);
	renew->stopping = true;
	pthread_cond_signal(&renew->changed);
	pthread_mutex_unlock(&renew->lock);
	pthread_join(renew->thread, NULL);
	ca_sessions_fini(&renew->sessions);
	pg_free(renew->pg);
	pthread_cond_destroy(&renew->changed);
	pthread_mutex_destroy(&renew->lock);
	free(renew);
}
