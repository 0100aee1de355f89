#include "verifier/api/api_idempotency.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "verifier/api/api_routes.h"
#include "verifier/http/problem.h"

/* As the statements say: kept for 24 hours; who has not answered after a minute has died. */
enum { KEY_MAX = 255 };

enum standing { FIRST, BUSY, OTHER, ANSWERED };

static bool is_key(const char *key)
{
	size_t size = strlen(key);
	for (size_t i = 0; i < size; i++)
		if (key[i] < '!' || key[i] > '~')
			return false;
	return size >= 1 && size <= KEY_MAX;
}

/* Without a copy: the body may hold what nobody else is to see. */
static void hash_request(const struct mhd_request *request, unsigned char hash[SHA256_DIGEST_LENGTH])
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	if (!digest || !EVP_DigestInit_ex(digest, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(digest, request->method, strlen(request->method)) ||
	    !EVP_DigestUpdate(digest, " ", 1) ||
	    !EVP_DigestUpdate(digest, request->target, strlen(request->target)) ||
	    !EVP_DigestUpdate(digest, "\n", 1) ||
	    !EVP_DigestUpdate(digest, buf_bytes(&request->body), buf_size(&request->body)) ||
	    !EVP_DigestFinal_ex(digest, hash, NULL))
		abort();
	EVP_MD_CTX_free(digest);
}

/* One row for caller and key, made by whoever comes first, or taken from one that never answered. */
static enum result begin(struct api_call *call, struct pg *pg, const char *key, const unsigned char *hash,
    PGresult **rows, struct error *error)
{
	return pg_run(pg, SCOPE_QUERY_MS, rows, error,
	    "WITH old AS (DELETE FROM idempotency_keys WHERE made_at < now() - interval '24 hours'"
	    "             AND (actor, key) <> ($1, $2)),"
	    " mine AS (INSERT INTO idempotency_keys AS k (actor, key, request_hash) VALUES ($1, $2, $3)"
	    "  ON CONFLICT (actor, key) DO UPDATE SET request_hash = EXCLUDED.request_hash, made_at = "
	    "clock_timestamp(),"
	    "  status = NULL, type = NULL, location = NULL, body = NULL"
	    "  WHERE k.made_at < now() - interval '24 hours'"
	    "     OR (k.status IS NULL AND k.made_at < now() - interval '1 minute')"
	    "  RETURNING 0 AS standing)"
	    " SELECT standing, NULL, NULL, NULL, NULL FROM mine UNION ALL"
	    " SELECT CASE WHEN request_hash <> $3 THEN 2 WHEN status IS NULL THEN 1 ELSE 3 END, "
	    "status::text, type,"
	    "  location, body FROM idempotency_keys WHERE actor = $1 AND key = $2 AND NOT EXISTS (SELECT 1 "
	    "FROM mine)",
	    pg_text(call->scope.actor), pg_text(key), pg_bytea(hash, SHA256_DIGEST_LENGTH));
}

static void replay(struct api_call *call, const PGresult *rows)
{
	struct mhd_reply *reply = call->reply;
	const char *type = pg_get(rows, 0, 2), *location = pg_get(rows, 0, 3), *body = pg_get(rows, 0, 4);
	reply->status = (unsigned)pg_get_int(rows, 0, 1);
	reply->type = !type                                   ? NULL
		      : strcmp(type, "application/json") == 0 ? "application/json"
							      : "application/problem+json";
	reply->body = mem_string(body);
	reply->size = body ? strlen(body) : 0;
	if (location)
		mhd_reply_header(reply, MHD_HTTP_HEADER_LOCATION, "%s", location);
	mhd_reply_header(reply, "Idempotent-Replayed", "true");
}

static void refuse(struct api_call *call, enum standing standing)
{
	if (standing == OTHER) {
		problem_reply(call->reply, MHD_HTTP_UNPROCESSABLE_CONTENT, "idempotency_key_reused",
		    "Idempotency-Key",
		    "This Idempotency-Key came with another request before: make a new key for each "
		    "request.");
		return;
	}
	problem_reply(call->reply, MHD_HTTP_CONFLICT, "request_under_way", "Idempotency-Key",
	    "The same request is being carried out at this moment: ask again in a second.");
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_RETRY_AFTER, "1");
}

static const char *header_of(const struct mhd_reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->header_count; i++)
		if (strcmp(reply->headers[i].name, name) == 0)
			return reply->headers[i].value;
	return NULL;
}

/* A secret is not kept: a repetition is told that it was shown. */
static char *kept_body(const struct api_call *call)
{
	bool holds_url = call->route->flags & API_SECRET_URL;
	const char *const secrets[] = {"token", "secret", holds_url ? "url" : "token"};
	char *body = mem_copy(call->reply->body ? call->reply->body : "", call->reply->size);
	json_t *json = call->route->flags & API_SECRET ? json_loads(body, 0, NULL) : NULL;
	if (!json)
		return body;
	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
		if (json_object_get(json, secrets[i]))
			json_object_set_new(json, secrets[i], json_null());
	free(body);
	body = json_dumps(json, JSON_INDENT(2));
	json_decref(json);
	return body;
}

/* What came of a fault that passes (the database, a limit) may come out otherwise the next time. */
static bool is_final(unsigned status)
{
	return status < 500 && status != MHD_HTTP_TOO_MANY_REQUESTS && status != MHD_HTTP_UNAUTHORIZED;
}

static void end(struct api_call *call, const char *key)
{
	const struct mhd_reply *reply = call->reply;
	struct pg *pg = pg_pool_take(call->pool, NULL);
	if (!pg)
		return;
	char *body = kept_body(call);
	if (is_final(reply->status))
		pg_run(pg, SCOPE_QUERY_MS, NULL, NULL,
		    "UPDATE idempotency_keys SET status = $3::int, type = $4, location = $5, body = $6"
		    " WHERE actor = $1 AND key = $2",
		    pg_text(call->scope.actor), pg_text(key), pg_int(reply->status), pg_text(reply->type),
		    pg_text(header_of(reply, MHD_HTTP_HEADER_LOCATION)), pg_text(body));
	else
		pg_run(pg, SCOPE_QUERY_MS, NULL, NULL,
		    "DELETE FROM idempotency_keys WHERE actor = $1 AND key = $2", pg_text(call->scope.actor),
		    pg_text(key));
	free(body);
	pg_pool_give(call->pool, pg);
}

void api_idempotency_run(struct api_call *call, const char *key)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	struct error error = {""};
	PGresult *rows = NULL;
	if (!is_key(key)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_idempotency_key", "Idempotency-Key",
		    "Idempotency-Key: must have 1 to %d printable ASCII characters without spaces.", KEY_MAX);
		return;
	}
	struct pg *pg = api_call_database(call);
	if (!pg)
		return;
	hash_request(call->request, hash);
	enum result result = begin(call, pg, key, hash, &rows, &error);
	pg_pool_give(call->pool, pg);
	/* No row: another one made it at this very moment. */
	enum standing standing =
	    result == R_OK && PQntuples(rows) ? (enum standing)pg_get_int(rows, 0, 0) : BUSY;
	if (result != R_OK) {
		problem_reply_down(call->reply, &error);
	} else if (standing == ANSWERED) {
		replay(call, rows);
	} else if (standing != FIRST) {
		refuse(call, standing);
	} else {
		call->route->handle(call);
		end(call, key);
	}
	PQclear(rows);
}
