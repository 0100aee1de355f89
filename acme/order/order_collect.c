/*
 * The end of an order: the certificate is downloaded, in the chain that the operator prefers where the CA
 * offers several, judged, and stored. See order.h.
 */
#include <openssl/evp.h>
#include <string.h>

#include "acme/crash_point.h"
#include "acme/order/accept.h"
#include "acme/order/order.h"
#include "acme/order/store.h"
#include "acme/sealed_key.h"
#include "common/base/clock.h"
#include "common/certificate/barred_key.h"

/* Downloaded again at the next tries. Another order would most likely bring nothing better (it may be our
 * clock that is wrong), and the CA gives five of them a week: it comes a day later. */
static enum result unusable(struct order_run *run, const char *sentence)
{
	acme_failure_set(run->failure, CAUSE_CERTIFICATE, "%s", sentence);
	run->failure->keeps_order = run->was_placed || run->job->attempts < REORDER_ATTEMPTS;
	run->failure->permanent = !run->failure->keeps_order;
	return R_ERROR;
}

static bool is_preferred(const struct order_run *run, const struct acme_response *response)
{
	const char *wanted = ca_config(run->tools->ca)->preferred_chain;
	return response->is_pem &&
	       chain_is_topped_by(buf_bytes(&response->body), buf_size(&response->body), wanted);
}

/* Looks for the preferred chain among the alternates; where it is not offered, or cannot be had, the CA's
 * first choice stays. */
static enum result prefer_chain(struct order_run *run, struct acme_response *response)
{
	if (!ca_config(run->tools->ca)->preferred_chain || is_preferred(run, response))
		return R_OK;
	struct acme_response other;
	acme_response_init(&other);
	enum result result = R_OK;
	for (size_t i = 0; i < response->alternate_count; i++) {
		result = order_post(run, CA_CERTIFICATE, response->alternates[i], NULL, &other);
		if (result == R_OK && is_preferred(run, &other)) {
			acme_response_fini(response);
			*response = other;
			return R_OK;
		}
		if (result != R_OK && result != R_ERROR)
			break;
	}
	acme_response_fini(&other);
	return result == R_ERROR ? R_OK : result;
}

static enum result accept_and_store(struct order_run *run, const struct acme_response *response)
{
	const struct job *job = run->job;
	const struct seal_place place = {
	    .kind = "issuance_key", .name = job->name, .version = job->key_version};
	struct certificate certificate = {.chain_count = 0};
	EVP_PKEY *key = NULL;
	enum result result = sealed_key_open(
	    run->tools->keys, &place, job->key_sealed, job->key_sealed_size, &key, run->error);
	if (result != R_OK) {
		result = order_start_over(run, "the order's key cannot be opened");
		goto out;
	}
	result = accept_certificate(&certificate, buf_bytes(&response->body), buf_size(&response->body), key,
	    job->name, clock_wall_ms() / 1000, run->error);
	if (result != R_OK) {
		result = unusable(run, run->error->text);
		goto out;
	}
	bool is_barred = false;
	result = order_judge_query(run, barred_key_check(run->tools->pg, key, &is_barred, run->error));
	if (result == R_OK && is_barred)
		result = order_start_over(run, "the order's key has been compromised since");
	if (result != R_OK || is_barred)
		goto out;
	crash_point("accepted");
	result =
	    order_judge_query(run, store_certificate(run->tools->pg, run->tools->keys, job, &certificate, key,
				       ca_directory_url(run->tools->ca), run->account.url, run->error));
	if (result == R_OK)
		result = R_EOF;
out:
	certificate_fini(&certificate);
	EVP_PKEY_free(key);
	return result;
}

/* RFC 8555 section 7.4.2. R_EOF: stored. */
enum result order_collect(struct order_run *run)
{
	struct acme_response response;
	acme_response_init(&response);
	enum result result = order_post(run, CA_CERTIFICATE, run->job->certificate_url, NULL, &response);
	bool missing = result == R_ERROR && run->failure->status == 404;
	if (missing && !run->was_placed && run->job->attempts == 0)
		result = order_start_over(run, "the CA does not know the certificate any more");
	else if (missing)
		result = unusable(run, "the CA does not know the certificate that it has issued");
	else if (result == R_OK && !response.is_pem)
		result = unusable(run, "the CA's answer is no PEM chain by its Content-Type");
	else if (result == R_OK)
		result = prefer_chain(run, &response);
	if (result == R_OK && response.is_pem)
		result = accept_and_store(run, &response);
	acme_response_fini(&response);
	return result;
}
