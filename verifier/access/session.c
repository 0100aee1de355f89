#include "verifier/access/session.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "verifier/access/secret.h"

enum { QUERY_MS = 2000 };
static_assert(SESSION_HOURS == 12, "SESSION_INTERVAL says the same");
static_assert((int)SESSION_TEXT == (int)SECRET_HEX, "a cookie is a secret without a prefix");

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
/* What the session came from still is good: its token, its link, the token that made the link. */
#define LIVE_SESSION \
	" FROM sessions s LEFT JOIN portal_links l ON l.id = s.portal_link" \
	" LEFT JOIN api_tokens t ON t.id = COALESCE(s.token_id, l.token_id)" \
	" WHERE s.token_hash = $1 AND s.expires_at > now() AND l.revoked_at IS NULL" \
	" AND (t.id IS NULL OR (t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())))"

struct pg_param session_hash(
    const unsigned char *admin_hash, const char *cookie, unsigned char hash[SHA256_DIGEST_LENGTH])
{
	unsigned char both[SESSION_ADMIN_HASH + SESSION_TEXT] = {0};
	memcpy(both, admin_hash, SESSION_ADMIN_HASH);
	memcpy(both + SESSION_ADMIN_HASH, cookie, strnlen(cookie, SESSION_TEXT));
	SHA256(both, sizeof both, hash);
	return pg_bytea(hash, SHA256_DIGEST_LENGTH);
}

enum result session_create(struct pg *pg, const unsigned char *admin_hash, int64_t token_id,
    char cookie[SESSION_TEXT + 1], struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	secret_make("", cookie);
	return pg_run(pg, QUERY_MS, NULL, error,
	    "WITH old AS (DELETE FROM sessions WHERE expires_at < now())"
	    " INSERT INTO sessions (token_hash, expires_at, token_id)"
	    " VALUES ($1, now() + interval '" SESSION_INTERVAL "', NULLIF($2::bigint, 0))",
	    session_hash(admin_hash, cookie, hash), pg_int(token_id));
}

enum result session_check(struct pg *pg, const unsigned char *admin_hash, const char *cookie,
    struct token_holder *out, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	if (strlen(cookie) != SESSION_TEXT)
		return R_NONE;
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "SELECT s.token_id, COALESCE(l.tenant, t.tenant), l.id" LIVE_SESSION,
	    session_hash(admin_hash, cookie, hash));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	if (result == R_OK) {
		const char *tenant = pg_get(rows, 0, 1);
		out->id = pg_get_int(rows, 0, 0);
		out->portal = pg_get_int(rows, 0, 2);
		snprintf(out->tenant, sizeof out->tenant, "%s", tenant ? tenant : "");
	}
	PQclear(rows);
	return result;
}

enum result session_show(
    struct pg *pg, const unsigned char *admin_hash, const char *cookie, PGresult **rows, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	return pg_run(pg, QUERY_MS, rows, error,
	    "SELECT COALESCE(l.tenant, t.tenant), (SELECT title FROM tenants WHERE id = COALESCE(l.tenant, "
	    "t.tenant)),"
	    " l.id IS NOT NULL, l.return_url, to_char(s.expires_at" UTC LIVE_SESSION,
	    session_hash(admin_hash, cookie, hash));
}

enum result session_end(
    struct pg *pg, const unsigned char *admin_hash, const char *cookie, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	if (strlen(cookie) != SESSION_TEXT)
		return R_OK;
	return pg_run(pg, QUERY_MS, NULL, error, "DELETE FROM sessions WHERE token_hash = $1",
	    session_hash(admin_hash, cookie, hash));
}

static bool is_own_origin(const struct session_origin *request)
{
	if (request->own[0])
		return strcasecmp(request->origin, request->own) == 0;
	const char *host = strstr(request->origin, "://");
	return host && request->host && strcasecmp(host + 3, request->host) == 0;
}

bool session_is_same_origin(const struct session_origin *request)
{
	if (!request->marker || strcmp(request->marker, "1") != 0)
		return false;
	if (request->fetch_site && strcmp(request->fetch_site, "same-origin") != 0)
		return false;
	return !request->origin || is_own_origin(request);
}
