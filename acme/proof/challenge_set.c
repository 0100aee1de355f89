#include "acme/proof/challenge_set.h"

#include <openssl/sha.h>
#include <string.h>

#include "acme/crash_point.h"
#include "common/domain/delegation.h"

enum { DIGEST_SIZE = 64 };

static bool persist_is_ready(
    const struct challenge_question *question, const struct acme_authorization *authorization)
{
	const struct challenge_context *context = question->context;
	return context->persist_record_seen && context->persist_record_seen(context->arg, question->name,
						   &authorization->issuer_names, question->account_url);
}

static bool dns_is_ready(
    const struct challenge_question *question, const struct acme_authorization *authorization)
{
	const struct challenge_context *context = question->context;
	(void)authorization;
	return context->is_delegated && context->is_delegated(context->arg, question->name);
}

/* `is_ready` NULL: always. */
static const struct {
	bool is_published;
	bool needs_reach;
	bool (*is_ready)(
	    const struct challenge_question *question, const struct acme_authorization *authorization);
} kinds[ACME_CHALLENGE_TYPES] = {
    [ACME_TLS_ALPN_01] = {true, true, NULL},
    [ACME_HTTP_01] = {true, true, NULL},
    [ACME_DNS_PERSIST_01] = {false, false, persist_is_ready},
    [ACME_DNS_01] = {true, false, dns_is_ready},
};

bool challenge_needs_reach(enum acme_challenge_type type)
{
	return kinds[type].needs_reach;
}

bool challenge_is_published(enum acme_challenge_type type)
{
	return kinds[type].is_published;
}

static bool types_contain(const struct challenge_types *types, enum acme_challenge_type type)
{
	for (size_t i = 0; i < types->count; i++)
		if (types->list[i] == type)
			return true;
	return false;
}

enum result challenge_types_add(struct challenge_types *types, const char *name, struct error *error)
{
	int type = 0;
	while (type < ACME_CHALLENGE_TYPES &&
	       strcmp(acme_challenge_name((enum acme_challenge_type)type), name) != 0)
		type++;
	bool is_known = type < ACME_CHALLENGE_TYPES;
	if (!is_known || types_contain(types, (enum acme_challenge_type)type)) {
		error_set(error,
		    "challenge-types: `%.100s` is %s; give dns-persist-01, dns-01, tls-alpn-01, "
		    "http-01 or some of them",
		    name, is_known ? "there twice" : "not a type that is spoken here");
		return R_INVALID;
	}
	types->list[types->count++] = (enum acme_challenge_type)type;
	return R_OK;
}

/* Where the CA is already at it (resumed after a crash), nothing is left to choose. */
static const struct acme_challenge *already_answered(const struct acme_authorization *authorization)
{
	for (size_t i = 0; i < authorization->challenge_count; i++) {
		enum acme_status status = authorization->challenges[i].status;
		if (status == ACME_PROCESSING || status == ACME_VALID)
			return &authorization->challenges[i];
	}
	return NULL;
}

static const struct acme_challenge *find_offered(
    const struct acme_authorization *authorization, enum acme_challenge_type type)
{
	for (size_t i = 0; i < authorization->challenge_count; i++)
		if (authorization->challenges[i].type == type)
			return &authorization->challenges[i];
	return NULL;
}

static bool is_usable(const struct challenge_question *question,
    const struct acme_authorization *authorization, enum acme_challenge_type type)
{
	if (!question->allowed[type] || (kinds[type].needs_reach && hostname_is_wildcard(question->name)))
		return false;
	return !kinds[type].is_ready || kinds[type].is_ready(question, authorization);
}

const struct acme_challenge *challenge_choose(
    const struct acme_authorization *authorization, const struct challenge_question *question)
{
	const struct acme_challenge *answered = already_answered(authorization);
	if (answered)
		return answered;
	const struct acme_challenge *usable[ACME_CHALLENGE_TYPES];
	size_t count = 0;
	for (size_t i = 0; i < question->types->count; i++) {
		enum acme_challenge_type type = question->types->list[i];
		const struct acme_challenge *offered = find_offered(authorization, type);
		if (offered && is_usable(question, authorization, type))
			usable[count++] = offered;
	}
	return count > 0 ? usable[(size_t)question->attempts % count] : NULL;
}

/* RFC 8555 section 8.4: what the TXT record holds. */
static void digest_of(struct buf *out, const char *key_authorization)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)key_authorization, strlen(key_authorization), hash);
	base64url_encode(out, hash, sizeof hash);
}

enum result challenge_publish(struct pg *pg, const struct job *job, const struct acme_challenge *challenge,
    const char *key_authorization, int64_t *id, struct error *error)
{
	PGresult *rows = NULL;
	bool is_dns = challenge->type == ACME_DNS_01;
	char label[DELEGATION_LABEL + 1];
	struct buf digest;
	buf_init(&digest, DIGEST_SIZE);
	delegation_label(label, job->name);
	digest_of(&digest, key_authorization);
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at, label, digest)"
	    " SELECT $1, $3, $4, $5, $2::bigint, now() + $6::bigint * interval '1 second', $7, $8"
	    " WHERE " JOB_IS_OURS
	    " ON CONFLICT (name, type, token) DO UPDATE SET key_authorization = EXCLUDED.key_authorization,"
	    " digest = EXCLUDED.digest, fence = EXCLUDED.fence, expires_at = EXCLUDED.expires_at, seen_at = "
	    "NULL"
	    " RETURNING id",
	    pg_text(job->name), pg_int(job->fence), pg_text(acme_challenge_name(challenge->type)),
	    pg_text(challenge->token), pg_text(key_authorization), pg_int(CHALLENGE_LIFE_S),
	    pg_text(is_dns ? label : NULL), pg_text(is_dns ? buf_string(&digest) : NULL));
	buf_fini(&digest);
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_LOST;
	if (result == R_OK) {
		*id = pg_get_int(rows, 0, 0);
		crash_point("published");
	}
	PQclear(rows);
	return result;
}

enum result challenge_is_seen(struct pg *pg, int64_t id, bool *seen, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT seen_at IS NOT NULL FROM challenges WHERE id = $1", pg_int(id));
	*seen = result == R_OK && PQntuples(rows) == 1 && pg_get_bool(rows, 0, 0);
	PQclear(rows);
	return result;
}

enum result challenge_retire(struct pg *pg, const struct job *job, struct error *error)
{
	return pg_run(pg, JOB_QUERY_MS, NULL, error,
	    "UPDATE challenges SET expires_at = now() + $3::bigint * interval '1 second'"
	    " WHERE name = $1 AND fence <= $2 AND expires_at > now() + $3::bigint * interval '1 second'",
	    pg_text(job->name), pg_int(job->fence), pg_int(CHALLENGE_GRACE_S));
}

enum result challenge_sweep(struct pg *pg, struct error *error)
{
	return pg_query(pg, JOB_QUERY_MS, NULL, error,
	    "DELETE FROM challenges WHERE id IN (SELECT id FROM challenges WHERE expires_at < now()"
	    " ORDER BY expires_at LIMIT 500 FOR UPDATE SKIP LOCKED)",
	    NULL, 0);
}
