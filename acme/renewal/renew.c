#include "acme/renewal/renew.h"

#include <stdlib.h>

#include "acme/desk/ca_task.h"
#include "acme/proof/challenge_set.h"
#include "acme/proof/persist_watch.h"
#include "acme/queue/breaker.h"
#include "acme/queue/budget.h"
#include "acme/queue/job.h"
#include "acme/renewal/due.h"
#include "acme/renewal/reissue.h"
#include "acme/webhook/webhook_upkeep.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/daemon/background.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/pg/schema.h"

/* A tick comes every 30 s, spread so that instances started together do not tick together; campaigns go on,
 * and the database is looked for, each second. */
enum { TICK_MS = 27 * 1000, TICK_SPREAD_MS = 6 * 1000, ROUND_MS = 1000, CONNECT_MS = 2000, BATCHES = 10 };

struct renew {
	struct background *thread;
	struct pg *pg;
	bool has_schema;
	int64_t tick_at_ms;
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
	if (result == R_OK)
		result = webhook_upkeep_show(renew->pg, error);
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

static enum result sweep(struct renew *renew, struct error *error)
{
	enum result result = challenge_sweep(renew->pg, error);
	if (result == R_OK)
		result = budget_sweep(renew->pg, error);
	if (result == R_OK)
		result = webhook_upkeep_sweep(renew->pg, error);
	return result == R_OK ? ca_task_sweep(renew->pg, error) : result;
}

static enum result warn_of_ends(struct renew *renew, struct error *error)
{
	bool more = true;
	enum result result = R_OK;
	for (int batch = 0; batch < BATCHES && more && result == R_OK; batch++)
		result = webhook_upkeep_warn(renew->pg, &more, error);
	return result;
}

static enum result tick(struct renew *renew, struct error *error)
{
	enum result result = enqueue_due(renew, error);
	if (result == R_OK)
		result = warn_of_ends(renew, error);
	if (result == R_OK)
		result = sweep(renew, error);
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

static int64_t pause_ms(void)
{
	uint32_t random = 0;
	process_random(&random, sizeof random);
	return TICK_MS + random % TICK_SPREAD_MS;
}

static int64_t round_of(void *arg, struct background *self)
{
	struct renew *renew = arg;
	struct error error = {0};
	(void)self;
	if (!schema_is_ready(renew->pg, CONNECT_MS, &renew->has_schema))
		return ROUND_MS;
	go_on_reissuing(renew);
	if (clock_monotonic_ms() < renew->tick_at_ms)
		return ROUND_MS;
	renew->tick_at_ms = clock_monotonic_ms() + pause_ms();
	if (tick(renew, &error) != R_OK)
		log_warn("upkeep failed", log_str("error", error.text));
	return ROUND_MS;
}

struct renew *renew_start(const char *database)
{
	struct renew *renew = mem_alloc(sizeof *renew);
	renew->pg = pg_new(database, "postern-acme-upkeep");
	renew->due = metrics_gauge("postern_acme_renewals_due", NULL,
	    "Stored certificates whose time to renew has come, up to 10,000.");
	renew->queued = metrics_gauge("postern_acme_jobs_queued", NULL,
	    "Jobs of the whole fleet that wait to be claimed, up to 10,000.");
	renew->enqueued =
	    metrics_counter("postern_acme_renewals_total", NULL, "Renewals enqueued by this process.");
	renew->thread = background_start("upkeep", round_of, renew);
	return renew;
}

void renew_stop(struct renew *renew)
{
	if (!renew)
		return;
	background_stop(renew->thread);
	pg_free(renew->pg);
	free(renew);
}
