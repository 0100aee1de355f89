#include "verifier/webhook/webhook.h"

#include <string.h>

#include "verifier/access/tenant.h"

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define COLUMNS \
	"SELECT w.id, w.tenant, w.url, w.label, array_to_json(w.events), w.state = 'on', w.off_reason," \
	" w.failures, to_char(w.failing_since" UTC \
	", CASE WHEN w.failures > 0 AND w.pause_until > now() THEN to_char(w.pause_until" UTC " END" \
	", CASE WHEN w.former_until > now() THEN to_char(w.former_until" UTC " END" \
	", to_char(w.created_at" UTC \
	", w.created_by FROM webhooks w WHERE " SCOPE_OF("w") " AND w.state <> 'removed'"
/* The rows of a CTE `w`, with id and tenant, are noted; $3 actor, $4 remote. */
#define NOTED(event) \
	" e AS (INSERT INTO domain_events (tenant, event, actor, remote, detail)" \
	"  SELECT COALESCE(w.tenant, ''), '" event "', $3, $4, 'webhook ' || w.id FROM w)"

/* A sealed secret is the bytes, the overhead and nothing else. */
enum { SEALED_MAX = WEBHOOK_SECRET_BYTES + SEAL_OVERHEAD };

enum result webhook_list(struct pg *pg, const struct scope *scope, const char *tenant, int64_t after,
    int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    COLUMNS
	    " AND ($2::text IS NULL OR w.tenant = $2) AND w.id > $3::bigint ORDER BY w.id LIMIT $4::int",
	    pg_text(tenant), pg_int(after), pg_int(limit));
}

enum result webhook_show(
    struct pg *pg, const struct scope *scope, int64_t id, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error, COLUMNS " AND w.id = $2", pg_int(id));
}

/* R_NONE: no row came of it. */
static enum result changed(enum result result, PGresult *rows)
{
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}

static enum result take_id(struct pg *pg, int64_t *id, struct error *error)
{
	PGresult *rows = NULL;
	enum result result =
	    pg_query(pg, SCOPE_QUERY_MS, &rows, error, "SELECT nextval('webhook_ids')", NULL, 0);
	*id = result == R_OK ? pg_get_int(rows, 0, 0) : 0;
	PQclear(rows);
	return result;
}

/* The tenant's row is locked, so that two at once cannot pass the limit together; a statement of its own,
 * which sees what the other one did. The operator's are counted under the first tenant's. */
static enum result insert(struct pg *pg, const struct scope *scope, int64_t id,
    const struct webhook_values *values, const struct buf *sealed, struct error *error)
{
	static const char foreign_key[] = "23503", first_tenant[] = "default";
	PGresult *rows = NULL;
	enum result result = tenant_lock(pg, scope, values->tenant ? values->tenant : first_tenant, error);
	if (result == R_OK)
		result = scope_run(pg, scope, &rows, error,
		    "WITH w AS (INSERT INTO webhooks (id, tenant, url, label, events, secret_sealed, "
		    "created_by)"
		    "  SELECT $2::bigint, $5, $6, $7, COALESCE($8::text[], '{}'), $9, $3"
		    "  WHERE (" SCOPE_TENANT
		    " IS NULL OR $5 = $1) AND $10::bigint > (SELECT count(*) FROM webhooks"
		    "   WHERE (tenant = $5 OR ($5 IS NULL AND tenant IS NULL)) AND state <> 'removed')"
		    "  RETURNING id, tenant)," NOTED("webhook_created") " SELECT 1 FROM w",
		    pg_int(id), pg_text(scope->actor), pg_text(scope->remote), pg_text(values->tenant),
		    pg_text(values->url), pg_text(values->label), pg_text(values->events),
		    pg_bytea(buf_bytes(sealed), buf_size(sealed)), pg_int(WEBHOOKS_MAX));
	if (result == R_ERROR && strcmp(pg_sqlstate(pg), foreign_key) == 0)
		return R_NONE;
	result = changed(result, rows);
	return result == R_NONE ? R_LIMIT : result;
}

enum result webhook_add(struct pg *pg, const struct scope *scope, const struct seal_keys *keys,
    const struct webhook_values *values, char secret[WEBHOOK_SECRET_SIZE], int64_t *id, struct error *error)
{
	struct buf sealed;
	if (scope->tenant && (!values->tenant || strcmp(scope->tenant, values->tenant) != 0))
		return R_DENIED;
	buf_init(&sealed, SEALED_MAX);
	enum result result = take_id(pg, id, error);
	if (result == R_OK)
		result = webhook_secret_make(keys, *id, 1, secret, &sealed, error);
	if (result == R_OK)
		result = pg_query(pg, SCOPE_QUERY_MS, NULL, error, "BEGIN", NULL, 0);
	if (result == R_OK)
		result = insert(pg, scope, *id, values, &sealed, error);
	if (result == R_OK)
		result = pg_query(pg, SCOPE_QUERY_MS, NULL, error, "COMMIT", NULL, 0);
	if (result != R_OK)
		pg_rollback(pg);
	buf_fini(&sealed);
	return result;
}

