#include "acme/issuer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/idle.h"
#include "acme/worker.h"
#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/pg/pg_listen.h"
#include "common/pg/schema.h"

enum { SCHEMA_POLL_MS = 1000, RECONNECT_MS = 500, SCHEMA_MS = 2000 };

/* Every so many claims one takes what has waited longest, whatever its lane. */
enum { OLDEST_EVERY = 8 };

struct issuer {
	struct issuer_config config;
	struct pg_listen *listen;
	struct issuer_thread *threads;
	struct idle *idle;
	pthread_mutex_t lock;
	bool stopping;
	pthread_cond_t stop_changed; /* stopping: for waits within an order */
	int running_threads;
	pthread_cond_t thread_ended;
	bool has_schema;           /* the database has been seen with our tables; guarded by lock, */
	struct error schema_error; /* as is why not */
	struct metric *running;
};

struct issuer_thread {
	struct issuer *issuer;
	pthread_t thread;
	struct worker worker;
	struct idle_place place;
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

static void on_notify(void *arg, const char *channel, const char *payload)
{
	const struct issuer *issuer = arg;
	(void)channel, (void)payload;
	idle_wake(issuer->idle);
}

static void on_connected(void *arg)
{
	const struct issuer *issuer = arg;
	idle_wake(issuer->idle);
}

/* R_NONE: wait for work. R_OK: there may be more. */
static enum result claim_and_work(struct issuer_thread *thread)
{
	struct issuer *issuer = thread->issuer;
	struct worker *worker = &thread->worker;
	struct job job;
	struct error error = {0};
	enum job_order order = ++thread->claims % OLDEST_EVERY == 0 ? JOB_OLDEST : JOB_BY_LANE;
	enum result result = job_claim(worker->pg, issuer->config.lease_ms, order, &job, &error);
	if (result == R_AGAIN) {
		worker_count("forbidden");
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
	if (job.is_one_of_many)
		idle_wake(issuer->idle);
	metric_add(issuer->running, 1);
	log_debug(
	    "job claimed", log_str("name", job.name), log_int("fence", job.fence), log_int("step", job.step));
	worker_do(worker, &job);
	metric_add(issuer->running, -1);
	job_fini(&job);
	return R_OK;
}

/* A database that was not migrated, or is newer than this program, is left alone. Once it was right it stays
 * so: who migrates it while we run replaces us soon. */
static bool has_schema(struct issuer *issuer, struct pg *pg)
{
	struct error error = {""};
	if (issuer_is_connected(issuer, NULL, 0))
		return true;
	enum result result = schema_check(pg, SCHEMA_MS, &error);
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
	struct issuer_thread *thread = arg;
	struct issuer *issuer = thread->issuer;
	while (!is_stopping(issuer)) {
		if (pg_wait_ready(thread->worker.pg, RECONNECT_MS, NULL) != R_OK)
			continue;
		if (!has_schema(issuer, thread->worker.pg)) {
			wait_in_order(issuer, SCHEMA_POLL_MS);
			continue;
		}
		if (claim_and_work(thread) == R_NONE)
			idle_wait(issuer->idle, &thread->place);
	}
	pthread_mutex_lock(&issuer->lock);
	issuer->running_threads--;
	pthread_cond_signal(&issuer->thread_ended);
	pthread_mutex_unlock(&issuer->lock);
	return NULL;
}

static void init_conditions(struct issuer *issuer)
{
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
	issuer->idle = idle_new(config->jobs);
	issuer->running =
	    metrics_gauge("postern_acme_jobs_running", NULL, "Jobs that this process works on.");
	issuer->threads = mem_alloc_array((size_t)config->jobs, sizeof *issuer->threads);
	issuer->running_threads = config->jobs;
	for (int i = 0; i < config->jobs; i++) {
		struct issuer_thread *thread = &issuer->threads[i];
		thread->issuer = issuer;
		thread->worker.wait = wait_in_order;
		thread->worker.arg = issuer;
		worker_init(&thread->worker, &issuer->config);
		idle_place_init(&thread->place);
		if (pthread_create(&thread->thread, NULL, run, thread) != 0) {
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
	idle_stop(issuer->idle);
	pthread_mutex_lock(&issuer->lock);
	issuer->stopping = true;
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
		pthread_join(issuer->threads[i].thread, NULL);
		worker_fini(&issuer->threads[i].worker);
		idle_place_fini(&issuer->threads[i].place);
	}
	idle_free(issuer->idle);
	pthread_cond_destroy(&issuer->stop_changed);
	pthread_cond_destroy(&issuer->thread_ended);
	pthread_mutex_destroy(&issuer->lock);
	free(issuer->threads);
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
