#include "acme/issuer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acme/abandon.h"
#include "acme/breaker.h"
#include "acme/ca_choose.h"
#include "acme/job.h"
#include "acme/order.h"
#include "acme/store.h"
#include "common/clock.h"
#include "common/condition.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/pg_listen.h"
#include "common/schema.h"

/* RECOVER_MS: how long a thread waits for the database to come back before it lets a job's lease run out. */
enum { POLL_MS = 1000, RECONNECT_MS = 500, RECOVER_MS = 20 * 1000, SCHEMA_MS = 2000 };

/* Every so many claims one takes what has waited longest, whatever its lane. */
enum { OLDEST_EVERY = 8 };

struct issuer {
	struct issuer_config config;
	struct pg_listen *listen;
	struct worker *workers;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* wakeups, has_poller, stopping */
	int wakeups;            /* NOTIFYs not yet taken by a thread, at most one for each */
	bool has_poller;        /* an idle thread looks every POLL_MS; the others sleep until woken */
	bool stopping;
	pthread_cond_t stop_changed; /* stopping: for waits within an order */
	int running_threads;
	pthread_cond_t thread_ended;
	bool has_schema;           /* the database has been seen with our tables; guarded by lock, */
	struct error schema_error; /* as is why not */
	struct metric *running;
};

struct worker {
	struct issuer *issuer;
	pthread_t thread;
	struct pg *pg;
	struct ca_sessions sessions;
	struct ask *ask;
	size_t at;                  /* the CA that the last job went to */
	struct abandoned abandoned; /* of the job in work */
	unsigned claims;
};

static bool is_stopping(struct issuer *issuer)
{
	pthread_mutex_lock(&issuer->lock);
	bool stopping = issuer->stopping;
	pthread_mutex_unlock(&issuer->lock);
	return stopping;
}

/* order_tools.wait */
static bool wait_in_order(void *arg, int ms)
{
	struct issuer *issuer = arg;
	int64_t until = clock_monotonic_ms() + ms;
	pthread_mutex_lock(&issuer->lock);
	bool in_time = ms > 0;
	while (!issuer->stopping && in_time)
		in_time = condition_wait_until(&issuer->stop_changed, &issuer->lock, until);
	bool go_on = !issuer->stopping;
	pthread_mutex_unlock(&issuer->lock);
	return go_on;
}

static void wake_one(struct issuer *issuer)
{
	pthread_mutex_lock(&issuer->lock);
	if (issuer->wakeups < issuer->config.jobs)
		issuer->wakeups++;
	pthread_cond_signal(&issuer->changed);
	pthread_mutex_unlock(&issuer->lock);
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
	(void)channel, (void)payload;
	wake_one(arg);
}

static void on_connected(void *arg)
{
	wake_one(arg);
}

/* Nothing is due: sleeps until woken, or, as the one that polls, for at most POLL_MS. */
static void wait_for_work(struct issuer *issuer)
{
	int64_t until = 0;
	bool poll = false;
	bool in_time = true;
	pthread_mutex_lock(&issuer->lock);
	while (!issuer->stopping && issuer->wakeups == 0 && in_time) {
		if (!poll && !issuer->has_poller) {
			poll = issuer->has_poller = true;
			until = clock_monotonic_ms() + POLL_MS;
		}
		if (poll)
			in_time = condition_wait_until(&issuer->changed, &issuer->lock, until);
		else
			pthread_cond_wait(&issuer->changed, &issuer->lock);
	}
	if (issuer->wakeups > 0)
		issuer->wakeups--;
	if (poll) {
		issuer->has_poller = false;
		pthread_cond_signal(&issuer->changed);
	}
	pthread_mutex_unlock(&issuer->lock);
}

static void count_order(const char *result)
{
	char labels[32];
	snprintf(labels, sizeof labels, "result=\"%s\"", result);
	metric_add(
	    metrics_counter("postern_acme_orders_total", labels, "Issuance jobs worked on, by their end."),
	    1);
}

static const char *directory_in_use(const struct worker *worker)
{
	return ca_directory_url(worker->issuer->config.cas->cas[worker->at]);
}

