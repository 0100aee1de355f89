#include "verifier/access/portal_link.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
static_assert(PORTAL_LINK_MINUTES == 5, "the statement below says 5 minutes");
static_assert((int)SECRET_HEX == (int)SESSION_TEXT, "both are hashed alike");

/* Neither it nor the token behind it has been revoked. */
#define LIVES \
	" l.revoked_at IS NULL AND (l.token_id IS NULL OR EXISTS (SELECT 1 FROM api_tokens t WHERE t.id = " \
	"l.token_id AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())))"
#define CAN_BE_OPENED " l.token_hash = $1 AND l.opened_at IS NULL AND l.expires_at > now() AND" LIVES

bool portal_link_is_shaped(const char *text)
{
	return secret_is_shaped(PORTAL_LINK_PREFIX, text);
}

static struct pg_param hash_of(
    const unsigned char *admin_hash, const char *text, unsigned char hash[SHA256_DIGEST_LENGTH])
{
	return session_hash(admin_hash, text + strlen(PORTAL_LINK_PREFIX), hash);
}

static enum result is_one(enum result result, const PGresult *rows)
{
	return result == R_OK && PQntuples(rows) == 0 ? R_NONE : result;
}

enum result portal_link_create(struct pg *pg, const struct scope *scope, const unsigned char *admin_hash,
    const struct portal_link_new *wanted, char text[PORTAL_LINK_TEXT + 1], int64_t *id, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	PGresult *rows = NULL;
	secret_make(PORTAL_LINK_PREFIX, text);
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH old AS (DELETE FROM portal_links WHERE created_at < now() - interval '30 days'),"
	    " l AS (INSERT INTO portal_links (token_hash, tenant, return_url, token_id, created_by, "
	    "expires_at)"
	    "  SELECT $2, id, $4, NULLIF($5::bigint, 0), $6, now() + interval '5 minutes' FROM tenants"
	    "  WHERE id = $3 AND (" SCOPE_TENANT " IS NULL OR id = $1) RETURNING id, tenant),"
	    " e AS (INSERT INTO domain_events (tenant, event, actor, remote, detail)"
	    "  SELECT tenant, 'portal_link_created', $6, $7, 'portal link ' || id FROM l)"
	    " SELECT id FROM l",
	    hash_of(admin_hash, text, hash), pg_text(wanted->tenant), pg_text(wanted->return_url),
	    pg_int(wanted->token_id), pg_text(scope->actor), pg_text(scope->remote));
	result = is_one(result, rows);
	*id = result == R_OK ? pg_get_int(rows, 0, 0) : 0;
	PQclear(rows);
	return result;
}

enum result portal_link_find(struct pg *pg, const unsigned char *admin_hash, const char *text,
    char tenant[TENANT_MAX + 1], struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	PGresult *rows = NULL;
	enum result result = pg_run(pg, SCOPE_QUERY_MS, &rows, error,
	    "SELECT l.tenant FROM portal_links l WHERE" CAN_BE_OPENED, hash_of(admin_hash, text, hash));
	result = is_one(result, rows);
	if (result == R_OK)
		snprintf(tenant, TENANT_MAX + 1, "%s", pg_get(rows, 0, 0));
	PQclear(rows);
	return result;
}

enum result portal_link_open(struct pg *pg, const unsigned char *admin_hash, const char *text,
    const char *remote, char cookie[SESSION_TEXT + 1], struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH], cookie_hash[SHA256_DIGEST_LENGTH];
	PGresult *rows = NULL;
	secret_make("", cookie);
	enum result result = pg_run(pg, SCOPE_QUERY_MS, &rows, error,
	    "WITH old AS (DELETE FROM sessions WHERE expires_at < now()),"
	    " l AS (UPDATE portal_links l SET opened_at = now() WHERE" CAN_BE_OPENED
	    "  RETURNING l.id, l.tenant),"
	    " s AS (INSERT INTO sessions (token_hash, expires_at, portal_link)"
	    "  SELECT $2, now() + interval '" SESSION_INTERVAL "', id FROM l),"
	    " e AS (INSERT INTO domain_events (tenant, event, actor, remote)"
	    "  SELECT tenant, 'portal_opened', 'portal:' || id, $3 FROM l)"
	    " SELECT 1 FROM l",
	    hash_of(admin_hash, text, hash), session_hash(admin_hash, cookie, cookie_hash), pg_text(remote));
	result = is_one(result, rows);
	PQclear(rows);
	return result;
}

#define SHOWN \
	"SELECT l.id, l.tenant, l.return_url, to_char(l.created_at" UTC ", l.created_by," \
	" to_char(l.expires_at" UTC ", to_char(l.opened_at" UTC ", to_char(l.revoked_at" UTC "," \
	" EXISTS (SELECT 1 FROM sessions s WHERE s.portal_link = l.id AND s.expires_at > now()) AND" LIVES \
	" FROM portal_links l WHERE " SCOPE_OF("l")

enum result portal_link_list(struct pg *pg, const struct scope *scope, const char *tenant, int64_t before,
    int limit, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    SHOWN " AND ($2::text IS NULL OR l.tenant = $2) AND ($3::bigint = 0 OR l.id < $3::bigint)"
		  " ORDER BY l.id DESC LIMIT $4::int",
	    pg_text(tenant), pg_int(before), pg_int(limit));
}

enum result portal_link_show(
    struct pg *pg, const struct scope *scope, int64_t id, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error, SHOWN " AND l.id = $2", pg_int(id));
}

enum result portal_link_revoke(struct pg *pg, const struct scope *scope, int64_t id, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH l AS (UPDATE portal_links l SET revoked_at = now() WHERE " SCOPE_OF(
		"l") " AND l.id = $2 AND l.revoked_at IS NULL RETURNING l.id, l.tenant),"
		     " e AS (INSERT INTO domain_events (tenant, event, actor, remote, detail)"
		     "  SELECT tenant, 'portal_link_revoked', $3, $4, 'portal link ' || id FROM l)"
		     " SELECT 1 FROM l",
	    pg_int(id), pg_text(scope->actor), pg_text(scope->remote));
	result = is_one(result, rows);
	PQclear(rows);
	return result;
}

enum result portal_link_revoke_all(
    struct pg *pg, const struct scope *scope, const char *tenant, struct error *error)
{
	return scope_run(pg, scope, NULL, error,
	    "WITH l AS (UPDATE portal_links l SET revoked_at = now() WHERE " SCOPE_OF(
		"l") " AND l.tenant = $2 AND l.revoked_at IS NULL RETURNING l.id, l.tenant)"
		     " INSERT INTO domain_events (tenant, event, actor, remote, detail)"
		     "  SELECT tenant, 'portal_link_revoked', $3, $4, 'portal link ' || id FROM l",
	    pg_text(tenant), pg_text(scope->actor), pg_text(scope->remote));
}
