#include "verifier/claim/stored_certificate.h"

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
/* What its owner removed is the issuer's to replace, and still what was uploaded. */
#define SOURCE "CASE WHEN c.removed_at IS NULL THEN c.source ELSE 'upload' END"
#define COLUMNS \
	"SELECT c.name, t.tenant, " SOURCE ", c.issuer, c.serial, to_char(c.not_before" UTC "," \
	" to_char(c.not_after" UTC ", to_char(c.renew_at" UTC ", to_char(c.stored_at" UTC "," \
	" to_char(c.revoked_at" UTC ", to_char(c.removed_at" UTC "," \
	" floor(extract(epoch FROM c.not_after - now()) / 86400)::bigint, " SOURCE " = 'upload' AND" \
	" c.removed_at IS NULL AND c.not_after - LEAST(interval '30 days', (c.not_after - c.not_before) / " \
	"6) <= now()"
/* Who uploaded it, else the name's owner. */
#define OWNED \
	" FROM certificates c LEFT JOIN domains d ON d.name = c.name" \
	" AND d.status IN ('active', 'drifted', 'suspended')" \
	" CROSS JOIN LATERAL (SELECT COALESCE(c.tenant, d.tenant) AS tenant) t"

enum result stored_certificate_list(struct pg *pg, const struct scope *scope,
    const struct stored_filter *filter, int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    COLUMNS OWNED
	    " WHERE " SCOPE_OF("t") " AND ($2::text IS NULL OR t.tenant = $2)"
				    " AND ($3::text IS NULL OR " SOURCE " = $3)"
				    " AND ($4::int < 0 OR c.not_after < now() + $4::int * interval '1 day')"
				    " AND c.name > $5 AND ($6::text IS NULL OR c.name = ANY ($6::text[]))"
				    " ORDER BY c.name LIMIT $7::int",
	    pg_text(filter->tenant), pg_text(filter->source), pg_int(filter->days), pg_text(filter->after),
	    pg_text(filter->names), pg_int(limit));
}

enum result stored_certificate_show(
    struct pg *pg, const struct scope *scope, const char *name, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    COLUMNS ", c.chain_pem, c.version" OWNED " WHERE " SCOPE_OF("t") " AND c.name = $2",
	    pg_text(name));
}

enum result stored_certificate_renew(
    struct pg *pg, const struct scope *scope, const char *name, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH c AS (SELECT c.name, t.tenant, CASE WHEN site_has_upload(c.name) THEN 'upload' ELSE "
	    "c.source END AS source" OWNED
	    " WHERE " SCOPE_OF("t") " AND c.name = $2),"
				    " e AS (INSERT INTO domain_events (tenant, name, event, actor, remote)"
				    "       SELECT COALESCE(tenant, ''), name, 'renewal_forced', $3, $4 FROM "
				    "c WHERE source = 'acme')"
				    " SELECT source, CASE WHEN source = 'acme' THEN enqueue_issuance(name, "
				    "'reissue') END FROM c",
	    pg_text(name), pg_text(scope->actor), pg_text(scope->remote));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	else if (result == R_OK && !pg_get(rows, 0, 1))
		result = R_DENIED;
	PQclear(rows);
	return result;
}
