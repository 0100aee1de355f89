#include "acme/webhook/delivery.h"

#include <stdio.h>
#include <stdlib.h>

#include "acme/webhook/backoff.h"
#include "common/base/mem.h"
#include "common/base/process.h"

/* An endpoint that fails for days is not given up by few tries: it may rarely be told anything. */
enum { TRIES_LEAST = 10 };

#define OURS " WHERE w.id = $1 AND w.fence = $2 AND w.lease_until > clock_timestamp()"
#define LEASE "clock_timestamp() + $3::bigint * interval '1 millisecond'"

void endpoint_fini(struct endpoint *endpoint)
{
	free(endpoint->url);
	for (int i = 0; i < ENDPOINT_SECRETS; i++)
		free(endpoint->secrets[i].sealed);
	*endpoint = (struct endpoint){.id = 0};
}

void message_fini(struct message *message)
{
	free(message->body);
	*message = (struct message){.delivery = 0};
}

/* A walk along the index from one endpoint with something waiting to the next, a step for each: neither how
 * much waits for one of them nor how many have nothing makes it longer. Who was claimed longest ago (the
 * lowest fence) comes first: an endpoint that takes its time over much that waits has its turn, not those of
 * others. */
static const char claim_sql[] =
    "WITH RECURSIVE waiting AS ((SELECT webhook, next_try_at FROM webhook_deliveries WHERE state = 'waiting'"
    "   ORDER BY webhook, next_try_at, id LIMIT 1)"
    "  UNION ALL SELECT next.* FROM waiting p, LATERAL (SELECT webhook, next_try_at FROM webhook_deliveries"
    "   WHERE state = 'waiting' AND webhook > p.webhook ORDER BY webhook, next_try_at, id LIMIT 1) next),"
    " chosen AS (SELECT w.id FROM waiting p JOIN webhooks w ON w.id = p.webhook"
    "  WHERE p.next_try_at <= now() AND w.state = 'on' AND w.pause_until <= now()"
    "  AND (w.lease_until IS NULL OR w.lease_until <= now())"
    "  ORDER BY w.fence, p.next_try_at LIMIT $2::integer FOR NO KEY UPDATE OF w SKIP LOCKED)"
    " UPDATE webhooks w SET fence = nextval('fences'), lease_owner = $1, lease_until = " LEASE
    " FROM chosen c WHERE w.id = c.id RETURNING w.id, w.fence, w.url, w.failures, w.secret_version,"
    "  w.secret_sealed, CASE WHEN w.former_until > now() THEN w.former_sealed END";

static void read_endpoint(struct endpoint *out, const PGresult *rows, int row)
{
	*out = (struct endpoint){.id = pg_get_int(rows, row, 0),
	    .fence = pg_get_int(rows, row, 1),
	    .url = mem_string(pg_get(rows, row, 2)),
	    .failures = (int)pg_get_int(rows, row, 3)};
	for (int i = 0; i < ENDPOINT_SECRETS; i++) {
		struct endpoint_secret *secret = &out->secrets[i];
		secret->version = pg_get_int(rows, row, 4) - i;
		secret->sealed = pg_get_bytes(rows, row, 5 + i, &secret->size);
	}
}

enum result endpoint_claim(
    struct pg *pg, size_t most, struct endpoint *out, size_t *count, struct error *error)
{
	PGresult *rows = NULL;
	*count = 0;
	enum result result = pg_run(pg, DELIVERY_QUERY_MS, &rows, error, claim_sql, pg_text(process_id()),
	    pg_int((int64_t)most), pg_int(DELIVERY_LEASE_MS));
	for (int row = 0; result == R_OK && row < PQntuples(rows); row++)
		read_endpoint(&out[(*count)++], rows, row);
	PQclear(rows);
	return result;
}

enum result endpoint_release(struct pg *pg, const struct endpoint *endpoint, struct error *error)
{
	return pg_run(pg, DELIVERY_QUERY_MS, NULL, error,
	    "UPDATE webhooks SET lease_owner = NULL, lease_until = NULL WHERE id = $1 AND fence = $2",
	    pg_int(endpoint->id), pg_int(endpoint->fence));
}

enum result endpoint_switch_off(struct pg *pg, const struct endpoint *endpoint, const char *reason,
    const char *detail, struct error *error)
{
	PGresult *rows = NULL;
	enum result result =
	    pg_run(pg, DELIVERY_QUERY_MS, &rows, error, "SELECT webhook_switch_off($1, $2, $3, $4)",
		pg_int(endpoint->id), pg_int(endpoint->fence), pg_text(reason), pg_text(detail));
	if (result == R_OK && !pg_get_bool(rows, 0, 0))
		result = R_LOST;
	PQclear(rows);
	return result;
}

/* One row where the endpoint is ours, with or without a message: without one also where the owner changed it
 * meanwhile, so that it is claimed anew as it is now. */
