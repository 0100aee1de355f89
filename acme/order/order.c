#include "acme/order/order.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "acme/ca/jws.h"
#include "acme/crash_point.h"
#include "acme/order/authorize.h"
#include "acme/order/csr.h"
#include "acme/sealed_key.h"
#include "common/base/clock.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/net/hostname.h"

/* Each step function returns R_OK to go on with whatever step the job has reached then. */

enum result order_fail(struct order_run *run, enum acme_cause cause, const char *sentence)
{
	acme_failure_set(run->failure, cause, "%s", sentence);
	return R_ERROR;
}

enum result order_judge_query(struct order_run *run, enum result result)
{
	switch (result) {
	case R_OK:
	case R_LOST: return result;
	case R_DOWN:
	case R_TIMEOUT: return R_DOWN;
	default: return order_fail(run, CAUSE_DATABASE, run->error->text);
	}
}

/* Right before each request: is this process to go on, and is the job still its own? */
static enum result may_post(void *arg)
{
	struct order_run *run = arg;
	if (!run->tools->wait(run->tools->arg, 0))
		return R_AGAIN;
	return order_judge_query(run, job_hold(run->tools->pg, run->job, run->error));
}

/* Looked at when a third of the lease has passed: it is prolonged once half of it is used. */
enum result order_pause(struct order_run *run, int64_t ms)
{
	int64_t third = run->job->lease_ms / 3;
	int64_t part = third < ORDER_POLL_MAX_MS ? third : ORDER_POLL_MAX_MS;
	int64_t begun_us = clock_monotonic_us();
	bool go_on = run->tools->wait(run->tools->arg, (int)(ms < part ? ms : part));
	run->waited_us += clock_monotonic_us() - begun_us;
	if (!go_on)
		return R_AGAIN;
	int64_t now = clock_monotonic_ms();
	if (now - run->held_ms < part)
		return R_OK;
	run->held_ms = now;
	return order_judge_query(run, job_hold(run->tools->pg, run->job, run->error));
}

enum result order_post(struct order_run *run, enum ca_kind kind, const char *url, const char *payload,
    struct acme_response *response)
{
	const struct ca_call call = {.kind = kind,
	    .url = url,
	    .payload = payload,
	    .key = run->account.key,
	    .kid = run->account.url,
	    .name = run->job->name,
	    .guard = &run->guard};
	return ca_post(run->tools->session, &call, response, run->failure);
}

enum result order_take(struct order_run *run, const struct acme_response *response)
{
	struct error error = {0};
	enum acme_status before = run->order.status;
	enum result result =
	    acme_parse_order(&run->order, buf_bytes(&response->body), buf_size(&response->body), &error);
	run->has_order = result == R_OK;
	if (result != R_OK)
		return order_fail(run, CAUSE_CA, error.text);
	run->retry_after = response->retry_after;
	run->order_from_ms =
	    response->retry_after > 0 ? clock_monotonic_ms() + response->retry_after * 1000 : 0;
	if (run->order.status != before)
		run->poll_ms = ORDER_POLL_MIN_MS;
	return R_OK;
}

/* The order is of no use any more: another one, once. */
enum result order_start_over(struct order_run *run, const char *why)
{
	if (++run->restarts > 1)
		return order_fail(run, CAUSE_CA, why);
	log_info("order given up, a new one follows", log_str("name", run->job->name), log_str("why", why));
	run->has_order = false;
	run->was_placed = false;
	run->deadline_ms = 0;
	order_refund_unused(run->tools->pg, run->job);
	return order_judge_query(run, job_forget_order(run->tools->pg, run->job, run->error));
}

/* A CA whose servers disagree says 404 of what another of them made a moment ago, and a second certificate
 * for the same name counts against a weekly limit. So what this run made is not given up within it, nor what
 * the first tries after it find missing; what a process left that died is another matter. */
static bool is_worth_another_look(const struct order_run *run)
{
	return run->was_placed || (run->job->attempts > 0 && run->job->attempts < REORDER_ATTEMPTS);
}

/* A refusal of the order itself, not of its moment. */
static bool is_gone(const struct acme_failure *failure)
{
	if (strcmp(failure->type, "badNonce") == 0 || strcmp(failure->type, "accountDoesNotExist") == 0)
		return false;
	return failure->status == 404 || failure->status == 403 || failure->status == 400 ||
	       failure->status == 410;
}

enum result order_fetch(struct order_run *run)
{
	struct acme_response response;
	acme_response_init(&response);
	run->has_order = false;
	enum result result = order_post(run, CA_ORDER, run->job->order_url, NULL, &response);
	if (result == R_OK)
		result = order_take(run, &response);
	acme_response_fini(&response);
	return result;
}

static enum result fetch_or_start_over(struct order_run *run)
{
	enum result result = order_fetch(run);
	if (result == R_ERROR && is_gone(run->failure) && !is_worth_another_look(run))
		return order_start_over(run, "the CA does not know the order any more");
	return result;
}

