/* `postern certificate import`: a certificate of the operator's or a customer's own, checked as the edges
 * will check it, sealed and stored. The issuer leaves it alone until it has expired. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/file.h"
#include "common/certificate/barred_key.h"
#include "common/certificate/own_certificate.h"
#include "common/cli/command.h"

enum { QUERY_MS = 10000 };

struct import {
	struct hostname name;
	struct buf chain, key_file;
	struct own_certificate own;
	struct seal_keys *seal;
};

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
	const char *chain = settings_string(settings, "chain"), *key = settings_string(settings, "key");
	enum result result = read_seal(import, settings, error);
	if (result == R_OK)
		result = file_read(chain, &import->chain, error);
	if (result == R_OK)
		result = file_read(key, &import->key_file, error);
	if (result != R_OK)
		return result;
	const struct own_certificate_text text = {.chain = buf_bytes(&import->chain),
	    .chain_size = buf_size(&import->chain),
	    .key = buf_bytes(&import->key_file),
	    .key_size = buf_size(&import->key_file)};
	result = own_certificate_read(&import->own, &text, import->name.text, time(NULL), error);
	/* Nobody types a pass phrase into a program that may run from a script. */
	if (result == R_NONE)
		error_set(error,
		    "the key is encrypted: `openssl pkey -in FILE -out FILE` takes the pass phrase off");
	if (result != R_OK)
		error_prefix(error, "%s", import->own.wrong == OWN_CHAIN ? chain : key);
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
	enum result result = barred_key_check(pg, import->own.key, &is_barred, error);
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
    " ari_next_poll_at = NULL, tenant = NULL, removed_at = NULL, warned_days = NULL WHERE c.version < "
    "EXCLUDED.version RETURNING version";

static enum result store(struct pg *pg, const struct import *import, int64_t version, struct error *error)
{
	const struct certificate *certificate = &import->own.certificate;
	struct buf pem, sealed;
	PGresult *rows = NULL;
	buf_init(&pem, CERTIFICATE_PEM_MAX);
	buf_init(&sealed, SEAL_PLAINTEXT_MAX + SEAL_OVERHEAD);
	enum result result = certificate_to_pem(certificate, &pem);
	if (result == R_OK)
		result = own_certificate_seal(
		    &import->own, import->seal, import->name.text, version, &sealed, error);
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
	const struct certificate *certificate = &import->own.certificate;
	char when[32] = "", wanted[256];
	time_t until = (time_t)certificate->not_after;
	struct tm parts;
	if (gmtime_r(&until, &parts))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &parts);
	printf("stored %s: version %lld, issued by %s, valid until %s; nobody renews it but you\n",
	    import->name.text, (long long)version, certificate->issuer, when);
	if (!certificate_is_complete(certificate, wanted, sizeof wanted))
		printf(
		    "note: nothing in the chain leads to a root that this system trusts; browsers want the "
		    "certificate of %s, too, unless they trust it directly\n",
		    wanted);
}

int command_certificate_import(const struct settings *settings, char **words)
{
	struct import import = {.seal = NULL};
	struct error error;
	struct pg *pg = NULL;
	int64_t version = 0;
	int code = command_parse_name(&import.name, words[0]);
	if (code != EXIT_DONE)
		return code;
	code = EXIT_FAILED;
	buf_init(&import.chain, CERTIFICATE_PEM_MAX);
	buf_init(&import.key_file, PRIVATE_KEY_PEM_MAX);
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
	own_certificate_fini(&import.own);
	seal_keys_free(import.seal);
	buf_wipe(&import.key_file);
	buf_fini(&import.chain);
	return code;
}
