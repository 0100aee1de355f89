/* `postern certificate import`: a certificate of the operator's or a customer's own, checked as the edges
 * will check it, sealed and stored. The issuer leaves it alone until it has expired. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/barred_key.h"
#include "common/certificate.h"
#include "common/cli/command.h"
#include "common/file.h"
#include "common/seal.h"

enum { KEY_FILE_MAX = 64 * 1024, QUERY_MS = 10000 };

struct import {
	struct hostname name;
	struct buf chain, key_file;
	EVP_PKEY *key;
	struct certificate certificate;
	struct seal_keys *seal;
};

/* Nobody types a password into a program that may run from a script. */
static int no_password(char *password, int size, int writing, void *arg)
{
	(void)password;
	(void)size;
	(void)writing;
	*(bool *)arg = true;
	return -1;
}

static bool is_served_kind(const EVP_PKEY *key)
{
	char group[64] = "";
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= 2048;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
	       (!strcmp(group, "prime256v1") || !strcmp(group, "P-256") || !strcmp(group, "secp384r1") ||
		   !strcmp(group, "P-384"));
}

static enum result read_key(struct import *import, const char *path, struct error *error)
{
	bool encrypted = false;
	enum result result = file_read(path, &import->key_file, error);
	if (result != R_OK)
		return result;
	BIO *bio = BIO_new_mem_buf(buf_bytes(&import->key_file), (int)buf_size(&import->key_file));
	import->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, &encrypted) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (import->key && is_served_kind(import->key))
		return R_OK;
	if (encrypted)
		error_set(error,
		    "the key in `%s` is encrypted: `openssl pkey -in FILE -out FILE` takes the password off",
		    path);
	else if (import->key)
		error_set(error,
		    "the key in `%s` is not served: it must be RSA from 2,048 bits, P-256 or P-384", path);
	else
		error_set(error, "`%s` holds no private key in PEM form", path);
	return R_INVALID;
}

static enum result read_seal(struct import *import, const struct settings *settings, struct error *error)
{
	const char *public = settings_string(settings, "seal-public-file");
	const char *secret = settings_string(settings, "seal-key-file");
	if (public)
		return seal_keys_load_public(&import->seal, public, error);
	if (secret)
		return seal_keys_load_secret(&import->seal, secret, error);
	error_set(error, "the key is stored sealed: give seal-public-file (or seal-key-file)");
	return R_INVALID;
}

static enum result read_all(struct import *import, const struct settings *settings, struct error *error)
{
	const char *chain = settings_string(settings, "chain");
	enum result result = read_seal(import, settings, error);
	if (result == R_OK)
		result = file_read(chain, &import->chain, error);
	if (result == R_OK)
		result = read_key(import, settings_string(settings, "key"), error);
	if (result != R_OK)
		return result;
	result = certificate_parse(&import->certificate, buf_bytes(&import->chain), buf_size(&import->chain),
	    import->key, import->name.text, time(NULL), NULL, error);
	if (result != R_OK)
		error_prefix(error, "%s", chain);
	return result;
}

static enum result seal_key(
    const struct import *import, int64_t version, struct buf *sealed, struct error *error)
{
	const struct seal_place place = {
	    .kind = "certificate_key", .name = import->name.text, .version = version};
	struct buf plain;
	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	enum result result = certificate_key_export(import->key, &plain, error);
	if (result == R_OK)
		result = seal_bytes(import->seal, &place, buf_bytes(&plain), buf_size(&plain), sealed, error);
	buf_wipe(&plain);
	return result;
}

static enum result take_version(struct pg *pg, int64_t *version, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, QUERY_MS, &rows, error, "SELECT nextval('fences')", NULL, 0);
	*version = result == R_OK ? pg_get_int(rows, 0, 0) : 0;
	PQclear(rows);
	return result;
}

/* Who revoked a certificate for keyCompromise does not serve its key again by mistake. */
static enum result check_barred(struct pg *pg, const struct import *import, struct error *error)
{
	bool is_barred = false;
	enum result result = barred_key_check(pg, import->key, &is_barred, error);
	if (result != R_OK || !is_barred)
		return result;
	error_set(error,
	    "a certificate with this key was revoked because others know the key: make a new key, and have a "
	    "certificate issued for it");
	return R_INVALID;
}

