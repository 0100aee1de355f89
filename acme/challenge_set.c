#include "acme/challenge_set.h"

#include <string.h>

#include "acme/crash_point.h"

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
		error_set(error, "challenge-types: `%.100s` is %s; give tls-alpn-01, http-01 or both", name,
		    is_known ? "there twice" : "not a type that is spoken here");
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

const struct acme_challenge *challenge_choose(
    const struct acme_authorization *authorization, const struct challenge_types *types, int attempts)
{
	const struct acme_challenge *answered = already_answered(authorization);
	if (answered)
		return answered;
	for (size_t i = 0; i < types->count; i++) {
		enum acme_challenge_type type = types->list[((size_t)attempts + i) % types->count];
		for (size_t j = 0; j < authorization->challenge_count; j++)
			if (authorization->challenges[j].type == type)
				return &authorization->challenges[j];
	}
	return NULL;
}

enum result challenge_publish(struct pg *pg, const struct job *job, const struct acme_challenge *challenge,
    const char *key_authorization, int64_t *id, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at)"
	    " SELECT $1, $3, $4, $5, $2::bigint, now() + $6::bigint * interval '1 second' WHERE " JOB_IS_OURS
	    " ON CONFLICT (name, type, token) DO UPDATE SET key_authorization = EXCLUDED.key_authorization,"
	    " fence = EXCLUDED.fence, expires_at = EXCLUDED.expires_at, seen_at = NULL"
	    " RETURNING id",
	    pg_text(job->name), pg_int(job->fence), pg_text(acme_challenge_name(challenge->type)),
	    pg_text(challenge->token), pg_text(key_authorization), pg_int(CHALLENGE_LIFE_S));
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
