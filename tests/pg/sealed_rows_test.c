/* Secrets in the tables: a row's key opens in its row alone, and a dump of the database shows none. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/certificate/certificate.h"
#include "common/cli/rewrap.h"
#include "common/seal/seal.h"
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

static void on_column(void *arg, const char *column, const struct rewrap_count *count)
{
	int64_t *columns = arg;
	(void)column, (void)count;
	*columns += 1;
}

static void put_blob(
    struct pg *pg, const struct vault *vault, const struct seal_place *place, const char *sql)
{
	struct buf blob;
	struct error error;
	buf_init(&blob, 4096);
	assert_int_equal(seal_bytes(vault->keys, place, "secret", 6, &blob, &error), R_OK);
	if (pg_run(pg, 5000, NULL, &error, sql, pg_bytea(buf_bytes(&blob), buf_size(&blob))) != R_OK)
		fail_msg("%s", error.text);
	buf_fini(&blob);
}

/* The value of `sql`, a blob, opens with this vault's key alone. */
static void assert_opens(struct pg *pg, const struct vault *vault, const struct seal_place *place,
    const char *sql, enum result expected)
{
	PGresult *rows = NULL;
	struct error error;
	struct buf out;
	size_t size = 0;
	buf_init(&out, 4096);
	assert_int_equal(pg_query(pg, 5000, &rows, &error, sql, NULL, 0), R_OK);
	unsigned char *blob = pg_get_bytes(rows, 0, 0, &size);
	assert_non_null(blob);
	if (seal_open(vault->keys, place, blob, size, &out, &error) != expected)
		fail_msg("%s: %s", sql, error.text);
	free(blob);
	buf_fini(&out);
	PQclear(rows);
}

/* A vault whose file holds the new key and then the old one. */
static struct vault both(const struct vault *fresh, const struct vault *old)
{
	struct vault vault;
	struct error error;
	char command[256];
	vault_open(&vault);
	seal_keys_free(vault.keys);
	snprintf(command, sizeof command, "cat %s %s > %s", fresh->path, old->path, vault.path);
	assert_int_equal(system(command), 0);
	assert_int_equal(seal_keys_load_secret(&vault.keys, vault.path, &error), R_OK);
	return vault;
}

static const struct sealed_value {
	struct seal_place place;
	const char *put;
	const char *get;
} sealed_values[] = {
    {{"certificate_key", "a.test", 3},
	"INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, directory, "
	"not_before,"
	" not_after, renew_at) VALUES ('a.test', 3, '', $1, 'old', '', '', '', now(), now(), now())",
	"SELECT key_sealed FROM certificates WHERE name = 'a.test'"},
    {{"issuance_key", "b.test", 5},
	"INSERT INTO issuance_jobs (name, state, reason, key_sealed, key_version) VALUES ('b.test', 'queued',"
	" 'first_hit', $1, 5)",
	"SELECT key_sealed FROM issuance_jobs WHERE name = 'b.test'"},
    {{"account_key", "https://ca.test/", 1},
	"INSERT INTO ca_accounts (directory, key_sealed) VALUES ('https://ca.test/', $1)",
	"SELECT key_sealed FROM ca_accounts"},
    {{"account_key", "https://ca.test/", 2}, "UPDATE ca_accounts SET key_next_sealed = $1",
	"SELECT key_next_sealed FROM ca_accounts"},
    {{"certificate_key", "c.test", 9},
	"INSERT INTO ca_tasks (kind, directory, name, version, key_sealed) VALUES ('revoke', '', 'c.test', "
	"9, $1)",
	"SELECT key_sealed FROM ca_tasks"},
    {{"webhook_secret", "7", 2},
	"INSERT INTO webhooks (id, url, secret_sealed, secret_version, created_by) VALUES (7, '', $1, 2, '')",
	"SELECT secret_sealed FROM webhooks"},
    {{"webhook_secret", "7", 1}, "UPDATE webhooks SET former_sealed = $1, former_until = now()",
	"SELECT former_sealed FROM webhooks"},
    {{"ticket_key", "ticket_keys", 4}, "INSERT INTO ticket_keys (generation, key_sealed) VALUES (4, $1)",
	"SELECT key_sealed FROM ticket_keys"},
};

static void every_sealed_column_is_sealed_anew_for_the_first_key(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct vault old, fresh;
	struct rewrap_count sum;
	struct error error;
	int64_t columns = 0;
	size_t count = sizeof sealed_values / sizeof *sealed_values;
	vault_open(&old);
	vault_open(&fresh);
	struct vault two = both(&fresh, &old);
	for (size_t i = 0; i < count; i++)
		put_blob(pg, &old, &sealed_values[i].place, sealed_values[i].put);
	assert_int_equal(rewrap_all(pg, two.keys, on_column, &columns, &sum, &error), R_OK);
	assert_int_equal(sum.wrapped, count);
	assert_int_equal(sum.closed, 0);
	for (size_t i = 0; i < count; i++) {
		assert_opens(pg, &fresh, &sealed_values[i].place, sealed_values[i].get, R_OK);
		assert_opens(pg, &old, &sealed_values[i].place, sealed_values[i].get, R_INVALID);
	}
	assert_string_equal(database_value(pg, "SELECT key_id FROM certificates"), seal_keys_id(fresh.keys));
	/* Every column of the database that holds sealed bytes is one of them. */
	char expected[24];
	snprintf(expected, sizeof expected, "%d", (int)columns);
	assert_string_equal(
	    database_value(pg, "SELECT count(*) FROM information_schema.columns WHERE table_schema ="
			       " 'public' AND column_name LIKE '%sealed%' AND data_type = 'bytea'"),
	    expected);
	/* Again: nothing is left to do. */
	assert_int_equal(rewrap_all(pg, two.keys, on_column, &columns, &sum, &error), R_OK);
	assert_int_equal(sum.wrapped, 0);
	vault_close(&two);
	vault_close(&fresh);
	vault_close(&old);
}

static void thousands_are_sealed_anew_and_what_cannot_be_opened_is_told(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct vault old, fresh;
	struct rewrap_count sum;
	struct error error;
	int64_t columns = 0;
	vault_open(&old);
	vault_open(&fresh);
	struct vault two = both(&fresh, &old);
	put_blob(pg, &old, &sealed_values[0].place, sealed_values[0].put);
	database_run(pg,
	    "INSERT INTO certificates SELECT 'n' || i || '.test', 1, '', key_sealed, 'old', '', '', '',"
	    " now(), now(), now() FROM certificates, generate_series(1, 2500) i");
	assert_int_equal(rewrap_all(pg, two.keys, on_column, &columns, &sum, &error), R_OK);
	assert_int_equal(sum.seen, 2501);
	assert_int_equal(sum.wrapped, 1);
	assert_int_equal(sum.closed, 2500);
	vault_close(&two);
	vault_close(&fresh);
	vault_close(&old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(key_opens_in_its_own_row_alone),
	    database_test(key_does_not_appear_in_its_row),
	    database_test(every_sealed_column_is_sealed_anew_for_the_first_key),
	    database_test(thousands_are_sealed_anew_and_what_cannot_be_opened_is_told),
	};
	return cmocka_run_group_tests_name("sealed_rows", tests, NULL, NULL);
}
