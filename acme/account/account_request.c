#include "acme/account/account_request.h"

#include <stdio.h>
#include <string.h>

enum { PAYLOAD_MAX = 8 * 1024, JWK_MAX = 1024 };

/* The setting was checked to hold nothing that JSON escapes. */
static void append_contact(struct buf *payload, const char *contact)
{
	if (contact)
		buf_append_format(payload, "\"contact\":[\"%s%s\"]",
		    strncmp(contact, "mailto:", 7) == 0 ? "" : "mailto:", contact);
	else
		buf_append_string(payload, "\"contact\":[]");
}

static enum result cannot_sign(struct acme_failure *failure, const struct error *error)
{
	acme_failure_set(failure, CAUSE_INTERNAL, "%s", error->text);
	return R_ERROR;
}

static enum result append_external(struct buf *payload, const struct jws_external *external,
    const EVP_PKEY *key, const char *url, struct acme_failure *failure)
{
	struct error error = {0};
	struct buf jwk;
	buf_init(&jwk, JWK_MAX);
	enum result result = buf_append_string(payload, ",\"externalAccountBinding\":");
	if (result == R_OK)
		result = jws_append_jwk(&jwk, key, &error);
	if (result == R_OK)
		result = jws_sign_external(payload, external, url, buf_string(&jwk), &error);
	buf_fini(&jwk);
	return result == R_OK ? R_OK : cannot_sign(failure, &error);
}

static enum result check_external(
    const struct ca *ca, const struct acme_directory *directory, struct acme_failure *failure)
{
	if (!directory->external_account_required || ca_config(ca)->external.kid)
		return R_OK;
	acme_failure_set(failure, CAUSE_CA,
	    "the CA %s wants an external account: set %s-eab-kid and %s-eab-key-file to what it gave you",
	    ca_directory_url(ca), ca_config(ca)->prefix, ca_config(ca)->prefix);
	return R_ERROR;
}

enum result account_request_new(struct ca_session *session, const struct ca *ca, EVP_PKEY *key,
    bool only_existing, const struct ca_guard *guard, char url[ACME_URL_SIZE], struct acme_failure *failure)
{
	struct acme_directory directory;
	struct acme_response response;
	struct buf payload;
	enum result result = ca_directory(session, &directory, failure);
	if (result == R_OK && !only_existing)
		result = check_external(ca, &directory, failure);
	if (result != R_OK)
		return result;
	acme_response_init(&response);
	buf_init(&payload, PAYLOAD_MAX);
	buf_append_string(
	    &payload, only_existing ? "{\"onlyReturnExisting\":true" : "{\"termsOfServiceAgreed\":true");
	if (!only_existing && ca_config(ca)->contact) {
		buf_append_string(&payload, ",");
		append_contact(&payload, ca_config(ca)->contact);
	}
	if (!only_existing && ca_config(ca)->external.kid)
		result =
		    append_external(&payload, &ca_config(ca)->external, key, directory.new_account, failure);
	buf_append_string(&payload, "}");
	const struct ca_call call = {.kind = CA_NEW_ACCOUNT,
	    .url = directory.new_account,
	    .payload = buf_string(&payload),
	    .key = key,
	    .guard = guard};
	if (result == R_OK)
		result = ca_post(session, &call, &response, failure);
	if (result == R_OK && response.location[0] == '\0') {
		acme_failure_set(failure, CAUSE_CA, "newAccount came without the account's URL");
		result = R_ERROR;
	}
	if (result == R_OK)
		snprintf(url, ACME_URL_SIZE, "%s", response.location);
	buf_fini(&payload);
	acme_response_fini(&response);
	return result;
}

static enum result post(struct ca_session *session, enum ca_kind kind, const char *url, const char *payload,
    EVP_PKEY *key, const char *kid, const struct ca_guard *guard, struct acme_failure *failure)
{
	struct acme_response response;
	acme_response_init(&response);
	const struct ca_call call = {
	    .kind = kind, .url = url, .payload = payload, .key = key, .kid = kid, .guard = guard};
	enum result result = ca_post(session, &call, &response, failure);
	acme_response_fini(&response);
	return result;
}

enum result account_request_contact(struct ca_session *session, const struct ca *ca, EVP_PKEY *key,
    const char *url, const struct ca_guard *guard, struct acme_failure *failure)
{
	struct buf payload;
	buf_init(&payload, PAYLOAD_MAX);
	buf_append_string(&payload, "{");
	append_contact(&payload, ca_config(ca)->contact);
	buf_append_string(&payload, "}");
	enum result result = post(session, CA_ACCOUNT, url, buf_string(&payload), key, url, guard, failure);
	buf_fini(&payload);
	return result;
}

enum result account_request_deactivate(struct ca_session *session, EVP_PKEY *key, const char *url,
    const struct ca_guard *guard, struct acme_failure *failure)
{
	return post(session, CA_ACCOUNT, url, "{\"status\":\"deactivated\"}", key, url, guard, failure);
}

/* The new key says that it wants the account, the old one that it may have it. */
static enum result make_key_change(struct buf *out, EVP_PKEY *key, EVP_PKEY *next, const char *account_url,
    const char *key_change_url, struct error *error)
{
	const struct jws_header header = {.url = key_change_url};
	struct buf claim;
	buf_init(&claim, PAYLOAD_MAX);
	enum result result = buf_append_format(&claim, "{\"account\":\"%s\",\"oldKey\":", account_url);
	if (result == R_OK)
		result = jws_append_jwk(&claim, key, error);
	if (result == R_OK)
		result = buf_append_string(&claim, "}");
	if (result == R_OK)
		result = jws_sign(out, next, &header, buf_string(&claim), error);
	buf_fini(&claim);
	return result;
}

enum result account_request_key_change(struct ca_session *session, EVP_PKEY *key, EVP_PKEY *next,
    const char *url, const struct ca_guard *guard, struct acme_failure *failure)
{
	struct acme_directory directory;
	struct error error = {0};
	struct buf payload;
	if (ca_directory(session, &directory, failure) != R_OK)
		return R_ERROR;
	if (directory.key_change[0] == '\0') {
		acme_failure_set(failure, CAUSE_REJECTED, "the CA offers no change of keys");
		return R_ERROR;
	}
	buf_init(&payload, PAYLOAD_MAX);
	enum result result = make_key_change(&payload, key, next, url, directory.key_change, &error);
	if (result == R_OK)
		result = post(session, CA_KEY_CHANGE, directory.key_change, buf_string(&payload), key, url,
		    guard, failure);
	else
		result = cannot_sign(failure, &error);
	buf_fini(&payload);
	return result;
}