enum result webhook_change(struct pg *pg, const struct scope *scope, int64_t id,
    const struct webhook_values *values, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH old AS (SELECT w.id, w.tenant, (w.state = 'off' AND $5::bool) OR w.url <> $6 AS fresh"
	    "  FROM webhooks w WHERE " SCOPE_OF(
		"w") " AND w.id = $2 AND w.state <> 'removed' FOR UPDATE),"
		     " w AS (UPDATE webhooks w SET url = COALESCE($6, w.url), events = COALESCE($7::text[], "
		     "w.events),"
		     "  label = CASE WHEN $9::bool THEN NULL ELSE COALESCE($8, w.label) END,"
		     "  state = CASE WHEN $5::bool THEN 'on' WHEN NOT $5::bool THEN 'off' ELSE w.state END,"
		     "  off_reason = CASE WHEN $5::bool THEN NULL WHEN NOT $5::bool AND w.state = 'on' THEN "
		     "'asked'"
		     "   ELSE w.off_reason END, failures = CASE WHEN old.fresh THEN 0 ELSE w.failures END,"
		     "  failing_since = CASE WHEN old.fresh THEN NULL ELSE w.failing_since END,"
		     "  pause_until = CASE WHEN old.fresh THEN now() ELSE w.pause_until END"
		     "  FROM old WHERE w.id = old.id RETURNING w.id, w.tenant)," NOTED(
			 "webhook_changed") " SELECT 1 FROM w",
	    pg_int(id), pg_text(scope->actor), pg_text(scope->remote), pg_text(values->is_on),
	    pg_text(values->url), pg_text(values->events), pg_text(values->label),
	    pg_text(values->clears_label ? "t" : "f"));
	return changed(result, rows);
}

enum result webhook_remove(struct pg *pg, const struct scope *scope, int64_t id, struct error *error)
{
	static const char sql[] =
	    "WITH w AS (UPDATE webhooks w SET state = 'removed' WHERE w.id = $2 AND w.state <> 'removed'"
	    " AND " SCOPE_OF("w") " RETURNING w.id, w.tenant)," NOTED("webhook_removed") " SELECT 1 FROM w";
	PGresult *rows = NULL;
	enum result result = scope_run(
	    pg, scope, &rows, error, sql, pg_int(id), pg_text(scope->actor), pg_text(scope->remote));
	return changed(result, rows);
}

static enum result find_version(
    struct pg *pg, const struct scope *scope, int64_t id, int64_t *version, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "SELECT w.secret_version FROM webhooks w WHERE " SCOPE_OF(
		"w") " AND w.id = $2 AND w.state <> 'removed'",
	    pg_int(id));
	*version = result == R_OK && PQntuples(rows) ? pg_get_int(rows, 0, 0) : 0;
	return changed(result, rows);
}

static enum result store_turned(struct pg *pg, const struct scope *scope, int64_t id, int64_t version,
    const struct buf *sealed, int64_t overlap_s, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH w AS MATERIALIZED (SELECT w.id, w.tenant FROM webhooks w WHERE " SCOPE_OF(
		"w") "  AND w.id = $2 AND webhook_rotate($1::text, w.id, $5::bigint, $6, "
		     "$7::bigint))," NOTED("webhook_secret_rotated") " SELECT 1 FROM w",
	    pg_int(id), pg_text(scope->actor), pg_text(scope->remote), pg_int(version),
	    pg_bytea(buf_bytes(sealed), buf_size(sealed)), pg_int(overlap_s));
	result = changed(result, rows);
	return result == R_NONE ? R_LOST : result;
}

enum result webhook_turn_secret(struct pg *pg, const struct scope *scope, const struct seal_keys *keys,
    int64_t id, int64_t overlap_s, char secret[WEBHOOK_SECRET_SIZE], struct error *error)
{
	int64_t version = 0;
	struct buf sealed;
	buf_init(&sealed, SEALED_MAX);
	enum result result = find_version(pg, scope, id, &version, error);
	if (result == R_OK)
		result = webhook_secret_make(keys, id, version + 1, secret, &sealed, error);
	if (result == R_OK)
		result = store_turned(pg, scope, id, version, &sealed, overlap_s, error);
	buf_fini(&sealed);
	return result;
}
