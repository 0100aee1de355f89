#include "acme/account.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acme/crash_point.h"
#include "acme/job.h"
#include "acme/sealed_key.h"
#include "common/clock.h"
#include "common/condition.h"
#include "common/lease.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/process.h"

enum { LOOK_AGAIN_MS = 200, AWAY_MIN_MS = 1000, AWAY_MAX_MS = 60 * 1000 };

struct account {
	const struct ca *ca;
	const struct seal_keys *keys;
	const char *contact;
	int64_t lease_ms;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_known;
	bool is_sought; /* one thread is at it */
	struct account_view view;
	int refusals;        /* in a row */
	int64_t retry_at_ms; /* monotonic; until then `failure` is everybody's answer */
	struct acme_failure failure;
};

/* One attempt to find or make the account. */
struct search {
	struct account *account;
	struct ca_session *session;
	struct pg *pg;
	const char *directory;
	struct lease lease; /* on the row, while registering */
	struct account_view found;
	struct acme_failure *failure;
	struct error *error;
};

struct account *account_new(
    const struct ca *ca, const struct seal_keys *keys, const char *contact, int64_t lease_ms)
{
	struct account *account = mem_alloc(sizeof *account);
	condition_init(&account->changed);
	pthread_mutex_init(&account->lock, NULL);
	account->ca = ca;
	account->keys = keys;
	account->contact = contact;
	account->lease_ms = lease_ms;
	return account;
}

void account_free(struct account *account)
{
	if (!account)
		return;
	account_view_fini(&account->view);
	pthread_cond_destroy(&account->changed);
	pthread_mutex_destroy(&account->lock);
	free(account);
}

bool account_is_known(struct account *account)
{
	pthread_mutex_lock(&account->lock);
	bool known = account->is_known;
	pthread_mutex_unlock(&account->lock);
	return known;
}

void account_view_fini(struct account_view *view)
{
	EVP_PKEY_free(view->key);
	view->key = NULL;
}

static void copy_view(struct account_view *out, const struct account_view *from)
{
	*out = *from;
	EVP_PKEY_up_ref(out->key);
}

/* A statement that the server refused is a failure to be told; a database that is away is not. */
static enum result judge_query(struct search *search, enum result result)
{
	if (result == R_ERROR)
		acme_failure_set(search->failure, CAUSE_DATABASE, "%s", search->error->text);
	return result;
}

static enum result open_key(struct search *search, const unsigned char *sealed, size_t size)
{
	const struct seal_place place = {.kind = "account_key", .name = search->directory, .version = 1};
	struct error error = {0};
	enum result result =
	    sealed_key_open(search->account->keys, &place, sealed, size, &search->found.key, &error);
	if (result == R_OK)
		result = jws_thumbprint(search->found.thumbprint, search->found.key, &error);
	if (result == R_OK)
		return R_OK;
	acme_failure_set(
	    search->failure, CAUSE_INTERNAL, "the stored account key cannot be used: %s", error.text);
	return R_ERROR;
}

