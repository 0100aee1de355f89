#include "verifier/access/token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verifier/access/secret.h"

#define UTC " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
#define COLUMNS \
	"t.id, t.hint, t.scope, t.tenant, t.label, to_char(t.created_at" UTC ", t.created_by," \
	" to_char(t.expires_at" UTC ", to_char(t.revoked_at" UTC ", to_char(t.last_used_at" UTC

bool token_is_shaped(const char *text)
{
	return secret_is_shaped(TOKEN_PREFIX, text);
}

static void hash_of(const char *text, unsigned char hash[SHA256_DIGEST_LENGTH])
{
	SHA256((const unsigned char *)text, strlen(text), hash);
}

/* The index has found the row by its hash; whether it is the same is not told by how long the answer takes.
 */
static bool is_same(const PGresult *rows, const unsigned char hash[SHA256_DIGEST_LENGTH])
{
	size_t size = 0;
	unsigned char *stored = pg_get_bytes(rows, 0, 0, &size);
	bool same = stored && size == SHA256_DIGEST_LENGTH && CRYPTO_memcmp(stored, hash, size) == 0;
	free(stored);
	return same;
}

static void note_use(struct pg *pg, int64_t id)
{
	pg_run(pg, SCOPE_QUERY_MS, NULL, NULL,
	    "UPDATE api_tokens SET last_used_at = now() WHERE id = $1"
	    " AND (last_used_at IS NULL OR last_used_at < now() - interval '15 minutes')",
	    pg_int(id));
}

enum result token_find(struct pg *pg, const char *text, struct token_holder *out, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	PGresult *rows = NULL;
	hash_of(text, hash);
	enum result result = pg_run(pg, SCOPE_QUERY_MS, &rows, error,
	    "SELECT token_hash, id, tenant,"
	    " last_used_at IS NULL OR last_used_at < now() - interval '15 minutes' FROM api_tokens"
	    " WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
	    pg_bytea(hash, sizeof hash));
	if (result == R_OK && (PQntuples(rows) == 0 || !is_same(rows, hash)))
		result = R_NONE;
	if (result == R_OK) {
		const char *tenant = pg_get(rows, 0, 2);
		out->id = pg_get_int(rows, 0, 1);
		snprintf(out->tenant, sizeof out->tenant, "%s", tenant ? tenant : "");
		if (pg_get_bool(rows, 0, 3))
			note_use(pg, out->id);
	}
	PQclear(rows);
	return result;
}

enum result token_check(struct pg *pg, int64_t id, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, SCOPE_QUERY_MS, &rows, error,
	    "SELECT 1 FROM api_tokens"
	    " WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
	    pg_int(id));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}

/* In the order of sqlstates: no such tenant; not a time, or one that PostgreSQL cannot hold. */
static enum result read_failure(struct pg *pg)
{
	static const char foreign_key[] = "23503", datetime[] = "22007", overflow[] = "22008";
	const char *state = pg_sqlstate(pg);
	if (strcmp(state, foreign_key) == 0)
		return R_NONE;
	return strcmp(state, datetime) == 0 || strcmp(state, overflow) == 0 ? R_INVALID : R_ERROR;
}

enum result token_create(struct pg *pg, const struct scope *scope, const struct token_new *wanted,
    char text[TOKEN_TEXT + 1], int64_t *id, struct error *error)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char hint[TOKEN_HINT + 1];
	PGresult *rows = NULL;
	secret_make(TOKEN_PREFIX, text);
	hash_of(text, hash);
	snprintf(hint, sizeof hint, "%s", text);
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH t AS (INSERT INTO api_tokens (token_hash, hint, scope, tenant, label, created_by, "
	    "expires_at)"
	    " SELECT $2, $3, CASE WHEN $4::text IS NULL THEN 'operator' ELSE 'tenant' END, $4, $5, $6, "
	    "$7::timestamptz"
	    " WHERE (" SCOPE_TENANT
	    " IS NULL OR $4 = $1) AND ($7::timestamptz IS NULL OR $7::timestamptz > now())"
	    " RETURNING id, scope, tenant),"
	    " e AS (INSERT INTO domain_events (tenant, event, actor, remote, detail)"
	    "       SELECT COALESCE(tenant, ''), 'token_created', $6, $8, scope || ' token ' || id FROM t)"
	    " SELECT id FROM t",
	    pg_bytea(hash, sizeof hash), pg_text(hint), pg_text(wanted->tenant), pg_text(wanted->label),
	    pg_text(scope->actor), pg_text(wanted->expires_at), pg_text(scope->remote));
	if (result == R_ERROR)
		result = read_failure(pg);
	else if (result == R_OK && PQntuples(rows) == 0)
		result = R_INVALID;
	*id = result == R_OK ? pg_get_int(rows, 0, 0) : 0;
	PQclear(rows);
	return result;
}

enum result token_list(struct pg *pg, const struct scope *scope, const char *tenant, int64_t after, int limit,
    PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    "SELECT " COLUMNS
	    " FROM api_tokens t WHERE " SCOPE_OF("t") " AND ($2::text IS NULL OR t.tenant = $2) AND t.id > "
						      "$3::bigint ORDER BY t.id LIMIT $4::int",
	    pg_text(tenant), pg_int(after), pg_int(limit));
}

enum result token_show(
    struct pg *pg, const struct scope *scope, int64_t id, PGresult **rows, struct error *error)
{
	return scope_run(pg, scope, rows, error,
	    "SELECT " COLUMNS " FROM api_tokens t WHERE " SCOPE_OF("t") " AND t.id = $2", pg_int(id));
}

enum result token_revoke(struct pg *pg, const struct scope *scope, int64_t id, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = scope_run(pg, scope, &rows, error,
	    "WITH u AS (UPDATE api_tokens t SET revoked_at = now() WHERE " SCOPE_OF(
		"t") " AND t.id = $2 AND t.revoked_at IS NULL RETURNING t.id, t.tenant, t.scope),"
		     " e AS (INSERT INTO domain_events (tenant, event, actor, remote, detail)"
		     "       SELECT COALESCE(tenant, ''), 'token_revoked', $3, $4, scope || ' token ' || id "
		     "FROM u)"
		     " SELECT 1 FROM u",
	    pg_int(id), pg_text(scope->actor), pg_text(scope->remote));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	PQclear(rows);
	return result;
}