/* The ledger and the breaker first: at the moment the job is failed another may begin. */
static void record_failure(struct worker *worker, struct job *job, struct acme_failure *failure)
{
	struct error error = {0};
	char labels[48];
	const char *cause = acme_cause_name(failure->cause);
	const char *directory = directory_in_use(worker);
	snprintf(labels, sizeof labels, "cause=\"%s\"", cause);
	metric_add(
	    metrics_counter("postern_acme_failures_total", labels, "Failed issuance jobs, by cause."), 1);
	count_order("failed");
	if (!failure->foreseen) {
		order_settle_budget(worker->pg, worker->issuer->config.cas->cas[worker->at], job, failure);
		breaker_report(worker->pg, directory, job->name, failure);
	}
	log_warn("issuance failed", log_str("name", job->name), log_str("cause", cause),
	    log_str("error", failure->detail), log_int("status", failure->status));
	if (failure->cause != CAUSE_DATABASE)
		ca_note_failure(worker->pg, worker->issuer->config.cas, job, worker->at, failure, &error);
	if (failure->elsewhere) {
		order_refund_unused(worker->pg, job);
		abandon_note(&worker->abandoned, job, worker->at);
	}
	if (job_fail(worker->pg, job, failure, &error) != R_OK)
		log_warn(
		    "cannot record the failure", log_str("name", job->name), log_str("error", error.text));
}

static void release(struct worker *worker, struct job *job, const char *why)
{
	struct error error = {0};
	int64_t deadline_ms = clock_monotonic_ms() + RECOVER_MS;
	enum result result = pg_wait_ready(worker->pg, RECONNECT_MS, &error);
	while (result != R_OK && !is_stopping(worker->issuer) && clock_monotonic_ms() < deadline_ms)
		result = pg_wait_ready(worker->pg, RECONNECT_MS, &error);
	if (result == R_OK)
		result = job_release(worker->pg, job, &error);
	count_order("released");
	log_info("job given back", log_str("name", job->name), log_str("why", why),
	    log_str("result", result_name(result)));
}

/* What somebody waits for does not wait long for one CA where there is another. */
static void go_elsewhere(struct worker *worker, struct job *job, struct job_wait *wait)
{
	struct acme_failure limit;
	struct error error = {0};
	if (strcmp(job->lane, "urgent") != 0 && strcmp(job->lane, "new") != 0)
		return;
	acme_failure_set(&limit, CAUSE_RATE_LIMITED, "%s", wait->text);
	limit.retry_after = wait->ms / 1000;
	ca_note_failure(worker->pg, worker->issuer->config.cas, job, worker->at, &limit, &error);
	if (limit.elsewhere)
		wait->ms = 0;
}

/* Nothing failed: the CA's quota, or its recovery, is waited for. */
static void defer(struct worker *worker, struct job *job, struct job_wait *wait)
{
	struct error error = {0};
	go_elsewhere(worker, job, wait);
	char labels[32];
	snprintf(labels, sizeof labels, "for=\"%s\"", wait->on);
	metric_add(metrics_counter("postern_acme_deferred_total", labels,
		       "Jobs put off without contacting the CA: for its quota (budget), or until it works "
		       "again (ca)."),
	    1);
	log_info("job put off", log_str("name", job->name), log_str("lane", job->lane),
	    log_str("for", wait->text), log_int("seconds", wait->ms / 1000));
	enum result result = job_defer(worker->pg, job, wait, &error);
	if (result != R_OK && result != R_LOST)
		log_warn("cannot put the job off", log_str("name", job->name), log_str("error", error.text));
}

static void report_issued(const struct job *job, int64_t took_us)
{
	count_order("issued");
	histogram_observe_us(metrics_histogram("postern_acme_order_seconds", NULL,
				 "From the claim to the stored certificate."),
	    took_us);
	log_info("certificate issued", log_str("name", job->name), log_int("version", job->fence),
	    log_int("ms", took_us / 1000));
}

/* R_NONE: there is none, or none that can be served. R_OK: it is as good as its dates, nothing is to be done.
 * Anything else: nobody knows, and a certificate that may be good is no reason for an order. */
static enum result look_at_stored(struct worker *worker, const struct job *job, struct error *error)
{
	if (!job->has_certificate)
		return R_NONE;
	enum result result = store_check(worker->pg, worker->issuer->config.keys, job->name, error);
	if (result != R_INVALID)
		return result;
	log_warn("the stored certificate is damaged, a new one is ordered", log_str("name", job->name),
	    log_str("error", error->text));
	return R_NONE;
}

/* A certificate that is there is renewed only as long as the name is still allowed: a definite no stops it,
 * an endpoint that gives no answer does not. New names were asked about by the edge, and wildcards by nobody:
 * the endpoint is about names that visitors ask for. */
static enum result ask_first(struct worker *worker, const struct job *job, struct acme_failure *failure)
{
	long status = 0;
	if (!job_is_renewal(job) || hostname_is_wildcard(job->name) || job->step != JOB_NONE ||
	    ask_about(worker->ask, job->name, &status) != ASK_DENIED)
		return R_OK;
	acme_failure_set(failure, CAUSE_DENIED, "the ask endpoint forbids the renewal (status %ld)", status);
	failure->permanent = true;
	return R_ERROR;
}

