#include "acme/desk/revoke.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "acme/crash_point.h"
#include "acme/queue/job.h"
#include "acme/sealed_key.h"
#include "common/certificate/barred_key.h"
#include "common/log/log.h"

enum { PAYLOAD_MAX = 64 * 1024 };

struct revocation {
	const struct revoke_tools *tools;
	const struct ca_task *task;
	X509 *leaf;
	EVP_PKEY *key; /* the certificate's private key; NULL unless it signs */
};

static enum result judge_query(const struct revocation *revocation, enum result result)
{
	if (result == R_ERROR)
		acme_failure_set(
		    revocation->tools->failure, CAUSE_DATABASE, "%s", revocation->tools->error->text);
	return result;
}

static enum result fail(const struct revocation *revocation, const char *sentence)
{
	acme_failure_set(revocation->tools->failure, CAUSE_INTERNAL, "%s", sentence);
	return R_ERROR;
}

static enum result may_post(void *arg)
{
	const struct revocation *revocation = arg;
	const struct revoke_tools *tools = revocation->tools;
	return judge_query(revocation, ca_task_check(tools->pg, revocation->task, tools->error));
}

static enum result read_leaf(struct revocation *revocation)
{
	const char *pem = revocation->task->chain_pem ? revocation->task->chain_pem : "";
	BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
	revocation->leaf = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	return revocation->leaf ? R_OK : fail(revocation, "the stored chain holds no certificate");
}

static enum result open_key(struct revocation *revocation)
{
	const struct ca_task *task = revocation->task;
	const struct seal_place place = {
	    .kind = "certificate_key", .name = task->name, .version = task->version};
	struct error error = {0};
	if (sealed_key_open(revocation->tools->keys, &place, task->key_sealed, task->key_sealed_size,
		&revocation->key, &error) == R_OK)
		return R_OK;
	return fail(revocation, error.text);
}

/* Whatever the CA will say: the key is known to others. */
static enum result bar_key(struct revocation *revocation)
{
	const struct revoke_tools *tools = revocation->tools;
	if (revocation->task->reason != REASON_KEY_COMPROMISE)
		return R_OK;
	enum result result = may_post(revocation);
	if (result == R_OK)
		result = judge_query(
		    revocation, barred_key_add(tools->pg, X509_get0_pubkey(revocation->leaf), tools->error));
	crash_point("key-barred");
	return result;
}

static enum result post(
    struct revocation *revocation, const struct acme_directory *directory, EVP_PKEY *key, const char *kid)
{
	const struct ca_guard guard = {.may_post = may_post, .arg = revocation};
	struct acme_response response;
	struct buf payload;
	unsigned char *der = NULL;
	int size = i2d_X509(revocation->leaf, &der);
	if (size <= 0)
		return fail(revocation, "the certificate cannot be written");
	buf_init(&payload, PAYLOAD_MAX);
	acme_response_init(&response);
	buf_append_string(&payload, "{\"certificate\":\"");
	base64url_encode(&payload, der, (size_t)size);
	buf_append_format(&payload, "\",\"reason\":%d}", revocation->task->reason);
	const struct ca_call call = {.kind = CA_REVOKE,
	    .url = directory->revoke_cert,
	    .payload = buf_string(&payload),
	    .key = key,
	    .kid = kid,
	    .guard = &guard};
	enum result result =
	    ca_post(revocation->tools->session, &call, &response, revocation->tools->failure);
	if (result == R_ERROR && strcmp(revocation->tools->failure->type, "alreadyRevoked") == 0)
		result = R_OK;
	acme_response_fini(&response);
	buf_fini(&payload);
	OPENSSL_free(der);
	return result;
}

static enum result tell_ca(struct revocation *revocation)
{
	const struct revoke_tools *tools = revocation->tools;
	struct acme_directory directory;
	struct account_view account = {.key = NULL};
	enum result result = ca_directory(tools->session, &directory, tools->failure);
	if (result != R_OK)
		return result;
	if (directory.revoke_cert[0] == '\0')
		return fail(revocation, "the CA offers no revocation");
	if (revocation->key)
		return post(revocation, &directory, revocation->key, NULL);
	result =
	    account_get(tools->account, tools->session, tools->pg, &account, tools->failure, tools->error);
	if (result == R_OK)
		result = post(revocation, &directory, account.key, account.url);
	account_view_fini(&account);
	return result;
}

/* Served until its successor is there; one that shall cease gets none. */
static enum result note(struct revocation *revocation)
{
	const struct revoke_tools *tools = revocation->tools;
	const struct ca_task *task = revocation->task;
	PGresult *rows = NULL;
	enum result result =
	    judge_query(revocation, pg_run(tools->pg, JOB_QUERY_MS, &rows, tools->error,
					"UPDATE certificates SET revoked_at = now(), revoked_reason = $5"
					" WHERE name = $3 AND version = $4 AND " CA_TASK_IS_OURS,
					pg_int(task->id), pg_int(task->fence), pg_text(task->name),
					pg_int(task->version), pg_int(task->reason)));
	bool is_served = result == R_OK && strcmp(PQcmdTuples(rows), "1") == 0;
	PQclear(rows);
	crash_point("revocation-noted");
	if (!is_served || task->reason == REASON_CESSATION)
		return result;
	result = judge_query(revocation, pg_run(tools->pg, JOB_QUERY_MS, NULL, tools->error,
					     "SELECT enqueue_issuance($3, 'repair') WHERE " CA_TASK_IS_OURS,
					     pg_int(task->id), pg_int(task->fence), pg_text(task->name)));
	crash_point("successor-asked-for");
	return result;
}

enum result revoke_certificate(const struct revoke_tools *tools, const struct ca_task *task)
{
	struct revocation revocation = {.tools = tools, .task = task};
	enum result result = read_leaf(&revocation);
	if (result == R_OK && task->by_key)
		result = open_key(&revocation);
	if (result == R_OK)
		result = bar_key(&revocation);
	if (result == R_OK)
		result = tell_ca(&revocation);
	if (result == R_OK) {
		log_info("certificate revoked", log_str("name", task->name),
		    log_int("version", task->version), log_int("reason", task->reason));
		result = note(&revocation);
	}
	X509_free(revocation.leaf);
	EVP_PKEY_free(revocation.key);
	return result;
}
