#include "acme/order/store.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "acme/crash_point.h"
#include "acme/order/accept.h"
#include "acme/proof/challenge_set.h"
#include "acme/sealed_key.h"
#include "common/base/clock.h"

static enum result upsert(struct pg *pg, const struct seal_keys *keys, const struct job *job,
    const struct certificate *certificate, const struct buf *sealed, const char *directory,
    const char *account_url, struct error *error)
{
	struct buf pem;
	buf_init(&pem, CERTIFICATE_PEM_MAX);
	enum result result = certificate_to_pem(certificate, &pem);
	if (result != R_OK) {
		error_set(error, "the chain is too long");
		goto out;
	}
	int64_t renew_at = renewal_time(job->name, certificate->not_before, certificate->not_after);
	result = pg_run(pg, JOB_QUERY_MS, NULL, error,
	    "INSERT INTO certificates AS c (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
	    "directory,"
	    " not_before, not_after, renew_at, account_url, ari_next_poll_at) VALUES ($1, $2, $3, $4, $5, "
	    "$6, $7, $8,"
	    " to_timestamp($9::bigint), to_timestamp($10::bigint), to_timestamp($11::bigint), $12,"
	    " now() + interval '1 hour' * random())"
	    " ON CONFLICT (name) DO UPDATE SET version = EXCLUDED.version, chain_pem = EXCLUDED.chain_pem,"
	    " key_sealed = EXCLUDED.key_sealed, key_id = EXCLUDED.key_id, issuer = EXCLUDED.issuer,"
	    " serial = EXCLUDED.serial, directory = EXCLUDED.directory, not_before = EXCLUDED.not_before,"
	    " not_after = EXCLUDED.not_after, renew_at = EXCLUDED.renew_at, stored_at = now(), source = "
	    "EXCLUDED.source,"
	    " account_url = EXCLUDED.account_url, revoked_at = NULL, revoked_reason = NULL,"
	    " renewal_claimed_until = NULL, ari_window_start = NULL, ari_window_end = NULL, ari_explanation "
	    "= NULL,"
	    " ari_next_poll_at = EXCLUDED.ari_next_poll_at, tenant = NULL, removed_at = NULL, warned_days = "
	    "NULL"
	    " WHERE c.version < EXCLUDED.version AND (c.source = 'acme' OR c.not_after <= now())",
	    pg_text(job->name), pg_int(job->fence), pg_text(buf_string(&pem)),
	    pg_bytea(buf_bytes(sealed), buf_size(sealed)), pg_text(seal_keys_id(keys)),
	    pg_text(certificate->issuer), pg_text(certificate->serial), pg_text(directory),
	    pg_int(certificate->not_before), pg_int(certificate->not_after), pg_int(renew_at),
	    pg_text(account_url));
out:
	buf_fini(&pem);
	return result;
}

/* The job is closed first: that statement holds the fence, and with it the row's lock until the commit. */
enum result store_certificate(struct pg *pg, const struct seal_keys *keys, const struct job *job,
    const struct certificate *certificate, const EVP_PKEY *key, const char *directory,
    const char *account_url, struct error *error)
{
	const struct seal_place place = {.kind = "certificate_key", .name = job->name, .version = job->fence};
	struct buf sealed;
	buf_init(&sealed, SEALED_KEY_MAX);
	enum result result = sealed_key_make(keys, &place, key, &sealed, error);
	if (result != R_OK)
		goto out;
	result = pg_query(pg, JOB_QUERY_MS, NULL, error, "BEGIN", NULL, 0);
	if (result == R_OK)
		result = job_close(pg, job, error);
	if (result == R_OK)
		result = upsert(pg, keys, job, certificate, &sealed, directory, account_url, error);
	if (result == R_OK)
		result = pg_run(pg, JOB_QUERY_MS, NULL, error, "DELETE FROM failures WHERE name = $1",
		    pg_text(job->name));
	if (result == R_OK)
		result = pg_run(pg, JOB_QUERY_MS, NULL, error,
		    "DELETE FROM ca_trouble WHERE name = $1 AND directory = $2", pg_text(job->name),
		    pg_text(directory));
	if (result == R_OK)
		result = challenge_retire(pg, job, error);
	if (result == R_OK)
		result = pg_query(pg, JOB_QUERY_MS, NULL, error, "COMMIT", NULL, 0);
	if (result != R_OK)
		pg_rollback(pg);
	else
		crash_point("stored");
out:
	buf_fini(&sealed);
	return result;
}

enum result store_check(struct pg *pg, const struct seal_keys *keys, const char *name, struct error *error)
{
	PGresult *rows = NULL;
	EVP_PKEY *key = NULL;
	unsigned char *sealed = NULL;
	size_t size = 0;
	struct certificate certificate = {.chain_count = 0};
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT version, chain_pem, key_sealed FROM certificates WHERE name = $1", pg_text(name));
	if (result == R_OK && PQntuples(rows) == 0) {
		error_set(error, "there is no certificate");
		result = R_INVALID;
	}
	if (result != R_OK)
		goto out;
	const struct seal_place place = {
	    .kind = "certificate_key", .name = name, .version = pg_get_int(rows, 0, 0)};
	const char *pem = pg_get(rows, 0, 1);
	sealed = pg_get_bytes(rows, 0, 2, &size);
	result = sealed_key_open(keys, &place, sealed, size, &key, error);
	if (result == R_OK)
		result = certificate_parse(
		    &certificate, pem, strlen(pem), key, name, clock_wall_ms() / 1000, NULL, error);
	if (result != R_OK)
		result = R_INVALID;
out:
	certificate_fini(&certificate);
	EVP_PKEY_free(key);
	free(sealed);
	PQclear(rows);
	return result;
}