/* Never two orders at once: one in progress at another CA is forgotten before anything is asked of this one.
 */
static enum result choose_ca(struct worker *worker, struct job *job, struct error *error)
{
	const struct ca_list *cas = worker->issuer->config.cas;
	enum result result = ca_choose(worker->pg, cas, job, &worker->at, error);
	size_t before = ca_list_find(cas, job->directory);
	if (result != R_OK || job->step == JOB_NONE || before == worker->at)
		return result;
	if (before < cas->count)
		abandon_note(&worker->abandoned, job, before);
	order_refund_unused(worker->pg, job);
	return job_forget_order(worker->pg, job, error);
}

static enum result order(struct worker *worker, struct job *job, struct acme_failure *failure,
    struct job_wait *wait, struct error *error)
{
	const struct issuer_config *config = &worker->issuer->config;
	enum result result = ask_first(worker, job, failure);
	if (result != R_OK)
		return result;
	result = choose_ca(worker, job, error);
	if (result == R_OK)
		result = breaker_enter(worker->pg, directory_in_use(worker), config->lease_ms, wait, error);
	if (result == R_ERROR)
		acme_failure_set(failure, CAUSE_DATABASE, "%s", error->text);
	if (result != R_OK)
		return result;
	const struct order_tools tools = {.pg = worker->pg,
	    .ca = config->cas->cas[worker->at],
	    .session = worker->sessions.sessions[worker->at],
	    .account = config->cas->accounts[worker->at],
	    .keys = config->keys,
	    .key_type = config->key_type,
	    .types = &config->types,
	    .preflight = config->preflight,
	    .challenge_context = config->challenge_context,
	    .wait = wait_in_order,
	    .arg = worker->issuer};
	return order_run(&tools, job, failure, wait, error);
}

static void finish(struct worker *worker, struct job *job, int64_t start_us)
{
	breaker_report(worker->pg, directory_in_use(worker), job->name, NULL);
	report_issued(job, clock_monotonic_us() - start_us);
}

static void work_on(struct worker *worker, struct job *job)
{
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	struct job_wait wait = {.ms = 0};
	struct error error = {0};
	int64_t start_us = clock_monotonic_us();
	enum result result = look_at_stored(worker, job, &error);
	if (result == R_OK) {
		job_close(worker->pg, job, &error);
		count_order("unneeded");
		return;
	}
	if (result == R_NONE)
		result = order(worker, job, &failure, &wait, &error);
	else if (result == R_ERROR)
		acme_failure_set(&failure, CAUSE_DATABASE, "%s", error.text);
	if (result == R_OK)
		finish(worker, job, start_us);
	else if (result == R_LIMIT)
		defer(worker, job, &wait);
	else if (result == R_LOST) {
		count_order("lost");
		log_warn("another process has this job now", log_str("name", job->name));
	} else if (result == R_AGAIN || (result == R_ERROR && atomic_load(worker->issuer->config.abandon)))
		release(worker, job, "stopping");
	else if (result == R_ERROR)
		record_failure(worker, job, &failure);
	else
		release(worker, job, error.text);
	abandon_order(
	    &worker->abandoned, worker->issuer->config.cas, &worker->sessions, worker->pg, job->name);
}

/* R_NONE: wait for work. R_OK: there may be more. */
static enum result claim_and_work(struct worker *worker)
{
	struct issuer *issuer = worker->issuer;
	struct job job;
	struct error error = {0};
	enum job_order order = ++worker->claims % OLDEST_EVERY == 0 ? JOB_OLDEST : JOB_BY_LANE;
	enum result result = job_claim(worker->pg, issuer->config.lease_ms, order, &job, &error);
	if (result == R_AGAIN) {
		count_order("forbidden");
		return R_OK;
	}
	/* The connection broke while it was idle: once it is back there may be work. Waiting for the next
	 * poll instead would cost a second for each thread, as each finds out for itself after a restart of
	 * the database. */
	if (result == R_DOWN || result == R_TIMEOUT)
		return R_OK;
	if (result == R_ERROR)
		log_error("cannot claim jobs", log_str("error", error.text));
	if (result != R_OK)
		return R_NONE;
	/* There may be more where this came from. */
	wake_one(issuer);
	metric_add(issuer->running, 1);
	log_debug(
	    "job claimed", log_str("name", job.name), log_int("fence", job.fence), log_int("step", job.step));
	work_on(worker, &job);
	metric_add(issuer->running, -1);
	job_fini(&job);
	return R_OK;
}

/* A database that was not migrated, or is newer than this program, is left alone. Once it was right it stays
 * so: who migrates it while we run replaces us soon. */