/* A version that is newer already is another import's, or an issuance's that began later. */
static const char store_sql[] =
    "INSERT INTO certificates AS c (name, version, chain_pem, key_sealed, key_id, issuer, serial, directory,"
    " not_before, not_after, renew_at, source) VALUES ($1, $2, $3, $4, $5, $6, $7, 'upload',"
    " to_timestamp($8::bigint), to_timestamp($9::bigint), 'infinity', 'upload')"
    " ON CONFLICT (name) DO UPDATE SET version = EXCLUDED.version, chain_pem = EXCLUDED.chain_pem,"
    " key_sealed = EXCLUDED.key_sealed, key_id = EXCLUDED.key_id, issuer = EXCLUDED.issuer,"
    " serial = EXCLUDED.serial, directory = EXCLUDED.directory, not_before = EXCLUDED.not_before,"
    " not_after = EXCLUDED.not_after, renew_at = EXCLUDED.renew_at, source = EXCLUDED.source,"
    " stored_at = now(), account_url = NULL, revoked_at = NULL, revoked_reason = NULL,"
    " ari_next_poll_at = NULL WHERE c.version < EXCLUDED.version RETURNING version";

static enum result store(struct pg *pg, const struct import *import, int64_t version, struct error *error)
{
	const struct certificate *certificate = &import->certificate;
	struct buf pem, sealed;
	PGresult *rows = NULL;
	buf_init(&pem, CERTIFICATE_PEM_MAX);
	buf_init(&sealed, SEAL_PLAINTEXT_MAX + SEAL_OVERHEAD);
	enum result result = certificate_to_pem(certificate, &pem);
	if (result == R_OK)
		result = seal_key(import, version, &sealed, error);
	if (result != R_OK)
		goto out;
	result = pg_run(pg, QUERY_MS, &rows, error, store_sql, pg_text(import->name.text), pg_int(version),
	    pg_text(buf_string(&pem)), pg_bytea(buf_bytes(&sealed), buf_size(&sealed)),
	    pg_text(seal_keys_id(import->seal)), pg_text(certificate->issuer), pg_text(certificate->serial),
	    pg_int(certificate->not_before), pg_int(certificate->not_after));
	if (result == R_OK && PQntuples(rows) == 0) {
		error_set(error, "another certificate was stored for %s at the same time; try again",
		    import->name.text);
		result = R_LOST;
	}
out:
	PQclear(rows);
	buf_fini(&sealed);
	buf_fini(&pem);
	return result;
}

static void report(const struct import *import, int64_t version)
{
	const struct certificate *certificate = &import->certificate;
	char when[32] = "";
	time_t until = (time_t)certificate->not_after;
	struct tm parts;
	if (gmtime_r(&until, &parts))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &parts);
	printf("stored %s: version %lld, issued by %s, valid until %s; nobody renews it but you\n",
	    import->name.text, (long long)version, certificate->issuer, when);
	if (certificate->chain_count == 1)
		printf("note: the chain holds the leaf alone; browsers want the issuer's certificates too, "
		       "unless "
		       "they trust its issuer directly\n");
}

int command_certificate_import(const struct settings *settings, char **words)
{
	struct import import = {.key = NULL};
	struct error error;
	struct pg *pg = NULL;
	int64_t version = 0;
	int code = command_parse_name(&import.name, words[0]);
	if (code != EXIT_DONE)
		return code;
	code = EXIT_FAILED;
	buf_init(&import.chain, CERTIFICATE_PEM_MAX);
	buf_init(&import.key_file, KEY_FILE_MAX);
	enum result result = read_all(&import, settings, &error);
	if (result == R_OK) {
		pg = command_connect(settings);
		if (!pg)
			goto out;
		result = check_barred(pg, &import, &error);
	}
	if (result == R_OK)
		result = take_version(pg, &version, &error);
	if (result == R_OK)
		result = store(pg, &import, version, &error);
	if (result != R_OK) {
		command_fail(error.text);
		goto out;
	}
	report(&import, version);
	code = EXIT_DONE;
out:
	pg_free(pg);
	certificate_fini(&import.certificate);
	EVP_PKEY_free(import.key);
	seal_keys_free(import.seal);
	buf_wipe(&import.key_file);
	buf_fini(&import.chain);
	return code;
}