/* What the CA asked for goes into the time of the next try. */
static enum result wait_elsewhere(struct order_run *run)
{
	int64_t retry_after = run->retry_after;
	order_fail(run, CAUSE_CA, "the CA did not finish the order within 90 s");
	if (retry_after > 0)
		run->failure->retry_after = retry_after;
	return R_ERROR;
}

/* A pause, bounded in sum; after it the order is read again. Retry-After is a minimum. */
static enum result pause_and_refetch(struct order_run *run)
{
	int64_t now = clock_monotonic_ms();
	if (run->deadline_ms == 0)
		run->deadline_ms = now + ORDER_WAIT_MS;
	int64_t pause = run->poll_ms;
	if (run->retry_after * 1000 > pause)
		pause = run->retry_after * 1000;
	if (now + pause > run->deadline_ms)
		return wait_elsewhere(run);
	run->poll_ms = run->poll_ms * 2 < ORDER_POLL_MAX_MS ? run->poll_ms * 2 : ORDER_POLL_MAX_MS;
	run->retry_after = -1;
	run->has_order = false;

	int64_t until = now + pause;
	enum result result = R_OK;
	for (; now < until && result == R_OK; now = clock_monotonic_ms())
		result = order_pause(run, until - now);
	return result;
}

static enum result authorize_all(struct order_run *run)
{
	/* A copy: the order is read again while it is waited for. */
	const struct acme_order order = run->order;
	for (size_t i = 0; i < order.authorization_count; i++) {
		enum result result = authorize(run, order.authorizations[i]);
		if (result == R_NONE)
			return order_start_over(run, "an authorization of the order has lapsed");
		if (result != R_OK)
			return result;
	}
	enum result result = R_OK;
	if (!run->has_order && clock_monotonic_ms() >= run->order_from_ms)
		result = order_fetch(run);
	/* All valid and still pending: the CA is catching up, or said when to ask again. */
	if (result == R_OK && (!run->has_order || run->order.status == ACME_PENDING))
		result = pause_and_refetch(run);
	return result;
}

/* Key and request, made together and persisted together. */
static enum result make_request(struct order_run *run)
{
	const struct seal_place place = {
	    .kind = "issuance_key", .name = run->job->name, .version = run->job->fence};
	struct buf sealed;
	struct buf csr;
	buf_init(&sealed, SEALED_KEY_MAX);
	buf_init(&csr, CSR_MAX);
	EVP_PKEY *key = csr_key_new(run->tools->key_type);
	enum result result = sealed_key_make(run->tools->keys, &place, key, &sealed, run->error);
	if (result == R_OK)
		result = csr_build(&csr, key, run->job->name, run->error);
	if (result == R_OK)
		result = order_judge_query(
		    run, job_set_finalizing(run->tools->pg, run->job, buf_bytes(&sealed), buf_size(&sealed),
			     buf_bytes(&csr), buf_size(&csr), run->error));
	else
		result = order_fail(run, CAUSE_INTERNAL, run->error->text);
	EVP_PKEY_free(key);
	buf_fini(&csr);
	buf_fini(&sealed);
	return result;
}

/* What a failed finalize leaves open (timeout, 5xx, orderNotReady) is looked up, never assumed. */
static bool is_undecided(const struct acme_failure *failure)
{
	return failure->cause == CAUSE_NETWORK || failure->status >= 500 ||
	       strcmp(failure->type, "orderNotReady") == 0;
}

/* RFC 8555 section 7.4; only ever called for an order that was just seen `ready`. */
static enum result finalize(struct order_run *run)
{
	if (run->finalizes++ == FINALIZE_TRIES)
		return order_fail(run, CAUSE_CA, "the CA keeps the order ready and does not finalize it");
	enum result result = run->job->csr ? R_OK : make_request(run);
	if (result != R_OK)
		return result;

	struct acme_response response;
	struct buf payload;
	acme_response_init(&response);
	buf_init(&payload, 2 * CSR_MAX);
	buf_append_string(&payload, "{\"csr\":\"");
	base64url_encode(&payload, run->job->csr, run->job->csr_size);
	buf_append_string(&payload, "\"}");
	result = order_post(run, CA_FINALIZE, run->order.finalize, buf_string(&payload), &response);
	if (result == R_OK)
		result = order_take(run, &response);
	else if (result == R_ERROR && is_undecided(run->failure)) {
		run->retry_after = run->failure->retry_after;
		result = pause_and_refetch(run);
	}
	/* The answer may show the order as it was before. */
	if (result == R_OK && run->has_order && run->order.status == ACME_READY)
		result = pause_and_refetch(run);
	buf_fini(&payload);
	acme_response_fini(&response);
	return result;
}