static bool has_schema(struct worker *worker)
{
	struct issuer *issuer = worker->issuer;
	struct error error = {""};
	if (issuer_is_connected(issuer, NULL, 0))
		return true;
	enum result result = schema_check(worker->pg, SCHEMA_MS, &error);
	pthread_mutex_lock(&issuer->lock);
	bool is_news = strcmp(issuer->schema_error.text, error.text) != 0;
	issuer->has_schema = issuer->has_schema || result == R_OK;
	issuer->schema_error = error;
	pthread_mutex_unlock(&issuer->lock);
	if (result != R_OK && is_news)
		log_error("no job is claimed", log_str("error", error.text));
	return result == R_OK;
}

static void *run(void *arg)
{
	struct worker *worker = arg;
	struct issuer *issuer = worker->issuer;
	while (!is_stopping(issuer)) {
		if (pg_wait_ready(worker->pg, RECONNECT_MS, NULL) != R_OK)
			continue;
		if (!has_schema(worker)) {
			wait_in_order(issuer, POLL_MS);
			continue;
		}
		if (claim_and_work(worker) == R_NONE)
			wait_for_work(issuer);
	}
	pthread_mutex_lock(&issuer->lock);
	issuer->running_threads--;
	pthread_cond_signal(&issuer->thread_ended);
	pthread_mutex_unlock(&issuer->lock);
	return NULL;
}

static void init_conditions(struct issuer *issuer)
{
	condition_init(&issuer->changed);
	condition_init(&issuer->stop_changed);
	condition_init(&issuer->thread_ended);
	pthread_mutex_init(&issuer->lock, NULL);
}

struct issuer *issuer_start(const struct issuer_config *config)
{
	static const char *const channels[] = {"postern_job", NULL};
	struct issuer *issuer = mem_alloc(sizeof *issuer);
	issuer->config = *config;
	init_conditions(issuer);
	issuer->running =
	    metrics_gauge("postern_acme_jobs_running", NULL, "Jobs that this process works on.");
	issuer->workers = mem_alloc_array((size_t)config->jobs, sizeof *issuer->workers);
	issuer->running_threads = config->jobs;
	for (int i = 0; i < config->jobs; i++) {
		struct worker *worker = &issuer->workers[i];
		worker->issuer = issuer;
		worker->pg = pg_new(config->database, "postern-acme");
		ca_sessions_init(&worker->sessions, config->cas);
		worker->ask = ask_new(config->ask);
		if (pthread_create(&worker->thread, NULL, run, worker) != 0) {
			log_error("cannot start a thread");
			abort();
		}
	}
	const struct pg_listen_handler handler = {
	    .on_notify = on_notify, .on_connected = on_connected, .arg = issuer};
	issuer->listen = pg_listen_start(config->database_listen, "postern-acme-listen", channels, &handler);
	return issuer;
}

static void stop_threads(struct issuer *issuer)
{
	int64_t until = clock_monotonic_ms() + ISSUER_STOP_MS;
	pthread_mutex_lock(&issuer->lock);
	issuer->stopping = true;
	pthread_cond_broadcast(&issuer->changed);
	pthread_cond_broadcast(&issuer->stop_changed);
	bool in_time = true;
	while (issuer->running_threads > 0 && in_time)
		in_time = condition_wait_until(&issuer->thread_ended, &issuer->lock, until);
	pthread_mutex_unlock(&issuer->lock);
	atomic_store(issuer->config.abandon, true);
}

void issuer_stop(struct issuer *issuer)
{
	if (!issuer)
		return;
	pg_listen_stop(issuer->listen);
	stop_threads(issuer);
	for (int i = 0; i < issuer->config.jobs; i++) {
		struct worker *worker = &issuer->workers[i];
		pthread_join(worker->thread, NULL);
		ca_sessions_fini(&worker->sessions);
		ask_free(worker->ask);
		pg_free(worker->pg);
	}
	pthread_cond_destroy(&issuer->changed);
	pthread_cond_destroy(&issuer->stop_changed);
	pthread_cond_destroy(&issuer->thread_ended);
	pthread_mutex_destroy(&issuer->lock);
	free(issuer->workers);
	free(issuer);
}

bool issuer_is_connected(struct issuer *issuer, char *reason, size_t size)
{
	pthread_mutex_lock(&issuer->lock);
	bool connected = issuer->has_schema;
	const char *why = issuer->schema_error.text;
	if (!connected && size > 0)
		snprintf(reason, size, "%s", why[0] ? why : "the database has not been reached yet");
	pthread_mutex_unlock(&issuer->lock);
	return connected;
}