static enum result persist_key(struct search *search, const struct buf *sealed)
{
	PGresult *rows = NULL;
	enum result result = pg_run(search->pg, JOB_QUERY_MS, &rows, search->error,
	    "UPDATE ca_accounts SET key_sealed = $3 WHERE directory = $1 AND fence = $2"
	    " AND lease_until > clock_timestamp() AND key_sealed IS NULL",
	    pg_text(search->directory), pg_int(search->lease.fence),
	    pg_bytea(buf_bytes(sealed), buf_size(sealed)));
	result = judge_query(search, result);
	if (result == R_OK && strcmp(PQcmdTuples(rows), "1") != 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static enum result make_key(struct search *search)
{
	const struct seal_place place = {.kind = "account_key", .name = search->directory, .version = 1};
	struct buf sealed;
	struct error error = {0};
	buf_init(&sealed, SEALED_KEY_MAX);
	search->found.key = jws_key_new();
	enum result result =
	    sealed_key_make(search->account->keys, &place, search->found.key, &sealed, &error);
	if (result == R_OK)
		result = jws_thumbprint(search->found.thumbprint, search->found.key, &error);
	if (result == R_OK)
		result = persist_key(search, &sealed);
	else {
		acme_failure_set(
		    search->failure, CAUSE_INTERNAL, "cannot seal the account key: %s", error.text);
		result = R_ERROR;
	}
	buf_fini(&sealed);
	return result;
}

static enum result may_register(void *arg)
{
	struct search *search = arg;
	return judge_query(search, lease_check(&search->lease, search->pg, search->error));
}

/* RFC 8555 section 7.3: 201 for a new account, 200 for the one that this key already has. */
static enum result post_account(struct search *search)
{
	struct acme_directory directory;
	if (ca_directory(search->session, &directory, search->failure) != R_OK)
		return R_ERROR;
	char payload[512] = "{\"termsOfServiceAgreed\":true}";
	const char *contact = search->account->contact;
	if (contact)
		snprintf(payload, sizeof payload, "{\"termsOfServiceAgreed\":true,\"contact\":[\"%s%s\"]}",
		    strncmp(contact, "mailto:", 7) == 0 ? "" : "mailto:", contact);

	struct acme_response response;
	acme_response_init(&response);
	const struct ca_guard guard = {.may_post = may_register, .arg = search};
	const struct ca_call call = {.kind = CA_NEW_ACCOUNT,
	    .url = directory.new_account,
	    .payload = payload,
	    .key = search->found.key,
	    .guard = &guard};
	enum result result = ca_post(search->session, &call, &response, search->failure);
	if (result == R_OK && response.location[0] == '\0') {
		acme_failure_set(search->failure, CAUSE_CA, "newAccount came without the account's URL");
		result = R_ERROR;
	}
	if (result == R_OK)
		snprintf(search->found.url, sizeof search->found.url, "%s", response.location);
	acme_response_fini(&response);
	return result;
}

static enum result persist_url(struct search *search)
{
	PGresult *rows = NULL;
	enum result result = pg_run(search->pg, JOB_QUERY_MS, &rows, search->error,
	    "UPDATE ca_accounts SET account_url = $3, contact = $4"
	    " WHERE directory = $1 AND fence = $2 AND lease_until > clock_timestamp()",
	    pg_text(search->directory), pg_int(search->lease.fence), pg_text(search->found.url),
	    pg_text(search->account->contact));
	result = judge_query(search, result);
	if (result == R_OK && strcmp(PQcmdTuples(rows), "1") != 0)
		result = R_LOST;
	PQclear(rows);
	return result;
}

static enum result register_account(struct search *search)
{
	enum result result = search->found.key ? R_OK : make_key(search);
	if (result == R_OK) {
		crash_point("account-key");
		result = post_account(search);
	}
	if (result == R_OK)
		result = persist_url(search);
	if (result == R_OK)
		log_info("account registered at the CA", log_str("directory", search->directory),
		    log_str("account", search->found.url));
	if (result != R_LOST)
		lease_release(&search->lease, search->pg, NULL);
	return result;
}

/* R_OK: found complete. R_NONE: there is none yet; where a key is stored, it is opened. */
static enum result load(struct search *search)
{
	PGresult *rows = NULL;
	size_t size = 0;
	unsigned char *sealed = NULL;
	account_view_fini(&search->found);
	enum result result = pg_run(search->pg, JOB_QUERY_MS, &rows, search->error,
	    "SELECT key_sealed, account_url FROM ca_accounts WHERE directory = $1",
	    pg_text(search->directory));
	result = judge_query(search, result);
	if (result != R_OK)
		goto out;
	result = R_NONE;
	if (PQntuples(rows) == 0)
		goto out;
	const char *url = pg_get(rows, 0, 1);
	sealed = pg_get_bytes(rows, 0, 0, &size);
	if (!sealed)
		goto out;
	enum result opened = open_key(search, sealed, size);
	if (opened != R_OK)
		result = opened;
	else if (acme_url_is_safe(url)) {
		snprintf(search->found.url, sizeof search->found.url, "%s", url);
		result = R_OK;
	}
out:
	free(sealed);
	PQclear(rows);
	return result;
}

static enum result find_or_register(struct search *search, int64_t deadline_ms)
{
	while (clock_monotonic_ms() < deadline_ms) {
		enum result result = load(search);
		if (result != R_NONE)
			return result;
		result = judge_query(
		    search, lease_acquire(&search->lease, search->pg, &lease_ca_accounts, search->directory,
				process_id(), (int)search->account->lease_ms, search->error));
		/* Its last owner may have got further between our look and our lease. */
		if (result == R_OK)
			result = load(search);
		if (result == R_NONE)
			result = register_account(search);
		if (result != R_AGAIN && result != R_LOST)
			return result;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_MS * 1000000L}, NULL);
	}
	acme_failure_set(search->failure, CAUSE_CA, "another instance is still registering the account");
	return R_ERROR;
}

