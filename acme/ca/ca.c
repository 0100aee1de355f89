#include "acme/ca/ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "acme/ca/directory_cache.h"
#include "acme/ca/jws.h"
#include "acme/ca/nonce.h"
#include "acme/ca/pace.h"
#include "acme/crash_point.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/version.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

/* After BAD_NONCE_RETRIES refusals in a row the pool is flushed and a fresh one fetched, after a pause; after
 * BAD_NONCE_ROUNDS of these the CA is in trouble. Pebble refuses 5 % by design, and 90 % in a test. */
enum { BAD_NONCE_RETRIES = 5, BAD_NONCE_ROUNDS = 8, BAD_NONCE_PAUSE_MS = 20, LOOK_AGAIN_MS = 20 };

/* Let's Encrypt's front takes 10 newNonce at once and 20 a second, and others will not take more. */
enum { NEW_NONCE_BURST = 10, NEW_NONCE_PER_S = 15 };

struct ca {
	struct ca_config config;
	const atomic_bool *abandon;
	struct nonce_pool *nonces;
	struct directory_cache *directory;
	struct pace new_nonces;
	struct pace requests;
};

struct ca_session {
	struct ca *ca;
	struct acme_http *http;
	bool has_nonce;
	char nonce[NONCE_SIZE]; /* came with a badNonce: for the next try of this thread */
};

static const char *const kind_names[CA_KINDS] = {
    [CA_DIRECTORY] = "directory",
    [CA_NEW_NONCE] = "new_nonce",
    [CA_NEW_ACCOUNT] = "new_account",
    [CA_ACCOUNT] = "account",
    [CA_KEY_CHANGE] = "key_change",
    [CA_NEW_ORDER] = "new_order",
    [CA_ORDER] = "order",
    [CA_AUTHORIZATION] = "authorization",
    [CA_CHALLENGE] = "challenge",
    [CA_FINALIZE] = "finalize",
    [CA_CERTIFICATE] = "certificate",
    [CA_DEACTIVATE] = "deactivate",
    [CA_REVOKE] = "revoke",
    [CA_RENEWAL_INFO] = "renewal_info",
};

/* Half of a second's requests at once, as servers do it that limit them. */
static void init_pace_of_requests(struct ca *ca)
{
	const struct ceiling *rule = &ca->config.ceilings.rules[BUDGET_REQUESTS];
	double per_s = rule->count > 0 ? (double)rule->count / (double)rule->period_s : 0;
	pace_init(&ca->requests, per_s, per_s > 2 ? per_s / 2 : 1);
}

struct ca *ca_new(const struct ca_config *config, const atomic_bool *abandon)
{
	struct ca *ca = mem_alloc(sizeof *ca);
	ca->config = *config;
	ca->abandon = abandon;
	ca->nonces = nonce_pool_new();
	ca->directory = directory_cache_new();
	pace_init(&ca->new_nonces, NEW_NONCE_PER_S, NEW_NONCE_BURST);
	init_pace_of_requests(ca);
	return ca;
}

void ca_free(struct ca *ca)
{
	if (!ca)
		return;
	nonce_pool_free(ca->nonces);
	directory_cache_free(ca->directory);
	pace_fini(&ca->new_nonces);
	pace_fini(&ca->requests);
	free(ca);
}

const char *ca_directory_url(const struct ca *ca)
{
	return ca->config.directory_url;
}

const struct ca_config *ca_config(const struct ca *ca)
{
	return &ca->config;
}

struct ca_session *ca_session_new(struct ca *ca)
{
	struct ca_session *session = mem_alloc(sizeof *session);
	session->ca = ca;
	session->http = acme_http_new(ca->config.ca_file, "postern/" POSTERN_VERSION, ca->abandon);
	return session;
}

void ca_session_free(struct ca_session *session)
{
	if (!session)
		return;
	acme_http_free(session->http);
	free(session);
}

