#include "verifier/claim/stored_certificate.h"

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define COLUMNS \
	"SELECT c.name, d.tenant, c.source, c.issuer, c.serial, to_char(c.not_before" UTC "," \
	" to_char(c.not_after" UTC ", to_char(c.renew_at" UTC ", to_char(c.stored_at" UTC "," \
	" to_char(c.revoked_at" UTC
#define OWNED \
	" FROM certificates c LEFT JOIN domains d ON d.name = c.name" \
	" AND d.status IN ('active', 'drifted', 'suspended')"

enum result stored_certificate_list(struct pg *pg, const struct scope *scope,
    const struct stored_filter *filter, int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    COLUMNS OWNED
	    " WHERE " SCOPE_OF("d") " AND ($2::text IS NULL OR d.tenant = $2)"
				    " AND ($3::text IS NULL OR c.source = $3)"
				    " AND ($4::int < 0 OR c.not_after < now() + $4::int * interval '1 day')"
				    " AND c.name > $5 ORDER BY c.name LIMIT $6::int",
	    pg_text(filter->tenant), pg_text(filter->source), pg_int(filter->days), pg_text(filter->after),
	    pg_int(limit));
}

enum result stored_certificate_show(
    struct pg *pg, const struct scope *scope, const char *name, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    COLUMNS ", c.chain_pem" OWNED " WHERE " SCOPE_OF("d") " AND c.name = $2", pg_text(name));
}

enum result stored_certificate_renew(
    struct pg *pg, const struct scope *scope, const char *name, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH c AS (SELECT c.name, d.tenant, c.source" OWNED
	    " WHERE " SCOPE_OF("d") " AND c.name = $2),"
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
