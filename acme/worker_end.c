/*
 * What becomes of a job whose work has ended: a failure is recorded, here and with the ledger and the
 * breaker; a job is put off, given back, or done. See worker.h.
 */
#include <stdio.h>
#include <string.h>

#include "acme/account/ca_choose.h"
#include "acme/order/abandon.h"
#include "acme/worker.h"
#include "common/base/clock.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

/* RECOVER_MS: how long a thread waits for the database to come back before it lets a job's lease run out. */
enum { RECONNECT_MS = 500, RECOVER_MS = 20 * 1000 };

void worker_count(const char *result)
{
	char labels[32];
	snprintf(labels, sizeof labels, "result=\"%s\"", result);
	metric_add(
	    metrics_counter("postern_acme_orders_total", labels, "Issuance jobs worked on, by their end."),
	    1);
}

const char *worker_directory(const struct worker *worker)
{
	return ca_directory_url(worker->config->cas->cas[worker->at]);
}

/* The ledger and the breaker first: at the moment the job is failed another may begin. */
void worker_failed(struct worker *worker, struct job *job, struct acme_failure *failure)
{
	struct error error = {0};
	char labels[48];
	const char *cause = acme_cause_name(failure->cause);
	const char *directory = worker_directory(worker);
	snprintf(labels, sizeof labels, "cause=\"%s\"", cause);
	metric_add(
	    metrics_counter("postern_acme_failures_total", labels, "Failed issuance jobs, by cause."), 1);
	worker_count("failed");
	if (!failure->foreseen) {
		order_settle_budget(worker->pg, worker->config->cas->cas[worker->at], job, failure);
		breaker_report(worker->pg, directory, job->name, failure);
	}
	log_warn("issuance failed", log_str("name", job->name), log_str("cause", cause),
	    log_str("error", failure->detail), log_int("status", failure->status));
	if (failure->cause != CAUSE_DATABASE)
		ca_note_failure(worker->pg, worker->config->cas, job, worker->at, failure, &error);
	if (failure->elsewhere) {
		const struct order_tools tools = worker_tools(worker, worker->at);
		abandon_order(&tools, job, &error);
	}
	if (job_fail(worker->pg, job, failure, &error) != R_OK)
		log_warn(
		    "cannot record the failure", log_str("name", job->name), log_str("error", error.text));
}

void worker_release(struct worker *worker, struct job *job, const char *why)
{
	struct error error = {0};
	int64_t deadline_ms = clock_monotonic_ms() + RECOVER_MS;
	enum result result = pg_wait_ready(worker->pg, RECONNECT_MS, &error);
	while (result != R_OK && !!worker->wait(worker->arg, 0) && clock_monotonic_ms() < deadline_ms)
		result = pg_wait_ready(worker->pg, RECONNECT_MS, &error);
	if (result == R_OK)
		result = job_release(worker->pg, job, &error);
	worker_count("released");
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
	ca_note_failure(worker->pg, worker->config->cas, job, worker->at, &limit, &error);
	if (limit.elsewhere)
		wait->ms = 0;
}

void worker_defer(struct worker *worker, struct job *job, struct job_wait *wait)
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
	worker_count("issued");
	histogram_observe_us(metrics_histogram("postern_acme_order_seconds", NULL,
				 "From the claim to the stored certificate."),
	    took_us);
	log_info("certificate issued", log_str("name", job->name), log_int("version", job->fence),
	    log_int("ms", took_us / 1000));
}

void worker_issued(struct worker *worker, struct job *job, int64_t start_us)
{
	breaker_report(worker->pg, worker_directory(worker), job->name, NULL);
	report_issued(job, clock_monotonic_us() - start_us);
}