static enum result invalid(struct order_run *run)
{
	if (!run->was_placed)
		return order_start_over(run, "the order had become invalid");
	acme_failure_of_validation(run->failure, &run->order.problem);
	if (run->order.problem.type[0] != '\0')
		return R_ERROR;
	struct acme_failure found = *run->failure;
	for (size_t i = 0; i < run->order.authorization_count; i++) {
		enum result result = authorize_find_problem(run, run->order.authorizations[i], &found);
		if (result != R_OK && result != R_NONE)
			return result;
	}
	*run->failure = found;
	return R_ERROR;
}

static enum result advance(struct order_run *run)
{
	if (!run->has_order)
		return fetch_or_start_over(run);
	switch (run->order.status) {
	case ACME_PENDING: return authorize_all(run);
	case ACME_READY: return finalize(run);
	case ACME_PROCESSING: return pause_and_refetch(run);
	case ACME_INVALID: return invalid(run);
	case ACME_VALID: break;
	default: return order_start_over(run, "the order is in a state that orders do not have");
	}
	/* Valid without our request: whoever finalized it has the key. */
	if (!run->job->csr)
		return order_start_over(run, "the order was finalized by somebody else");
	if (run->order.certificate[0] == '\0')
		return pause_and_refetch(run);
	return order_judge_query(
	    run, job_set_issued(run->tools->pg, run->job, run->order.certificate, run->error));
}

static enum result step(struct order_run *run)
{
	switch (run->job->step) {
	case JOB_NONE:
	case JOB_ORDERING: return order_place(run);
	case JOB_ORDERED:
	case JOB_FINALIZING: return advance(run);
	case JOB_ISSUED: break;
	}
	return order_collect(run);
}

static enum result get_account(struct order_run *run)
{
	const struct order_tools *tools = run->tools;
	enum result result =
	    account_get(tools->account, tools->session, tools->pg, &run->account, run->failure, run->error);
	return result == R_TIMEOUT ? R_DOWN : result;
}

/* The CA lost the account (RFC 8555 section 7.3): register again; its orders are lost with it. */
static enum result replace_account(struct order_run *run)
{
	enum result result = order_judge_query(
	    run, account_forget(run->tools->account, run->tools->pg, run->account.url, run->error));
	account_view_fini(&run->account);
	if (result == R_OK)
		result = get_account(run);
	return result == R_OK ? order_start_over(run, "the CA does not know the account any more") : result;
}

/* A signature that the CA refuses may be of a key that another instance has rolled over meanwhile. R_OK: it
 * was, and the same step is tried again with the new one; R_ERROR: the refusal stands. */
static enum result refresh_account(struct order_run *run)
{
	bool outdated = false;
	struct acme_failure refusal = *run->failure;
	enum result result = order_judge_query(run,
	    account_is_outdated(run->tools->account, run->tools->pg, &run->account, &outdated, run->error));
	if (result != R_OK)
		return result;
	*run->failure = refusal;
	if (!outdated)
		return R_ERROR;
	account_view_fini(&run->account);
	return get_account(run);
}

static bool may_be_the_key(const struct acme_failure *failure)
{
	return failure->status == 400 || failure->status == 401 || failure->status == 403;
}

/* Whoever enqueues checks names; but this one goes into JSON and a CSR, and the CA counts what it refuses. */
static bool may_be_certified(const char *name)
{
	struct hostname parsed;
	return hostname_parse_either(&parsed, name, strlen(name)) == HOSTNAME_OK &&
	       strcmp(parsed.text, name) == 0;
}

enum result order_begin(struct order_run *run, const struct order_tools *tools, struct job *job,
    struct acme_failure *failure, struct job_wait *wait, struct error *error)
{
	*run = (struct order_run){.tools = tools,
	    .job = job,
	    .poll_ms = ORDER_POLL_MIN_MS,
	    .retry_after = -1,
	    .failure = failure,
	    .wait = wait,
	    .error = error};
	run->guard = (struct ca_guard){.may_post = may_post, .arg = run};
	return may_be_certified(job->name)
		   ? get_account(run)
		   : order_fail(run, CAUSE_REJECTED, "not a host name that a certificate can be for");
}

void order_end(struct order_run *run)
{
	account_view_fini(&run->account);
}

enum result order_run(const struct order_tools *tools, struct job *job, struct acme_failure *failure,
    struct job_wait *wait, struct error *error)
{
	struct order_run run;
	enum result result = order_begin(&run, tools, job, failure, wait, error);
	while (result == R_OK) {
		result = step(&run);
		if (result == R_ERROR && strcmp(failure->type, "accountDoesNotExist") == 0)
			result = replace_account(&run);
		else if (result == R_ERROR && may_be_the_key(failure))
			result = refresh_account(&run);
	}
	order_end(&run);
	histogram_observe_us(metrics_histogram("postern_acme_order_wait_seconds", NULL,
				 "Of an order, the pauses in which the CA is waited for."),
	    run.waited_us);
	return result == R_EOF ? R_OK : result;
}
