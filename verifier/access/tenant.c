#include "verifier/access/tenant.h"

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

static enum result changed(enum result result, PGresult *rows)
{
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}

static struct pg_param flag(bool value)
{
	return pg_text(value ? "t" : "f");
}

enum result tenant_create(struct pg *pg, const struct scope *scope, const char *id,
    const struct tenant_change *values, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH t AS (INSERT INTO tenants (id, title, max_domains, verifications_per_hour)"
	    " SELECT $2, $3, $4::int, $5::int WHERE " SCOPE_TENANT
	    " IS NULL ON CONFLICT DO NOTHING RETURNING id),"
	    " e AS (INSERT INTO domain_events (tenant, event, actor, remote)"
	    "       SELECT id, 'tenant_created', $6, $7 FROM t)"
	    " SELECT 1 FROM t",
	    pg_text(id), pg_text(values->title), pg_text(values->max_domains),
	    pg_text(values->verifications_per_hour), pg_text(scope->actor), pg_text(scope->remote));
	return changed(result, rows);
}

enum result tenant_change(struct pg *pg, const struct scope *scope, const char *id,
    const struct tenant_change *values, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH t AS (UPDATE tenants SET title = CASE WHEN $3::bool THEN NULL ELSE COALESCE($4, title) END,"
	    " max_domains = CASE WHEN $5::bool THEN NULL ELSE COALESCE($6::int, max_domains) END,"
	    " verifications_per_hour = CASE WHEN $7::bool THEN NULL ELSE COALESCE($8::int, "
	    "verifications_per_hour) END"
	    " WHERE id = $2 AND " SCOPE_TENANT " IS NULL RETURNING id, max_domains, verifications_per_hour),"
	    " e AS (INSERT INTO domain_events (tenant, event, actor, remote, detail)"
	    "       SELECT id, 'tenant_changed', $9, $10, format('max_domains %s, verifications_per_hour %s',"
	    "              COALESCE(max_domains::text, 'as set'), COALESCE(verifications_per_hour::text, 'as "
	    "set')) FROM t)"
	    " SELECT 1 FROM t",
	    pg_text(id), flag(values->clears_title), pg_text(values->title), flag(values->clears_max_domains),
	    pg_text(values->max_domains), flag(values->clears_verifications),
	    pg_text(values->verifications_per_hour), pg_text(scope->actor), pg_text(scope->remote));
	return changed(result, rows);
}

enum result tenant_lock(struct pg *pg, const struct scope *scope, const char *id, struct error *error)
{
	return scope_run(pg, scope, NULL, error,
	    "SELECT 1 FROM tenants WHERE id = $2 AND (" SCOPE_TENANT " IS NULL OR id = $1) FOR NO KEY UPDATE",
	    pg_text(id));
}

enum result tenant_list(struct pg *pg, const struct scope *scope, const char *id, const char *after,
    int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    "SELECT t.id, t.title, t.max_domains, t.verifications_per_hour, to_char(t.created_at" UTC ","
	    " (SELECT count(*) FROM domains d WHERE d.tenant = t.id AND d.status <> 'released')"
	    " FROM tenants t WHERE (" SCOPE_TENANT " IS NULL OR t.id = $1)"
	    " AND ($2::text IS NULL OR t.id = $2) AND t.id > $3 ORDER BY t.id LIMIT $4::int",
	    pg_text(id), pg_text(after), pg_int(limit));
}

enum result tenant_take_verification(struct pg *pg, const struct scope *scope, const char *tenant,
    int per_hour, int *wait_s, struct error *error)
{
	PGresult *rows = NULL;
	*wait_s = 0;
	enum result result = scope_run(pg, scope, &rows, error,
	    "SELECT tenant_take_verification(id, $3::int) FROM tenants"
	    " WHERE id = $2 AND (" SCOPE_TENANT " IS NULL OR id = $1)",
	    pg_text(tenant), per_hour >= 0 ? pg_int(per_hour) : pg_text(NULL));
	if (result == R_OK && PQntuples(rows))
		*wait_s = (int)pg_get_int(rows, 0, 0);
	PQclear(rows);
	return result;
}

enum result tenant_events(struct pg *pg, const struct scope *scope, const struct event_filter *filter,
    int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    "SELECT v.id, to_char(v.at" UTC
	    ", NULLIF(v.tenant, ''), v.name, v.event, v.actor, v.remote, v.detail"
	    " FROM domain_events v WHERE " SCOPE_OF(
		"v") " AND ($2::text IS NULL OR v.tenant = $2)"
		     " AND ($3::text IS NULL OR v.name = $3) AND ($4::text IS NULL OR v.event = $4)"
		     " AND ($5::bigint = 0 OR v.id < $5::bigint) ORDER BY v.id DESC LIMIT $6::int",
	    pg_text(filter->tenant), pg_text(filter->name), pg_text(filter->event), pg_int(filter->before),
	    pg_int(limit));
}
