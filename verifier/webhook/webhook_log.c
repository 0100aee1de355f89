#include "verifier/webhook/webhook_log.h"

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define COLUMNS \
	"SELECT d.id, 'msg_' || replace(v.uid::text, '-', ''), v.type, to_char(v.at" UTC \
	", d.state, d.attempts," \
	" to_char(d.made_at" UTC ", to_char(d.last_try_at" UTC \
	", to_char(CASE WHEN d.state = 'waiting' THEN GREATEST(d.next_try_at, d.made_at) END" UTC \
	", d.status, d.error, d.answer, d.took_ms"
#define OF_WEBHOOK \
	" FROM webhooks w JOIN webhook_deliveries d ON d.webhook = w.id JOIN webhook_events v ON v.id = " \
	"d.event" \
	" WHERE " SCOPE_OF("w") " AND w.id = $2 AND w.state <> 'removed'"
/* Before all that waits since it happened. */
#define AT_ONCE "to_timestamp(0)"

enum result webhook_log_list(struct pg *pg, const struct scope *scope, int64_t webhook, const char *state,
    int64_t before, int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    COLUMNS OF_WEBHOOK
	    " AND ($3::text IS NULL OR d.state = $3) AND ($4::bigint = 0 OR d.id < $4::bigint)"
	    " ORDER BY d.id DESC LIMIT $5::int",
	    pg_int(webhook), pg_text(state), pg_int(before), pg_int(limit));
}

enum result webhook_log_show(struct pg *pg, const struct scope *scope, int64_t webhook, int64_t delivery,
    PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error, COLUMNS ", v.body" OF_WEBHOOK " AND d.id = $3",
	    pg_int(webhook), pg_int(delivery));
}

static enum result read_id(enum result result, PGresult *rows, int64_t *id)
{
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	*id = result == R_OK ? pg_get_int(rows, 0, 0) : 0;
	PQclear(rows);
	return result;
}

/* A pause is the issuers' own caution; who asks wants to see. */
#define WOKEN \
	"WITH w AS (UPDATE webhooks w SET pause_until = now() WHERE " SCOPE_OF( \
	    "w") " AND w.id = $2 AND w.state = 'on' RETURNING w.id, w.tenant)"

enum result webhook_log_test(
    struct pg *pg, const struct scope *scope, int64_t webhook, int64_t *delivery, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    WOKEN
	    ", v AS (INSERT INTO webhook_events (tenant, type, at, body)"
	    "  SELECT COALESCE(tenant, ''), 'webhook.test', now(), webhook_body('webhook.test', now(),"
	    "   jsonb_build_object('tenant', tenant, 'webhook', id, 'actor', $3::text)) FROM w RETURNING id)"
	    " INSERT INTO webhook_deliveries (webhook, event, next_try_at)"
	    "  SELECT w.id, v.id, " AT_ONCE " FROM w, v RETURNING id",
	    pg_int(webhook), pg_text(scope->actor));
	return read_id(result, rows, delivery);
}

enum result webhook_log_again(struct pg *pg, const struct scope *scope, int64_t webhook, int64_t delivery,
    int64_t *again, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    WOKEN ", sooner AS (UPDATE webhook_deliveries d SET next_try_at = " AT_ONCE " FROM w"
		  "  WHERE d.id = $3 AND d.webhook = w.id AND d.state = 'waiting' RETURNING d.id),"
		  " more AS (INSERT INTO webhook_deliveries (webhook, event, next_try_at)"
		  "  SELECT d.webhook, d.event, " AT_ONCE
		  " FROM webhook_deliveries d JOIN w ON d.webhook = w.id"
		  "  WHERE d.id = $3 AND d.state <> 'waiting' RETURNING id)"
		  " SELECT id FROM sooner UNION ALL SELECT id FROM more",
	    pg_int(webhook), pg_int(delivery));
	return read_id(result, rows, again);
}
