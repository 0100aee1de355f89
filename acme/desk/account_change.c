#include "acme/desk/account_change.h"

#include <string.h>

#include "acme/account/account_request.h"
#include "acme/crash_point.h"
#include "common/log/log.h"

static enum result fail(struct account_change *change, const char *sentence)
{
	acme_failure_set(change->db.failure, CAUSE_REJECTED, "%s", sentence);
	return R_ERROR;
}

static bool is_unknown_account(const struct acme_failure *failure)
{
	return strcmp(failure->type, "accountDoesNotExist") == 0;
}

/* R_OK: the CA knows this account by this key. R_NONE: it does not. R_ERROR: it did not say. */
static enum result probe(struct account_change *change, EVP_PKEY *key, const char *account_url)
{
	const struct ca_guard guard = {.may_post = account_row_may_post, .arg = &change->db};
	char url[ACME_URL_SIZE];
	enum result result =
	    account_request_new(change->session, change->ca, key, true, &guard, url, change->db.failure);
	if (result == R_OK)
		return strcmp(url, account_url) == 0 ? R_OK : R_NONE;
	return result == R_ERROR && is_unknown_account(change->db.failure) ? R_NONE : result;
}

static enum result switch_key(struct account_change *change)
{
	enum result result = account_row_switch_key(&change->db);
	crash_point("key-switched");
	if (result == R_OK)
		log_info("the account has a new key", log_str("directory", change->db.directory));
	return result;
}

/* Which of both keys is the account's? R_OK: the next one, and the row says so now. R_NONE: still the old
 * one. */
static enum result settle(struct account_change *change, const struct account_row *row)
{
	enum result result = probe(change, row->next, row->url);
	if (result == R_OK)
		return switch_key(change);
	if (result != R_NONE)
		return result;
	result = probe(change, row->key, row->url);
	if (result == R_OK)
		return R_NONE;
	return result == R_NONE ? fail(change, "the CA knows the account by neither of its two keys")
				: result;
}

/* The CA has read the request and changed nothing. 409: an account has the next key already, maybe this one.
 */
static bool is_refused(const struct acme_failure *failure)
{
	return failure->status >= 400 && failure->status < 500 && failure->status != 429;
}

static enum result change_key(struct account_change *change, const struct account_row *row)
{
	const struct ca_guard guard = {.may_post = account_row_may_post, .arg = &change->db};
	crash_point("key-staged");
	enum result result = account_request_key_change(
	    change->session, row->key, row->next, row->url, &guard, change->db.failure);
	if (result == R_OK)
		return switch_key(change);
	if (result != R_ERROR)
		return result;
	struct acme_failure refusal = *change->db.failure;
	if (!is_refused(&refusal) || refusal.status == 409) {
		result = settle(change, row);
		if (result != R_NONE)
			return result;
	}
	/* A request whose answer was lost may still arrive: its key stays beside the other, and is tried
	 * again. One that was refused is of no use any more. */
	result = is_refused(&refusal) ? account_row_drop_next(&change->db) : R_OK;
	*change->db.failure = refusal;
	return result == R_OK ? R_ERROR : result;
}

static enum result check_live(struct account_change *change, const struct account_row *row)
{
	if (row->is_deactivated)
		return fail(change, "the account was deactivated");
	return row->key && row->url[0] != '\0' ? R_OK : fail(change, "there is no account at this CA yet");
}

/* By an owner of this task that died. */
static bool is_done(const struct account_change *change, const struct account_row *row)
{
	return row->key_version > change->task->version;
}

static enum result roll(struct account_change *change, struct account_row *row)
{
	if (is_done(change, row))
		return R_OK;
	enum result result = check_live(change, row);
	if (result == R_OK && row->next) {
		/* Somebody began and did not come back. */
		result = settle(change, row);
		if (result != R_NONE)
			return result;
		result = R_OK;
	} else if (result == R_OK)
		result = account_row_make_next(&change->db, row);
	return result == R_OK ? change_key(change, row) : result;
}

static enum result end(struct account_change *change, struct account_row *row)
{
	const struct ca_guard guard = {.may_post = account_row_may_post, .arg = &change->db};
	if (row->is_deactivated && change->task->attempts > 1)
		return R_OK;
	enum result result = check_live(change, row);
	if (result == R_OK)
		result = account_request_deactivate(
		    change->session, row->key, row->url, &guard, change->db.failure);
	/* Ended already, with an answer that was lost: the CA says unauthorized to all that it signs. */
	if (result == R_ERROR && change->db.failure->status == 403 &&
	    strcmp(change->db.failure->type, "unauthorized") == 0)
		result = R_OK;
	if (result == R_OK)
		result = account_row_deactivate(&change->db);
	crash_point("account-ended");
	return result;
}

static enum result begin(struct account_change *change, struct account_row *row)
{
	if (is_done(change, row))
		return R_OK;
	if (!row->is_deactivated)
		return fail(change, "the account is in use: deactivate it first");
	enum result result = account_row_renew(&change->db);
	crash_point("account-renewed");
	return result;
}

static enum result with_row(
    struct account_change *change, enum result (*act)(struct account_change *change, struct account_row *row))
{
	struct account_row row = {.key = NULL};
	enum result result = account_row_lease(&change->db, change->lease_ms);
	if (result != R_OK)
		return result;
	result = account_row_load(&change->db, &row);
	if (result == R_OK)
		result = ca_task_begin(change->db.pg, change->task, row.key_version, change->db.error);
	if (result == R_OK)
		result = act(change, &row);
	if (result != R_LOST)
		account_row_release(&change->db);
	account_row_fini(&row);
	return result;
}

enum result account_roll_key(struct account_change *change)
{
	return with_row(change, roll);
}

enum result account_deactivate(struct account_change *change)
{
	return with_row(change, end);
}

enum result account_begin_anew(struct account_change *change)
{
	return with_row(change, begin);
}
