#include "verifier/access/session.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/process.h"

enum { QUERY_MS = 2000 };
static_assert(SESSION_HOURS == 12, "the statement below says 12 hours");

static struct pg_param hash_of(const char *cookie, unsigned char hash[SHA256_DIGEST_LENGTH])
{
	SHA256((const unsigned char *)cookie, strlen(cookie), hash);
	return pg_bytea(hash, SHA256_DIGEST_LENGTH);
}

enum result session_create(struct pg *pg, char cookie[SESSION_TEXT + 1], struct error *error)
{
	unsigned char random[SESSION_TEXT / 2], hash[SHA256_DIGEST_LENGTH];
	process_random(random, sizeof random);
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(cookie + 2 * i, 3, "%02x", random[i]);
	return pg_run(pg, QUERY_MS, NULL, error,
	    "WITH old AS (DELETE FROM sessions WHERE expires_at < now())"
	    " INSERT INTO sessions (token_hash, expires_at) VALUES ($1, now() + interval '12 hours')",
	    hash_of(cookie, hash));
}

enum result session_check(struct pg *pg, const char *cookie, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	if (strlen(cookie) != SESSION_TEXT)
		return R_NONE;
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "SELECT 1 FROM sessions WHERE token_hash = $1 AND expires_at > now()", hash_of(cookie, hash));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}

enum result session_end(struct pg *pg, const char *cookie, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	return pg_run(
	    pg, QUERY_MS, NULL, error, "DELETE FROM sessions WHERE token_hash = $1", hash_of(cookie, hash));
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
