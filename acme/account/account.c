#include "acme/account/account.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acme/account/account_request.h"
#include "acme/account/account_row.h"
#include "acme/crash_point.h"
#include "acme/queue/breaker.h"
#include "acme/queue/budget.h"
#include "acme/queue/job.h"
#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/log/log.h"

enum { LOOK_AGAIN_MS = 200, AWAY_MIN_MS = 1000, AWAY_MAX_MS = 60 * 1000, ASKED_MAX_MS = 60 * 60 * 1000 };

struct account {
	const struct ca *ca;
	const struct seal_keys *keys;
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
	struct account_db db;
	struct account_view found;
};

struct account *account_new(const struct ca *ca, const struct seal_keys *keys, int64_t lease_ms)
{
	struct account *account = mem_alloc(sizeof *account);
	condition_init(&account->changed);
	pthread_mutex_init(&account->lock, NULL);
	account->ca = ca;
	account->keys = keys;
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

static enum result take_view(struct search *search, struct account_row *row)
{
	struct error error = {0};
	if (jws_thumbprint(search->found.thumbprint, row->key, &error) != R_OK) {
		acme_failure_set(search->db.failure, CAUSE_INTERNAL, "%s", error.text);
		return R_ERROR;
	}
	search->found.key = row->key;
	row->key = NULL;
	search->found.key_version = row->key_version;
	snprintf(search->found.url, sizeof search->found.url, "%s", row->url);
	return R_OK;
}

/* The row says that there is none any more. */
static enum result refuse_deactivated(struct search *search)
{
	acme_failure_set(search->db.failure, CAUSE_REJECTED,
	    "the account at %s was deactivated; `postern acme register` has another one made",
	    search->db.directory);
	return R_ERROR;
}

/* Nothing was sent, and is not to be. */
static enum result not_now(const struct account_db *db, enum acme_cause cause, const struct job_wait *wait)
{
	acme_failure_set(db->failure, cause, "%s", wait->text);
	db->failure->retry_after = wait->ms / 1000 + 1;
	return R_ERROR;
}

/* What the CA said to others, or to a process that is gone, holds for this one: leave it alone until then; so
 * many accounts and no more. A new key is a new account, which CAs count; the same key sent again gives the
 * same account again. */
static enum result may_register(const struct search *search, bool is_new)
{
	struct job_wait wait;
	const struct account_db *db = &search->db;
	enum result result = breaker_look(db->pg, db->directory, &wait, db->error);
	if (result == R_LIMIT)
		return not_now(db, CAUSE_CA, &wait);
	if (result == R_OK)
		result = budget_take_account(db->pg, &ca_config(search->account->ca)->ceilings, db->directory,
		    is_new, &wait, db->error);
	if (result == R_LIMIT)
		return not_now(db, CAUSE_RATE_LIMITED, &wait);
	if (result == R_ERROR)
		acme_failure_set(db->failure, CAUSE_DATABASE, "%s", db->error->text);
	return result;
}

/* The fleet is told of a refusal: it is no job's. Errors are only logged. */
static void tell_refusal(const struct search *search)
{
	const struct account_db *db = &search->db;
	struct error error = {0};
	breaker_report(db->pg, db->directory, "", db->failure);
	if (budget_learn_account(db->pg, db->directory, db->failure, &error) != R_OK)
		log_warn("the ledger is not told of a limit on accounts", log_str("directory", db->directory),
		    log_str("error", error.text));
}

/* With the row's lease. */
static enum result register_account(struct search *search, struct account_row *row)
{
	const struct ca *ca = search->account->ca;
	const struct ca_guard guard = {.may_post = account_row_may_post, .arg = &search->db};
	enum result result = may_register(search, !row->key);
	if (result == R_OK && !row->key)
		result = account_row_make_key(&search->db, row);
	if (result != R_OK)
		return result;
	crash_point("account-key");
	result =
	    account_request_new(search->session, ca, row->key, false, &guard, row->url, search->db.failure);
	if (result == R_ERROR && search->db.failure->held_ms == 0)
		tell_refusal(search);
	if (result == R_OK)
		result = account_row_set_url(&search->db, row->url, ca_config(ca)->contact);
	if (result == R_OK)
		log_info("account registered at the CA", log_str("directory", search->db.directory),
		    log_str("account", row->url));
	return result;
}

/* Best effort: an account with an old address is an account. */
static void update_contact(struct search *search, const struct account_row *row)
{
	const struct ca *ca = search->account->ca;
	const struct ca_guard guard = {.may_post = account_row_may_post, .arg = &search->db};
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	const char *contact = ca_config(ca)->contact;
	if (strcmp(row->contact, contact ? contact : "") == 0)
		return;
	enum result result = account_row_lease(&search->db, search->account->lease_ms);
	if (result != R_OK)
		return;
	result = account_request_contact(search->session, ca, row->key, row->url, &guard, &failure);
	if (result == R_OK)
		result = account_row_set_url(&search->db, row->url, contact);
	account_row_release(&search->db);
	if (result == R_OK)
		log_info("the account's contact was changed", log_str("directory", search->db.directory));
	else
		log_warn("the account's contact could not be changed",
		    log_str("directory", search->db.directory), log_str("error", failure.detail));
}

/* R_OK: found complete. R_NONE: there is none yet. */
static enum result find(struct search *search)
{
	struct account_row row;
	enum result result = account_row_load(&search->db, &row);
	if (result != R_OK)
		return result;
	if (row.is_deactivated)
		result = refuse_deactivated(search);
	else if (!row.key || row.url[0] == '\0')
		result = R_NONE;
	else {
		update_contact(search, &row);
		result = take_view(search, &row);
	}
	account_row_fini(&row);
	return result;
}

/* R_AGAIN, R_LOST: another instance is at it. */
static enum result make(struct search *search)
{
	struct account_row row = {.key = NULL};
	enum result result = account_row_lease(&search->db, search->account->lease_ms);
	if (result != R_OK)
		return result;
	/* Its last owner may have got further between our look and our lease. */
	result = account_row_load(&search->db, &row);
	if (result == R_OK && row.is_deactivated)
		result = refuse_deactivated(search);
	else if (result == R_OK && (!row.key || row.url[0] == '\0'))
		result = register_account(search, &row);
	if (result == R_OK)
		result = take_view(search, &row);
	if (result != R_LOST)
		account_row_release(&search->db);
	account_row_fini(&row);
	return result;
}

static enum result find_or_register(struct search *search, int64_t deadline_ms)
{
	while (clock_monotonic_ms() < deadline_ms) {
		enum result result = find(search);
		if (result == R_NONE)
			result = make(search);
		if (result != R_AGAIN && result != R_LOST)
			return result;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_MS * 1000000L}, NULL);
	}
	acme_failure_set(search->db.failure, CAUSE_CA, "another instance is still registering the account");
	return R_ERROR;
}

