#include "common/certificate/barred_key.h"

#include <openssl/sha.h>
#include <openssl/x509.h>

enum { QUERY_MS = 5000 };
_Static_assert(BARRED_KEY_DIGEST == SHA256_DIGEST_LENGTH, "SHA-256");

enum result barred_key_digest(unsigned char out[BARRED_KEY_DIGEST], const EVP_PKEY *key, struct error *error)
{
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(key, &der);
	if (size <= 0) {
		error_set(error, "a public key cannot be written");
		return R_ERROR;
	}
	SHA256(der, (size_t)size, out);
	OPENSSL_free(der);
	return R_OK;
}

enum result barred_key_add(struct pg *pg, const EVP_PKEY *key, struct error *error)
{
	unsigned char digest[BARRED_KEY_DIGEST];
	if (barred_key_digest(digest, key, error) != R_OK)
		return R_ERROR;
	return pg_run(pg, QUERY_MS, NULL, error,
	    "INSERT INTO barred_keys (spki_sha256) VALUES ($1) ON CONFLICT DO NOTHING",
	    pg_bytea(digest, sizeof digest));
}

enum result barred_key_check(struct pg *pg, const EVP_PKEY *key, bool *barred, struct error *error)
{
	unsigned char digest[BARRED_KEY_DIGEST];
	PGresult *rows = NULL;
	*barred = false;
	if (barred_key_digest(digest, key, error) != R_OK)
		return R_ERROR;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "SELECT EXISTS (SELECT 1 FROM barred_keys WHERE spki_sha256 = $1)",
	    pg_bytea(digest, sizeof digest));
	if (result == R_OK)
		*barred = pg_get_bool(rows, 0, 0);
	PQclear(rows);
	return result;
}
