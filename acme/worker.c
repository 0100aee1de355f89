#include "acme/worker.h"

#include <stdio.h>

#include "acme/account/ca_choose.h"
#include "acme/order/abandon.h"
#include "acme/order/store.h"
#include "common/base/clock.h"
#include "common/log/log.h"

void worker_init(struct worker *worker, const struct issuer_config *config)
{
	worker->config = config;
	worker->pg = pg_new(config->database, "postern-acme");
	ca_sessions_init(&worker->sessions, config->cas);
	worker->ask = ask_new(config->ask);
}

void worker_fini(struct worker *worker)
{
	ca_sessions_fini(&worker->sessions);
	ask_free(worker->ask);
	pg_free(worker->pg);
}

/* R_NONE: there is none, or none that can be served. R_OK: it is as good as its dates, nothing is to be done.
 * Anything else: nobody knows, and a certificate that may be good is no reason for an order. */
static enum result look_at_stored(struct worker *worker, const struct job *job, struct error *error)
{
	if (!job->has_certificate)
		return R_NONE;
	enum result result = store_check(worker->pg, worker->config->keys, job->name, error);
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

struct order_tools worker_tools(const struct worker *worker, size_t at)
{
	const struct issuer_config *config = worker->config;
	bool is_known = at < config->cas->count;
	return (struct order_tools){.pg = worker->pg,
	    .ca = is_known ? config->cas->cas[at] : NULL,
	    .session = is_known ? worker->sessions.sessions[at] : NULL,
	    .account = is_known ? config->cas->accounts[at] : NULL,
	    .keys = config->keys,
	    .key_type = config->key_type,
	    .types = &config->types,
	    .preflight = config->preflight,
	    .challenge_context = config->challenge_context,
	    .wait = worker->wait,
	    .arg = worker->arg};
}

static enum result give_up(const struct worker *worker, struct job *job, struct error *error)
{
	const struct order_tools tools =
	    worker_tools(worker, ca_list_find(worker->config->cas, job->directory));
	return abandon_order(&tools, job, error);
}

/* Never two orders at once: one in progress at another CA is given up before anything is asked of this one.
 */
static enum result choose_ca(struct worker *worker, struct job *job, struct error *error)
{
	const struct ca_list *cas = worker->config->cas;
	enum result result = ca_choose(worker->pg, cas, job, &worker->at, error);
	size_t before = ca_list_find(cas, job->directory);
	if (result != R_OK || job->step == JOB_NONE || before == worker->at)
		return result;
	return give_up(worker, job, error);
}

/* Nothing was sent: what another job met with a moment ago is not this one's failure. */
static enum result hold(const struct acme_failure *failure, struct job_wait *wait)
{
	wait->ms = failure->held_ms;
	wait->on = "ca";
	snprintf(wait->text, sizeof wait->text, "the CA, which is asked again soon: %.300s", failure->detail);
	return R_LIMIT;
}

static enum result order(struct worker *worker, struct job *job, struct acme_failure *failure,
    struct job_wait *wait, struct error *error)
{
	enum result result = ask_first(worker, job, failure);
	if (result != R_OK)
		return result;
	result = choose_ca(worker, job, error);
	if (result == R_OK)
		result = breaker_enter(worker->pg, worker_directory(worker), &worker->probe, wait, error);
	if (result == R_ERROR)
		acme_failure_set(failure, CAUSE_DATABASE, "%s", error->text);
	if (result != R_OK)
		return result;
	const struct order_tools tools = worker_tools(worker, worker->at);
	result = order_run(&tools, job, failure, wait, error);
	return result == R_ERROR && failure->held_ms > 0 ? hold(failure, wait) : result;
}

static void lose(const struct job *job)
{
	worker_count("lost");
	log_warn("another process has this job now", log_str("name", job->name));
}

/* Of a name that is not allowed any more. The next claim closes the job, or finds the name allowed again. */
static void drop_order(struct worker *worker, struct job *job)
{
	struct error error = {0};
	if (give_up(worker, job, &error) == R_LOST)
		lose(job);
	else
		worker_release(worker, job, "the name is not to have a certificate now");
}

void worker_do(struct worker *worker, struct job *job)
{
	if (job->is_forbidden) {
		drop_order(worker, job);
		return;
	}
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	struct job_wait wait = {.ms = 0};
	struct error error = {0};
	int64_t start_us = clock_monotonic_us();
	worker->probe.until[0] = '\0';
	enum result result = look_at_stored(worker, job, &error);
	if (result == R_OK) {
		job_close(worker->pg, job, &error);
		worker_count("unneeded");
		return;
	}
	if (result == R_NONE)
		result = order(worker, job, &failure, &wait, &error);
	else if (result == R_ERROR)
		acme_failure_set(&failure, CAUSE_DATABASE, "%s", error.text);
	if (result == R_OK)
		worker_issued(worker, job, start_us);
	else if (result == R_LIMIT)
		worker_defer(worker, job, &wait);
	else if (result == R_LOST)
		lose(job);
	else if (result == R_AGAIN || (result == R_ERROR && atomic_load(worker->config->abandon)))
		worker_release(worker, job, "stopping");
	else if (result == R_ERROR)
		worker_failed(worker, job, &failure);
	else
		worker_release(worker, job, error.text);
	breaker_leave(worker->pg, worker_directory(worker), &worker->probe);
}