/* Everything waits for the account, and one look is cheap: a CA that cannot be reached is tried after 1, 2, 4
 * … s, one in trouble by its ladder, both at most every minute. */
static int64_t delay_ms(const struct acme_failure *failure, int refusals, uint32_t random)
{
	int64_t delay = acme_failure_delay_ms(failure, refusals, random);
	if (failure->cause == CAUSE_NETWORK)
		delay = AWAY_MIN_MS << (refusals < 8 ? refusals - 1 : 7);
	bool is_away = failure->cause == CAUSE_NETWORK || failure->cause == CAUSE_CA;
	return is_away && failure->retry_after == 0 && delay > AWAY_MAX_MS ? AWAY_MAX_MS : delay;
}

/* With the lock held: keeps what was found, or why not, for everybody. */
static void settle_locked(struct account *account, struct search *search, enum result result)
{
	account->is_sought = false;
	if (result == R_OK) {
		account->view = search->found;
		search->found.key = NULL;
		account->is_known = true;
		account->refusals = 0;
	} else if (result == R_ERROR) {
		uint32_t random = 0;
		process_random(&random, sizeof random);
		/* A person has to act, but not name by name: the fleet tries again with the ladder of the CA.
		 */
		search->failure->permanent = false;
		if (search->failure->cause == CAUSE_REJECTED)
			search->failure->cause = CAUSE_CA;
		account->failure = *search->failure;
		account->retry_at_ms =
		    clock_monotonic_ms() + delay_ms(search->failure, ++account->refusals, random);
		log_warn("no account at the CA", log_str("directory", search->directory),
		    log_str("error", search->failure->detail));
	}
	pthread_cond_broadcast(&account->changed);
}

/* With the lock held: R_OK known, R_ERROR not now, R_NONE: the caller is to seek it. */
static enum result await_locked(struct account *account, int64_t deadline_ms, struct acme_failure *failure)
{
	bool in_time = true;
	while (!account->is_known && account->is_sought && in_time)
		in_time = condition_wait_until(&account->changed, &account->lock, deadline_ms);
	if (account->is_known)
		return R_OK;
	if (account->is_sought) {
		acme_failure_set(failure, CAUSE_CA, "the account is still being registered");
		return R_ERROR;
	}
	if (clock_monotonic_ms() < account->retry_at_ms) {
		*failure = account->failure;
		return R_ERROR;
	}
	account->is_sought = true;
	return R_NONE;
}

enum result account_get(struct account *account, struct ca_session *session, struct pg *pg,
    struct account_view *out, struct acme_failure *failure, struct error *error)
{
	int64_t deadline_ms = clock_monotonic_ms() + ACCOUNT_WAIT_MS;
	struct search search = {.account = account,
	    .session = session,
	    .pg = pg,
	    .directory = ca_directory_url(account->ca),
	    .failure = failure,
	    .error = error};
	*out = (struct account_view){.key = NULL};

	pthread_mutex_lock(&account->lock);
	enum result result = await_locked(account, deadline_ms, failure);
	if (result == R_NONE) {
		pthread_mutex_unlock(&account->lock);
		result = find_or_register(&search, deadline_ms);
		pthread_mutex_lock(&account->lock);
		settle_locked(account, &search, result);
	}
	if (result == R_OK)
		copy_view(out, &account->view);
	pthread_mutex_unlock(&account->lock);
	account_view_fini(&search.found);
	return result;
}

enum result account_forget(struct account *account, struct pg *pg, const char *url, struct error *error)
{
	pthread_mutex_lock(&account->lock);
	if (account->is_known && strcmp(account->view.url, url) == 0) {
		account->is_known = false;
		account_view_fini(&account->view);
	}
	pthread_mutex_unlock(&account->lock);
	return pg_run(pg, JOB_QUERY_MS, NULL, error,
	    "UPDATE ca_accounts SET account_url = NULL WHERE directory = $1 AND account_url = $2",
	    pg_text(ca_directory_url(account->ca)), pg_text(url));
}
