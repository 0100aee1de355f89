/*
 * One thread's work on a claimed job, from the look whether it is needed to its recorded end.
 */
#ifndef ACME_WORKER_H
#define ACME_WORKER_H

#include "acme/ask.h"
#include "acme/issuer.h"
#include "acme/order/order.h"
#include "acme/queue/breaker.h"
#include "acme/queue/job.h"

struct worker {
	const struct issuer_config *config;
	/* Sleeps; false: the process is to stop. */
	bool (*wait)(void *arg, int ms);
	void *arg;
	struct pg *pg;
	struct ca_sessions sessions;
	struct ask *ask;
	size_t at;                  /* the CA that the last job went to */
	struct breaker_probe probe; /* it is that job which tries whether the CA works again */
};

void worker_init(struct worker *worker, const struct issuer_config *config);
void worker_fini(struct worker *worker);

/* The job is closed, failed, put off or given back in the end, or another's. */
void worker_do(struct worker *worker, struct job *job);

/* What the work on a job is done with at the at-th CA; none of a CA beyond the list. */
struct order_tools worker_tools(const struct worker *worker, size_t at);

/* worker_end.c: what becomes of a job whose work has ended. */
void worker_count(const char *result);
void worker_issued(struct worker *worker, struct job *job, int64_t start_us);
void worker_failed(struct worker *worker, struct job *job, struct acme_failure *failure);
/* Nothing failed: the CA's quota, or its recovery, is waited for. */
void worker_defer(struct worker *worker, struct job *job, struct job_wait *wait);
void worker_release(struct worker *worker, struct job *job, const char *why);
const char *worker_directory(const struct worker *worker);

#endif
