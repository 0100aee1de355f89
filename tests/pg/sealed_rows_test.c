/* Secrets in the tables: a row's key opens in its row alone, and a dump of the database shows none. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/certificate.h"
#include "common/seal.h"
#include "tests/pg/database.h"

struct vault {
	char directory[32];
	char path[64];
	struct seal_keys *keys;
};

static void vault_open(struct vault *vault)
{
	struct error error;
	strcpy(vault->directory, "/tmp/sealed_rows.XXXXXX");
	assert_non_null(mkdtemp(vault->directory));
	snprintf(vault->path, sizeof vault->path, "%s/key", vault->directory);
	assert_int_equal(seal_key_create(vault->path, &error), R_OK);
	assert_int_equal(seal_keys_load_secret(&vault->keys, vault->path, &error), R_OK);
}

static void vault_close(struct vault *vault)
{
	char public[80];
	snprintf(public, sizeof public, "%s.pub", vault->path);
	seal_keys_free(vault->keys);
	unlink(public);
	unlink(vault->path);
	rmdir(vault->directory);
}

static void store(
    struct pg *pg, const struct vault *vault, const char *name, int64_t version, const struct buf *key)
{
	const struct seal_place place = {"certificate_key", name, version};
	struct buf blob;
	struct error error;
	buf_init(&blob, 4096);
	assert_int_equal(seal_bytes(vault->keys, &place, buf_bytes(key), buf_size(key), &blob, &error), R_OK);
	if (pg_run(pg, 5000, NULL, &error,
		"INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
		"directory, not_before,"
		" not_after, renew_at) VALUES ($1, $2, '', $3, $4, '', '', '', now(), now(), now())",
		pg_text(name), pg_int(version), pg_bytea(buf_bytes(&blob), buf_size(&blob)),
		pg_text(seal_keys_id(vault->keys))) != R_OK)
		fail_msg("%s", error.text);
	buf_fini(&blob);
}

static enum result open_row(struct pg *pg, const struct vault *vault, const char *name, struct buf *out)
{
	PGresult *rows = NULL;
	struct error error;
	assert_int_equal(pg_run(pg, 5000, &rows, &error,
			     "SELECT version, key_sealed FROM certificates WHERE name = $1", pg_text(name)),
	    R_OK);
	const struct seal_place place = {"certificate_key", name, pg_get_int(rows, 0, 0)};
	size_t size = 0;
	unsigned char *blob = pg_get_bytes(rows, 0, 1, &size);
	enum result result = seal_open(vault->keys, &place, blob, size, out, &error);
	free(blob);
	PQclear(rows);
	return result;
}

static void key_opens_in_its_own_row_alone(void **state)
{
	struct pg *acme = database_connect(state, "postern_acme");
	struct pg *edge = database_connect(state, "postern_edge");
	struct vault vault;
	struct buf key;
	struct buf out;
	struct error error;
	vault_open(&vault);
	buf_init(&key, 100);
	buf_init(&out, 4096);
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	assert_int_equal(certificate_key_export(pkey, &key, &error), R_OK);
	store(acme, &vault, "a.example.com", 1, &key);
	store(acme, &vault, "b.example.com", 1, &key);
	assert_int_equal(open_row(edge, &vault, "a.example.com", &out), R_OK);
	assert_int_equal(buf_size(&out), buf_size(&key));
	assert_memory_equal(buf_bytes(&out), buf_bytes(&key), buf_size(&key));
	database_run(acme,
	    "UPDATE certificates SET key_sealed = (SELECT key_sealed FROM certificates WHERE name ="
	    " 'b.example.com') WHERE name = 'a.example.com'");
	assert_int_equal(open_row(edge, &vault, "a.example.com", &out), R_INVALID);
	assert_int_equal(open_row(edge, &vault, "b.example.com", &out), R_OK);
	database_run(acme, "UPDATE certificates SET version = 2 WHERE name = 'b.example.com'");
	assert_int_equal(open_row(edge, &vault, "b.example.com", &out), R_INVALID);
	buf_wipe(&out);
	buf_wipe(&key);
	EVP_PKEY_free(pkey);
	vault_close(&vault);
}

static void key_does_not_appear_in_its_row(void **state)
{
	struct pg *acme = database_connect(state, "postern_acme");
	struct vault vault;
	struct buf key;
	char hex[65];
	struct error error;
	vault_open(&vault);
	buf_init(&key, 100);
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	assert_int_equal(certificate_key_export(pkey, &key, &error), R_OK);
	for (size_t i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)buf_bytes(&key)[i]);
	store(acme, &vault, "a.example.com", 1, &key);
	assert_string_equal(
	    database_value(acme, "SELECT position($1 in certificates::text) FROM certificates", hex), "0");
	buf_wipe(&key);
	EVP_PKEY_free(pkey);
	vault_close(&vault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(key_opens_in_its_own_row_alone),
	    database_test(key_does_not_appear_in_its_row),
	};
	return cmocka_run_group_tests_name("sealed_rows", tests, NULL, NULL);
}
