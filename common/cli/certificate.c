/* `postern certificate list`, `show`, `export` and `remove`: what is stored, as a person wants to see it.
 * Keys are only ever written to files that nobody else can read. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/certificate/certificate.h"
#include "common/cli/command.h"
#include "common/seal/seal.h"

enum { QUERY_MS = 10000, KEY_PEM_MAX = 64 * 1024 };

int command_certificate_list(const struct settings *settings, char **words)
{
	(void)words;
	struct pg *pg = command_connect(settings);
	if (!pg)
		return EXIT_FAILED;
	bool done =
	    command_print_rows(pg, "certificates (up to 1,000, those that expire first)", "none stored",
		"SELECT name, source, issuer, date_trunc('second', not_after) AS not_after, version, tenant,"
		" date_trunc('second', removed_at) AS removed_at FROM certificates"
		" ORDER BY certificates.not_after, name LIMIT 1000",
		NULL, 0);
	pg_free(pg);
	return done ? EXIT_DONE : EXIT_FAILED;
}

/* R_NONE: there is none; it has been said. */
static enum result fetch(struct pg *pg, const char *name, PGresult **rows, struct error *error)
{
	enum result result = pg_run(pg, QUERY_MS, rows, error,
	    "SELECT version, chain_pem, key_sealed FROM certificates WHERE name = $1", pg_text(name));
	if (result == R_OK && PQntuples(*rows) == 0) {
		error_set(error, "no certificate is stored for %s", name);
		result = R_NONE;
	}
	return result;
}

static void print_names(X509 *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		printf("  dns=");
		command_print_escaped((const char *)ASN1_STRING_get0_data(name->d.dNSName),
		    (size_t)ASN1_STRING_length(name->d.dNSName));
		printf("\n");
	}
	GENERAL_NAMES_free(names);
}

static void print_one(X509 *certificate)
{
	char *subject = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);
	char *issuer = X509_NAME_oneline(X509_get_issuer_name(certificate), NULL, 0);
	printf("  subject=");
	command_print_escaped(subject, subject ? strlen(subject) : 0);
	printf(" issuer=");
	command_print_escaped(issuer, issuer ? strlen(issuer) : 0);
	printf(" key=%s/%d\n", EVP_PKEY_get0_type_name(X509_get0_pubkey(certificate)),
	    EVP_PKEY_get_bits(X509_get0_pubkey(certificate)));
	OPENSSL_free(subject);
	OPENSSL_free(issuer);
}

static void print_chain(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *certificate = NULL;
	printf("chain, the leaf first\n");
	for (bool leaf = true; bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL));
	     leaf = false) {
		print_one(certificate);
		if (leaf)
			print_names(certificate);
		X509_free(certificate);
	}
	ERR_clear_error();
	BIO_free(bio);
}

int command_certificate_show(const struct settings *settings, char **words)
{
	struct hostname name;
	struct error error;
	PGresult *rows = NULL;
	struct pg *pg = NULL;
	int code = command_begin(settings, words[0], &name, &pg);
	if (code != EXIT_DONE)
		return code;
	enum result result = fetch(pg, name.text, &rows, &error);
	if (result != R_OK)
		command_fail(error.text);
	else if (command_print_rows(pg, name.text, "",
		     "SELECT source, issuer, serial, version, key_id, date_trunc('second', not_before) AS "
		     "not_before,"
		     " date_trunc('second', not_after) AS not_after, date_trunc('second', renew_at) AS "
		     "renew_at,"
		     " date_trunc('second', stored_at) AS stored_at, tenant, date_trunc('second', "
		     "removed_at) AS"
		     " removed_at FROM certificates WHERE name = $1",
		     &pg_text(name.text), 1))
		print_chain(pg_get(rows, 0, 1));
	else
		result = R_ERROR;
	PQclear(rows);
	pg_free(pg);
	return result == R_OK ? EXIT_DONE : EXIT_FAILED;
}