static void count_request(enum ca_kind kind, enum result result, int status)
{
	static const char *const classes[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
	const char *class = result != R_OK ? "none" : classes[status / 100 <= 5 ? status / 100 : 0];
	char labels[64];
	snprintf(labels, sizeof labels, "kind=\"%s\",status=\"%s\"", kind_names[kind], class);
	metric_add(
	    metrics_counter("postern_acme_requests_total", labels, "Requests to the CA, by status class."),
	    1);
}

static void pause_ms(int64_t ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static bool is_abandoned(const struct ca *ca)
{
	return ca->abandon && atomic_load(ca->abandon);
}

static void keep_pace(struct ca *ca)
{
	int64_t wait_ms = 0;
	while (!is_abandoned(ca) && (wait_ms = pace_take(&ca->requests)) > 0)
		pause_ms(wait_ms < LOOK_AGAIN_MS ? wait_ms : LOOK_AGAIN_MS);
}

static enum result exchange(struct ca_session *session, enum ca_kind kind, enum acme_method method,
    const char *url, const struct buf *body, struct acme_response *response, struct error *error)
{
	size_t body_max = kind == CA_CERTIFICATE ? ACME_CERTIFICATE_MAX : ACME_BODY_MAX;
	int64_t start_us = clock_monotonic_us();
	enum result result = acme_http_exchange(session->http, method, url, body, body_max, response, error);
	histogram_observe_us(metrics_histogram("postern_acme_request_seconds", NULL,
				 "From a request to the CA to the end of its answer."),
	    clock_monotonic_us() - start_us);
	count_request(kind, result, response->status);
	log_debug("request to the CA", log_str("kind", kind_names[kind]), log_str("url", url),
	    log_int("status", response->status), log_str("result", result_name(result)));
	return result;
}

static void refused(struct acme_failure *failure, const struct acme_response *response, const char *name)
{
	struct acme_problem problem;
	acme_parse_problem(&problem, buf_bytes(&response->body), buf_size(&response->body), name);
	acme_failure_of_response(failure, response->status, &problem, response->retry_after);
}

static enum result fetch_directory(
    struct ca_session *session, struct acme_directory *out, struct acme_failure *failure)
{
	const char *url = session->ca->config.directory_url;
	struct acme_response response;
	struct error error = {0};
	acme_response_init(&response);
	enum result result = ca_get(session, CA_DIRECTORY, url, &response, failure);
	if (result == R_OK &&
	    acme_parse_directory(out, buf_bytes(&response.body), buf_size(&response.body), &error) != R_OK) {
		acme_failure_set(failure, CAUSE_CA, "%s: %s", url, error.text);
		result = R_ERROR;
	}
	acme_response_fini(&response);
	return result;
}

enum result ca_directory(struct ca_session *session, struct acme_directory *out, struct acme_failure *failure)
{
	struct directory_cache *cache = session->ca->directory;
	enum result result = directory_cache_look(cache, out, failure);
	for (; result == R_AGAIN; result = directory_cache_look(cache, out, failure))
		pause_ms(LOOK_AGAIN_MS);
	if (result != R_NONE)
		return result;
	if (fetch_directory(session, out, failure) != R_OK)
		return directory_cache_failed(cache, failure, out);
	directory_cache_keep(cache, out);
	return R_OK;
}

/* RFC 8555 section 7.2. */
static enum result fetch_nonce(struct ca_session *session, char out[NONCE_SIZE], struct acme_failure *failure)
{
	struct acme_directory directory;
	if (ca_directory(session, &directory, failure) != R_OK)
		return R_ERROR;
	struct acme_response response;
	struct error error = {0};
	acme_response_init(&response);
	keep_pace(session->ca);
	enum result result =
	    exchange(session, CA_NEW_NONCE, ACME_HEAD, directory.new_nonce, NULL, &response, &error);
	if (result != R_OK)
		acme_failure_set(failure, CAUSE_NETWORK, "%s", error.text);
	else if (response.status / 100 != 2)
		refused(failure, &response, NULL);
	else if (response.nonce[0] == '\0')
		acme_failure_set(failure, CAUSE_CA, "newNonce came without a nonce");
	else {
		snprintf(out, NONCE_SIZE, "%s", response.nonce);
		acme_response_fini(&response);
		return R_OK;
	}
	acme_response_fini(&response);
	return R_ERROR;
}

/* While a fresh one may not be asked for yet, another thread may bring one back. */
static enum result get_nonce(struct ca_session *session, char out[NONCE_SIZE], struct acme_failure *failure)
{
	struct ca *ca = session->ca;
	if (session->has_nonce) {
		session->has_nonce = false;
		snprintf(out, NONCE_SIZE, "%s", session->nonce);
		return R_OK;
	}
	while (!nonce_take(ca->nonces, out)) {
		int64_t wait_ms = pace_take(&ca->new_nonces);
		if (wait_ms == 0 || is_abandoned(ca))
			return fetch_nonce(session, out, failure);
		pause_ms(wait_ms < LOOK_AGAIN_MS ? wait_ms : LOOK_AGAIN_MS);
	}
	return R_OK;
}

/* One signed request. R_OK: an answer; R_ERROR: *failure; anything else is the guard's word. */
static enum result post_once(struct ca_session *session, const struct ca_call *call,
    struct acme_response *response, struct acme_failure *failure)
{
	char nonce[NONCE_SIZE];
	char point[48];
	struct error error = {0};
	struct buf body;
	buf_init(&body, ACME_REQUEST_MAX);
	const struct jws_header header = {.nonce = nonce, .url = call->url, .kid = call->kid};

	keep_pace(session->ca);
	enum result result = get_nonce(session, nonce, failure);
	if (result != R_OK)
		goto out;
	result = jws_sign(&body, call->key, &header, call->payload, &error);
	if (result != R_OK) {
		acme_failure_set(failure, CAUSE_INTERNAL, "%s", error.text);
		result = R_ERROR;
		goto out;
	}
	snprintf(point, sizeof point, "before-%s", kind_names[call->kind]);
	crash_point(point);
	result = call->guard ? call->guard->may_post(call->guard->arg) : R_OK;
	if (result != R_OK) {
		nonce_put(session->ca->nonces, nonce);
		goto out;
	}
	result = exchange(session, call->kind, ACME_POST, call->url, &body, response, &error);
	snprintf(point, sizeof point, "after-%s", kind_names[call->kind]);
	crash_point(point);
	if (result != R_OK) {
		enum acme_cause cause = result == R_INVALID ? CAUSE_CA : CAUSE_NETWORK;
		acme_failure_set(failure, cause, "%s", error.text);
		result = R_ERROR;
	}
out:
	buf_fini(&body);
	return result;
}

/* True: sign again. The nonce of a refusal is good (RFC 8555 section 6.5) and stays with this thread. */
static bool retry_bad_nonce(struct ca_session *session, const struct acme_response *response, int count)
{
	metric_add(metrics_counter("postern_acme_bad_nonces_total", NULL, "Nonces that the CA refused."), 1);
	if (count >= BAD_NONCE_RETRIES * BAD_NONCE_ROUNDS)
		return false;
	if (count % BAD_NONCE_RETRIES == 0) {
		nonce_flush(session->ca->nonces);
		pause_ms(BAD_NONCE_PAUSE_MS << (count / BAD_NONCE_RETRIES - 1));
		return true;
	}
	session->has_nonce = response->nonce[0] != '\0';
	snprintf(session->nonce, sizeof session->nonce, "%s", response->nonce);
	return true;
}

static bool is_repeatable(const struct ca_call *call)
{
	return call->payload == NULL || call->kind == CA_CHALLENGE || call->kind == CA_NEW_ACCOUNT ||
	       call->kind == CA_ACCOUNT || call->kind == CA_REVOKE;
}

enum result ca_post(struct ca_session *session, const struct ca_call *call, struct acme_response *response,
    struct acme_failure *failure)
{
	bool repeated = false;
	int bad_nonces = 0;
	session->has_nonce = false;
	for (;;) {
		enum result result = post_once(session, call, response, failure);
		if (result == R_ERROR && failure->cause == CAUSE_NETWORK && is_repeatable(call) &&
		    !repeated) {
			repeated = true;
			continue;
		}
		if (result != R_OK)
			return result;
		if (response->status / 100 == 2) {
			nonce_put(session->ca->nonces, response->nonce);
			return R_OK;
		}
		refused(failure, response, call->name);
		if (strcmp(failure->type, "badNonce") != 0 ||
		    !retry_bad_nonce(session, response, ++bad_nonces)) {
			nonce_put(session->ca->nonces, response->nonce);
			return R_ERROR;
		}
	}
}

enum result ca_get(struct ca_session *session, enum ca_kind kind, const char *url,
    struct acme_response *response, struct acme_failure *failure)
{
	struct error error = {0};
	keep_pace(session->ca);
	enum result result = exchange(session, kind, ACME_GET, url, NULL, response, &error);
	nonce_put(session->ca->nonces, response->nonce);
	if (result == R_OK && response->status == 200)
		return R_OK;
	if (result == R_OK)
		refused(failure, response, NULL);
	else
		acme_failure_set(failure, result == R_INVALID ? CAUSE_CA : CAUSE_NETWORK, "%s", error.text);
	return R_ERROR;
}
