#include "acme/webhook/webhook_upkeep.h"

#include "common/daemon/metrics.h"

/* BATCHES: of a kind in a sweep, so that it has its end, too. */
enum { QUERY_MS = 10000, BATCHES = 20 };

enum result webhook_upkeep_warn(struct pg *pg, bool *more, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, error, "SELECT webhook_expiry_step($1::integer)",
	    pg_int(WEBHOOK_UPKEEP_BATCH));
	*more = result == R_OK && pg_get_int(rows, 0, 0) == WEBHOOK_UPKEEP_BATCH;
	PQclear(rows);
	return result;
}

/* Numbers grow with time, so the first ones are the oldest. */
static const char remove_old_sql[] =
    "WITH first AS (SELECT id, at FROM webhook_events ORDER BY id LIMIT $1::integer)"
    " DELETE FROM webhook_events e USING first f WHERE e.id = f.id"
    " AND f.at < now() - interval '30 days' RETURNING 1";

static const char remove_removed_sql[] =
    "DELETE FROM webhook_deliveries WHERE id IN (SELECT d.id FROM webhooks w JOIN webhook_deliveries d"
    "  ON d.webhook = w.id WHERE w.state = 'removed' LIMIT $1::integer FOR UPDATE OF d SKIP LOCKED)"
    " RETURNING 1";

static const char end_waiting_sql[] =
    "UPDATE webhook_deliveries SET state = 'failed', next_try_at = NULL,"
    " error = COALESCE(error || ' ', '') || 'The webhook is switched off.'"
    " WHERE id IN (SELECT d.id FROM webhooks w JOIN webhook_deliveries d ON d.webhook = w.id"
    "  WHERE w.state = 'off' AND d.state = 'waiting' LIMIT $1::integer FOR UPDATE OF d SKIP LOCKED)"
    " RETURNING 1";

/* Batch after batch, as what comes is not bounded by the time between two sweeps. */
static enum result run_batches(struct pg *pg, const char *sql, struct error *error)
{
	int count = WEBHOOK_UPKEEP_BATCH;
	enum result result = R_OK;
	for (int i = 0; i < BATCHES && count == WEBHOOK_UPKEEP_BATCH && result == R_OK; i++) {
		PGresult *rows = NULL;
		result = pg_run(pg, QUERY_MS, &rows, error, sql, pg_int(WEBHOOK_UPKEEP_BATCH));
		count = result == R_OK ? PQntuples(rows) : 0;
		PQclear(rows);
	}
	return result;
}

/* A webhook that was removed goes when nothing of its own is left. */
static enum result forget_removed(struct pg *pg, struct error *error)
{
	return pg_query(pg, QUERY_MS, NULL, error,
	    "DELETE FROM webhooks w WHERE state = 'removed'"
	    " AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook = w.id)",
	    NULL, 0);
}

/* What nobody checks signatures by any more need not be there. */
static enum result forget_secrets(struct pg *pg, struct error *error)
{
	return pg_query(pg, QUERY_MS, NULL, error,
	    "UPDATE webhooks SET former_sealed = NULL, former_until = NULL WHERE former_until < now()", NULL,
	    0);
}

enum result webhook_upkeep_sweep(struct pg *pg, struct error *error)
{
	enum result result = run_batches(pg, remove_old_sql, error);
	if (result == R_OK)
		result = run_batches(pg, remove_removed_sql, error);
	if (result == R_OK)
		result = forget_removed(pg, error);
	if (result == R_OK)
		result = run_batches(pg, end_waiting_sql, error);
	return result == R_OK ? forget_secrets(pg, error) : result;
}

enum result webhook_upkeep_show(struct pg *pg, struct error *error)
{
	static const char help[] =
	    "Webhooks whose last message was not taken, and those that were switched off for it.";
	PGresult *rows = NULL;
	enum result result = pg_query(pg, QUERY_MS, &rows, error,
	    "SELECT (SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries WHERE state = 'waiting' LIMIT "
	    "10000)"
	    "  AS waiting), count(*) FILTER (WHERE state = 'on' AND failing_since IS NOT NULL),"
	    " count(*) FILTER (WHERE state = 'off' AND off_reason <> 'asked') FROM webhooks",
	    NULL, 0);
	if (result == R_OK) {
		metric_set(
		    metrics_gauge("postern_acme_webhook_messages_waiting", NULL,
			"Messages for webhooks of the whole fleet that were not taken yet, up to 10,000."),
		    pg_get_int(rows, 0, 0));
		metric_set(metrics_gauge("postern_acme_webhooks", "state=\"failing\"", help),
		    pg_get_int(rows, 0, 1));
		metric_set(
		    metrics_gauge("postern_acme_webhooks", "state=\"off\"", help), pg_get_int(rows, 0, 2));
	}
	PQclear(rows);
	return result;
}