static enum result open_key(const struct settings *settings, const char *name, const PGresult *rows,
    struct buf *pem, struct error *error)
{
	const struct seal_place place = {
	    .kind = "certificate_key", .name = name, .version = pg_get_int(rows, 0, 0)};
	struct seal_keys *seal = NULL;
	EVP_PKEY *key = NULL;
	size_t size = 0;
	unsigned char *sealed = pg_get_bytes(rows, 0, 2, &size);
	BIO *bio = BIO_new(BIO_s_secmem());
	struct buf plain;
	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	enum result result = seal_keys_load_secret(&seal, settings_string(settings, "seal-key-file"), error);
	if (result == R_OK)
		result = seal_open(seal, &place, sealed, size, &plain, error);
	if (result == R_OK)
		result = certificate_key_import(&key, buf_bytes(&plain), buf_size(&plain), NULL, error);
	char *text = NULL;
	if (result == R_OK && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
		long length = BIO_get_mem_data(bio, &text);
		result = buf_append(pem, text, (size_t)length);
	}
	buf_wipe(&plain);
	EVP_PKEY_free(key);
	BIO_free(bio);
	free(sealed);
	seal_keys_free(seal);
	return result;
}

/* A file of our own making, or none: what stands there is never overwritten. */
static enum result write_file(const char *path, const char *bytes, size_t size, struct error *error)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool written = fd >= 0 && write(fd, bytes, size) == (ssize_t)size && fsync(fd) == 0;
	int why = errno;
	if (fd >= 0)
		close(fd);
	if (written)
		return R_OK;
	if (fd < 0 && why == EEXIST)
		error_set(error, "%s exists, and is not overwritten", path);
	else
		error_set(error, "cannot write %s: %s", path, strerror(why));
	if (fd >= 0)
		unlink(path);
	return R_INVALID;
}

static enum result write_both(
    const struct settings *settings, const PGresult *rows, const struct buf *key, struct error *error)
{
	const char *chain_path = settings_string(settings, "chain");
	const char *chain = pg_get(rows, 0, 1);
	enum result result = write_file(chain_path, chain, strlen(chain), error);
	if (result != R_OK)
		return result;
	result = write_file(settings_string(settings, "key"), buf_bytes(key), buf_size(key), error);
	if (result != R_OK)
		unlink(chain_path);
	return result;
}

int command_certificate_export(const struct settings *settings, char **words)
{
	struct hostname name;
	struct error error;
	PGresult *rows = NULL;
	struct pg *pg = NULL;
	struct buf key;
	int code = command_begin(settings, words[0], &name, &pg);
	if (code != EXIT_DONE)
		return code;
	buf_init(&key, KEY_PEM_MAX);
	enum result result = fetch(pg, name.text, &rows, &error);
	if (result == R_OK)
		result = open_key(settings, name.text, rows, &key, &error);
	if (result == R_OK)
		result = write_both(settings, rows, &key, &error);
	if (result == R_OK)
		printf("wrote %s and %s (secret)\n", settings_string(settings, "chain"),
		    settings_string(settings, "key"));
	else
		command_fail(error.text);
	buf_wipe(&key);
	PQclear(rows);
	pg_free(pg);
	return result == R_OK ? EXIT_DONE : EXIT_FAILED;
}

/* What the issuer made would only be made anew. At once, also what is served until something takes its place.
 */
static const char remove_sql[] =
    "WITH gone AS (DELETE FROM certificates WHERE name = $1 AND (source = 'upload' OR removed_at IS NOT NULL)"
    " RETURNING 1) SELECT (SELECT count(*) FROM gone),"
    " EXISTS (SELECT 1 FROM certificates WHERE name = $1)";

int command_certificate_remove(const struct settings *settings, char **words)
{
	struct hostname name;
	struct error error;
	PGresult *rows = NULL;
	struct pg *pg = NULL;
	int code = command_begin(settings, words[0], &name, &pg);
	if (code != EXIT_DONE)
		return code;
	enum result result = pg_run(pg, QUERY_MS, &rows, &error, remove_sql, pg_text(name.text));
	bool gone = result == R_OK && pg_get_int(rows, 0, 0) == 1;
	if (result == R_OK && !gone)
		error_set(&error,
		    pg_get_bool(rows, 0, 1)
			? "the certificate of %s was not imported: the issuer looks after it"
			: "no certificate is stored for %s",
		    name.text);
	if (gone)
		printf("removed the certificate of %s\n", name.text);
	else
		command_fail(error.text);
	PQclear(rows);
	pg_free(pg);
	return gone ? EXIT_DONE : EXIT_FAILED;
}
