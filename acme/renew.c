#include "acme/renew.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acme/breaker.h"
#include "acme/budget.h"
#include "acme/challenge_set.h"
#include "acme/due.h"
#include "acme/job.h"
#include "acme/persist_watch.h"
#include "acme/reissue.h"
#include "acme/renewal_info.h"
#include "common/clock.h"
#include "common/condition.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/process.h"
#include "common/schema.h"

/* A tick comes every 30 s, spread so that instances started together do not tick together. While the account
 * is not known yet or the database is away, sooner. */
enum {
	TICK_MS = 27 * 1000,
	TICK_SPREAD_MS = 6 * 1000,
	SOON_MS = 1000,
	CONNECT_MS = 2000,
	QUERY_MS = 5000,
	BATCHES = 10
};

struct renew {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	struct pg *pg;
	const struct ca_list *cas;
	struct lookup *lookup;
	struct account *account; /* of the first CA */
	struct ca_sessions sessions;
	bool has_names[CA_MAX]; /* its names in records are in the database, since this process started */
	struct metric *due;
	struct metric *queued;
	struct metric *enqueued;
};

static enum result read_gauges(struct renew *renew, struct error *error)
{
	int64_t queued = 0;
	int64_t due = 0;
	enum result result = job_count_queued(renew->pg, &queued, error);
	if (result == R_OK)
		result = due_count(renew->pg, &due, error);
	if (result != R_OK)
		return result;
	metric_set(renew->queued, queued);
	metric_set(renew->due, due);
	result = persist_watch_show(renew->pg, error);
	return result == R_OK ? breaker_show(renew->pg, error) : result;
}

/* Batch after batch, but no more of them than a tick should take: the other instances tick as well. */
static enum result enqueue_due(struct renew *renew, struct error *error)
{
	int claimed = DUE_BATCH;
	int sum = 0;
	enum result result = R_OK;
	for (int batch = 0; batch < BATCHES && claimed == DUE_BATCH && result == R_OK; batch++) {
		int enqueued = 0;
		result = due_enqueue(renew->pg, &claimed, &enqueued, error);
		sum += enqueued;
	}
	metric_add(renew->enqueued, sum);
	if (sum > 0)
		log_info("renewals are due", log_int("enqueued", sum));
	return result;
}

static enum result tick(struct renew *renew, struct error *error)
{
	enum result result = enqueue_due(renew, error);
	if (result == R_OK)
		result = challenge_sweep(renew->pg, error);
	if (result == R_OK)
		result = budget_sweep(renew->pg, error);
	return result == R_OK ? read_gauges(renew, error) : result;
}

static void go_on_reissuing(struct renew *renew)
{
	struct error error = {0};
	bool more = true;
	for (int step = 0; step < BATCHES && more; step++)
		if (reissue_step(renew->pg, &more, &error) != R_OK) {
			log_warn("a campaign of re-issue cannot go on", log_str("error", error.text));
			return;
		}
}

static void ask_about_renewals(struct renew *renew)
{
	struct error error = {0};
	int asked = 0;
	if (renewal_info_step(renew->pg, renew->cas, &renew->sessions, &asked, &error) != R_OK)
		log_warn("cannot look which certificates to ask the CA about", log_str("error", error.text));
}

static void watch_records(struct renew *renew)
{
	struct error error = {0};
	if (persist_watch_step(renew->pg, renew->lookup, &error) != R_OK)
		log_warn("cannot look after dns-persist-01 records", log_str("error", error.text));
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

/* How records name the CA: the operator's command tells customers, who speaks to no CA. */
static enum result note_issuer_names(
    struct renew *renew, size_t at, const struct acme_directory *directory, struct error *error)
{
	const char *names[ACME_CAA_IDENTITIES_MAX];
	for (size_t i = 0; i < directory->caa_identity_count; i++)
		names[i] = directory->caa_identities[i];
	char *array = pg_text_array(names, directory->caa_identity_count);
	enum result result = pg_run(renew->pg, QUERY_MS, NULL, error,
	    "UPDATE ca_accounts SET issuer_names = $2::text[] WHERE directory = $1"
	    " AND issuer_names <> $2::text[]",
	    pg_text(ca_directory_url(renew->cas->cas[at])), pg_text(array));
	free(array);
	return result;
}

static void learn_issuer_names(struct renew *renew)
{
	for (size_t at = 0; at < renew->cas->count; at++) {
		struct acme_directory directory;
		struct acme_failure failure;
		struct error error = {0};
		if (renew->has_names[at] || !account_is_known(renew->cas->accounts[at]) ||
		    ca_directory(renew->sessions.sessions[at], &directory, &failure) != R_OK)
			continue;
		renew->has_names[at] = note_issuer_names(renew, at, &directory, &error) == R_OK;
	}
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
		learn_issuer_names(renew);
		go_on_reissuing(renew);
		ask_about_renewals(renew);
		watch_records(renew);
		if (clock_monotonic_ms() < tick_at_ms)
			continue;
		tick_at_ms = clock_monotonic_ms() + pause_ms();
		if (tick(renew, &error) != R_OK)
			log_warn("upkeep failed", log_str("error", error.text));
	} while (wait_ms(renew, SOON_MS));
	return NULL;
}

struct renew *renew_start(const char *database, const struct ca_list *cas, struct lookup *lookup)
{
	struct renew *renew = mem_alloc(sizeof *renew);
	condition_init(&renew->changed);
	pthread_mutex_init(&renew->lock, NULL);
	renew->pg = pg_new(database, "postern-acme-upkeep");
	ca_sessions_init(&renew->sessions, cas);
	renew->cas = cas;
	renew->lookup = lookup;
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