/* Everything waits for the account, and one look is cheap: a CA that cannot be reached is tried after 1, 2, 4
 * … s, one in trouble by its ladder, both at most every minute. What the CA asked for is kept to the second:
 * the one that tries after the breaker's pause is not to be turned away here. */
static int64_t delay_ms(const struct acme_failure *failure, int refusals, uint32_t random)
{
	bool is_away = failure->cause == CAUSE_NETWORK || failure->cause == CAUSE_CA;
	if (failure->retry_after > 0) {
		int64_t asked = failure->retry_after * 1000;
		return is_away && asked > ASKED_MAX_MS ? ASKED_MAX_MS : asked;
	}
	int64_t delay = acme_failure_delay_ms(failure, refusals, random);
	if (failure->cause == CAUSE_NETWORK)
		delay = AWAY_MIN_MS << (refusals < 8 ? refusals - 1 : 7);
	return is_away && delay > AWAY_MAX_MS ? AWAY_MAX_MS : delay;
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
	} else if (result == R_ERROR && search->db.failure->held_ms == 0) {
		uint32_t random = 0;
		process_random(&random, sizeof random);
		/* A person has to act, but not name by name: the fleet tries again with the ladder of the CA.
		 */
		search->db.failure->permanent = false;
		if (search->db.failure->cause == CAUSE_REJECTED)
			search->db.failure->cause = CAUSE_CA;
		search->db.failure->foreseen = true;
		account->failure = *search->db.failure;
		account->retry_at_ms =
		    clock_monotonic_ms() + delay_ms(search->db.failure, ++account->refusals, random);
		log_warn("no account at the CA", log_str("directory", search->db.directory),
		    log_str("error", search->db.failure->detail));
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

enum result account_is_outdated(struct account *account, struct pg *pg, const struct account_view *view,
    bool *outdated, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT 1 FROM ca_accounts WHERE directory = $1 AND key_version = $2 AND account_url = $3"
	    " AND status = 'valid'",
	    pg_text(ca_directory_url(account->ca)), pg_int(view->key_version), pg_text(view->url));
	*outdated = result == R_OK && PQntuples(rows) == 0;
	PQclear(rows);
	return result;
}

static void drop_view_locked(struct account *account, const struct account_view *view)
{
	if (!account->is_known || account->view.key_version != view->key_version ||
	    strcmp(account->view.url, view->url) != 0)
		return;
	account->is_known = false;
	account_view_fini(&account->view);
}

static enum result get(struct account *account, struct search *search, struct account_view *out)
{
	int64_t deadline_ms = clock_monotonic_ms() + ACCOUNT_WAIT_MS;
	pthread_mutex_lock(&account->lock);
	enum result result = await_locked(account, deadline_ms, search->db.failure);
	if (result == R_NONE) {
		pthread_mutex_unlock(&account->lock);
		result = find_or_register(search, deadline_ms);
		pthread_mutex_lock(&account->lock);
		settle_locked(account, search, result);
	}
	if (result == R_OK)
		copy_view(out, &account->view);
	pthread_mutex_unlock(&account->lock);
	account_view_fini(&search->found);
	return result;
}

enum result account_get(struct account *account, struct ca_session *session, struct pg *pg,
    struct account_view *out, struct acme_failure *failure, struct error *error)
{
	struct search search = {.account = account,
	    .session = session,
	    .db = {.pg = pg,
		.keys = account->keys,
		.directory = ca_directory_url(account->ca),
		.failure = failure,
		.error = error}};
	bool outdated = false;
	*out = (struct account_view){.key = NULL};
	enum result result = get(account, &search, out);
	if (result != R_OK)
		return result;
	result = account_is_outdated(account, pg, out, &outdated, error);
	if (result == R_OK && outdated) {
		pthread_mutex_lock(&account->lock);
		drop_view_locked(account, out);
		pthread_mutex_unlock(&account->lock);
		account_view_fini(out);
		result = get(account, &search, out);
	}
	if (result != R_OK)
		account_view_fini(out);
	if (result == R_ERROR && failure->detail[0] == '\0')
		acme_failure_set(failure, CAUSE_DATABASE, "%s", error->text);
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