enum result message_next(
    struct pg *pg, const struct endpoint *endpoint, struct message *out, struct error *error)
{
	PGresult *rows = NULL;
	*out = (struct message){.delivery = 0};
	enum result result = pg_run(pg, DELIVERY_QUERY_MS, &rows, error,
	    "SELECT m.* FROM webhooks w LEFT JOIN LATERAL (SELECT d.id, d.attempts,"
	    "  'msg_' || replace(e.uid::text, '-', ''), e.body FROM webhook_deliveries d JOIN webhook_events "
	    "e"
	    "  ON e.id = d.event WHERE d.webhook = w.id AND d.state = 'waiting' AND d.next_try_at <= now()"
	    "  AND w.state = 'on' AND w.url = $3 AND w.secret_version = $4"
	    "  ORDER BY d.next_try_at, d.id LIMIT 1) m ON true" OURS,
	    pg_int(endpoint->id), pg_int(endpoint->fence), pg_text(endpoint->url),
	    pg_int(endpoint->secrets[0].version));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	else if (result == R_OK && !pg_get(rows, 0, 0))
		result = R_NONE;
	if (result == R_OK) {
		out->delivery = pg_get_int(rows, 0, 0);
		out->attempts = (int)pg_get_int(rows, 0, 1);
		snprintf(out->id, sizeof out->id, "%s", pg_get(rows, 0, 2));
		out->body = mem_string(pg_get(rows, 0, 3));
	}
	PQclear(rows);
	return result;
}

/* $4 delivery, $5 status, $6 answer, $7 milliseconds. */
#define TRIED \
	" attempts = d.attempts + 1, last_try_at = clock_timestamp(), status = NULLIF($5::integer, 0)," \
	" answer = NULLIF($6, ''), took_ms = $7::integer"
#define OF_HELD " FROM held WHERE d.id = $4 AND d.webhook = held.id"

static const char delivered_sql[] =
    "WITH held AS (UPDATE webhooks w SET lease_until = " LEASE ", failures = 0, failing_since = NULL" OURS
    "  RETURNING w.id)"
    " UPDATE webhook_deliveries d SET state = 'delivered', next_try_at = NULL, error = NULL," TRIED OF_HELD
    " RETURNING 0, false";

static const char failed_sql[] =
    "WITH held AS (UPDATE webhooks w SET lease_owner = NULL, lease_until = NULL, failures = w.failures + 1,"
    "  failing_since = COALESCE(w.failing_since, now()), pause_until = " LEASE OURS
    "  RETURNING w.id, w.failures, w.failing_since)"
    " UPDATE webhook_deliveries d SET state = CASE WHEN $8::bigint < 0 THEN 'failed' ELSE 'waiting' END,"
    "  next_try_at = CASE WHEN $8::bigint >= 0 THEN"
    "   clock_timestamp() + $8::bigint * interval '1 millisecond' END, error = $9," TRIED OF_HELD
    " RETURNING held.failures, held.failing_since < now() - $10::bigint * interval '1 millisecond'";

static enum result run_record(struct pg *pg, const struct endpoint *endpoint, const struct message *message,
    const struct outcome *outcome, int64_t patience_ms, PGresult **rows, struct error *error)
{
	uint32_t random = 0;
	process_random(&random, sizeof random);
	if (outcome->delivered)
		return pg_run(pg, DELIVERY_QUERY_MS, rows, error, delivered_sql, pg_int(endpoint->id),
		    pg_int(endpoint->fence), pg_int(DELIVERY_LEASE_MS), pg_int(message->delivery),
		    pg_int(outcome->status), pg_text(outcome->answer), pg_int(outcome->took_ms));
	return pg_run(pg, DELIVERY_QUERY_MS, rows, error, failed_sql, pg_int(endpoint->id),
	    pg_int(endpoint->fence),
	    pg_int(backoff_endpoint_ms(endpoint->failures + 1, outcome->retry_after_s, random)),
	    pg_int(message->delivery), pg_int(outcome->status), pg_text(outcome->answer),
	    pg_int(outcome->took_ms),
	    pg_int(backoff_message_ms(message->attempts + 1, outcome->retry_after_s, random)),
	    pg_text(outcome->error), pg_int(patience_ms));
}

enum result delivery_record(struct pg *pg, struct endpoint *endpoint, const struct message *message,
    const struct outcome *outcome, int64_t patience_ms, bool *too_long, struct error *error)
{
	PGresult *rows = NULL;
	*too_long = false;
	enum result result = run_record(pg, endpoint, message, outcome, patience_ms, &rows, error);
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	if (result == R_OK) {
		endpoint->failures = (int)pg_get_int(rows, 0, 0);
		*too_long = endpoint->failures >= TRIES_LEAST && pg_get_bool(rows, 0, 1);
	}
	PQclear(rows);
	return result;
}
