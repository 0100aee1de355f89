#include "acme/account/account_row.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/ca/jws.h"
#include "acme/queue/job.h"
#include "acme/sealed_key.h"
#include "common/base/process.h"

#define OURS " WHERE directory = $1 AND fence = $2 AND lease_until > clock_timestamp()"

/* A statement that the server refused is a failure to be told; a database that is away is not. */
static enum result judge_query(struct account_db *db, enum result result)
{
	if (result == R_ERROR)
		acme_failure_set(db->failure, CAUSE_DATABASE, "%s", db->error->text);
	return result;
}

static enum result update(struct account_db *db, const char *sql, const struct pg_param *extra, int count)
{
	struct pg_param params[4] = {pg_text(db->directory), pg_int(db->lease.fence)};
	for (int i = 0; i < count; i++)
		params[2 + i] = extra[i];
	PGresult *rows = NULL;
	enum result result =
	    judge_query(db, pg_query(db->pg, JOB_QUERY_MS, &rows, db->error, sql, params, 2 + count));
	if (result == R_OK && strcmp(PQcmdTuples(rows), "1") != 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static enum result open_key(
    struct account_db *db, const PGresult *rows, int column, int64_t version, EVP_PKEY **out)
{
	const struct seal_place place = {.kind = "account_key", .name = db->directory, .version = version};
	struct error error = {0};
	size_t size = 0;
	unsigned char *sealed = pg_get_bytes(rows, 0, column, &size);
	enum result result = sealed ? sealed_key_open(db->keys, &place, sealed, size, out, &error) : R_OK;
	free(sealed);
	if (result == R_OK)
		return R_OK;
	acme_failure_set(
	    db->failure, CAUSE_INTERNAL, "the stored account key cannot be used: %s", error.text);
	return R_ERROR;
}

enum result account_row_load(struct account_db *db, struct account_row *out)
{
	PGresult *rows = NULL;
	*out = (struct account_row){.key = NULL};
	enum result result =
	    judge_query(db, pg_run(db->pg, JOB_QUERY_MS, &rows, db->error,
				"SELECT key_sealed, key_next_sealed, key_version, account_url, contact,"
				" status = 'deactivated' FROM ca_accounts WHERE directory = $1",
				pg_text(db->directory)));
	if (result == R_OK && PQntuples(rows) == 0)
		result = R_NONE;
	if (result != R_OK)
		goto out;
	const char *url = pg_get(rows, 0, 3);
	const char *contact = pg_get(rows, 0, 4);
	out->key_version = pg_get_int(rows, 0, 2);
	out->is_deactivated = pg_get_bool(rows, 0, 5);
	snprintf(out->url, sizeof out->url, "%s", acme_url_is_safe(url) ? url : "");
	snprintf(out->contact, sizeof out->contact, "%s", contact ? contact : "");
	result = open_key(db, rows, 0, out->key_version, &out->key);
	if (result == R_OK)
		result = open_key(db, rows, 1, out->key_version + 1, &out->next);
out:
	if (result != R_OK)
		account_row_fini(out);
	PQclear(rows);
	return result;
}

void account_row_fini(struct account_row *row)
{
	EVP_PKEY_free(row->key);
	EVP_PKEY_free(row->next);
	row->key = row->next = NULL;
}

enum result account_row_lease(struct account_db *db, int64_t lease_ms)
{
	return judge_query(db, lease_acquire(&db->lease, db->pg, &lease_ca_accounts, db->directory,
				   process_id(), (int)lease_ms, db->error));
}

void account_row_release(struct account_db *db)
{
	lease_release(&db->lease, db->pg, NULL);
}

enum result account_row_may_post(void *arg)
{
	struct account_db *db = arg;
	return judge_query(db, lease_check(&db->lease, db->pg, db->error));
}

static enum result make(struct account_db *db, int64_t version, const char *sql, EVP_PKEY **out)
{
	const struct seal_place place = {.kind = "account_key", .name = db->directory, .version = version};
	struct error error = {0};
	struct buf sealed;
	buf_init(&sealed, SEALED_KEY_MAX);
	EVP_PKEY *key = jws_key_new();
	enum result result = sealed_key_make(db->keys, &place, key, &sealed, &error);
	if (result != R_OK) {
		acme_failure_set(db->failure, CAUSE_INTERNAL, "cannot seal the account key: %s", error.text);
		result = R_ERROR;
	} else {
		const struct pg_param extra[] = {pg_bytea(buf_bytes(&sealed), buf_size(&sealed))};
		result = update(db, sql, extra, 1);
	}
	if (result == R_OK) {
		*out = key;
		key = NULL;
	}
	EVP_PKEY_free(key);
	buf_fini(&sealed);
	return result;
}

enum result account_row_make_key(struct account_db *db, struct account_row *row)
{
	return make(db, row->key_version,
	    "UPDATE ca_accounts SET key_sealed = $3" OURS " AND key_sealed IS NULL", &row->key);
}

enum result account_row_make_next(struct account_db *db, struct account_row *row)
{
	return make(db, row->key_version + 1,
	    "UPDATE ca_accounts SET key_next_sealed = $3" OURS " AND key_next_sealed IS NULL", &row->next);
}

enum result account_row_switch_key(struct account_db *db)
{
	return update(db,
	    "UPDATE ca_accounts SET key_sealed = key_next_sealed, key_version = key_version + 1,"
	    " key_next_sealed = NULL" OURS " AND key_next_sealed IS NOT NULL",
	    NULL, 0);
}

enum result account_row_drop_next(struct account_db *db)
{
	return update(db, "UPDATE ca_accounts SET key_next_sealed = NULL" OURS, NULL, 0);
}

enum result account_row_set_url(struct account_db *db, const char *url, const char *contact)
{
	const struct pg_param extra[] = {pg_text(url), pg_text(contact)};
	return update(db, "UPDATE ca_accounts SET account_url = $3, contact = $4" OURS, extra, 2);
}

enum result account_row_deactivate(struct account_db *db)
{
	return update(db, "UPDATE ca_accounts SET status = 'deactivated'" OURS, NULL, 0);
}

enum result account_row_renew(struct account_db *db)
{
	return update(db,
	    "UPDATE ca_accounts SET status = 'valid', key_sealed = NULL, key_next_sealed = NULL,"
	    " key_version = key_version + 1, account_url = NULL" OURS,
	    NULL, 0);
}
