/*
 * The CA as the rest of the issuer sees it: a directory (cached for an hour) and signed requests that come
 * back as an answer or as a classified failure. Nonces, badNonce, network failures and the count of requests
 * stay in here.
 */
#ifndef ACME_CA_H
#define ACME_CA_H

#include <openssl/types.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "acme/ca/acme_directory.h"
#include "acme/ca/acme_error.h"
#include "acme/ca/acme_http.h"
#include "acme/ca/ceilings.h"
#include "acme/ca/jws.h"

/* Shared by the process's threads. */
struct ca;
/* One thread's way to it. */
struct ca_session;

/* What the operator says about one CA; NULL where it was not said. */
struct ca_config {
	const char *prefix; /* of its settings' names, for messages */
	const char *directory_url;
	const char *ca_file;          /* to trust when speaking to it */
	const char *contact;          /* an address, with or without "mailto:" */
	struct jws_external external; /* kid NULL: no external account */
	const char *profile;
	bool profile_required;
	const char *preferred_chain; /* common name of the topmost issuer */
	struct ceilings ceilings;    /* of its quota */
};

/* The configuration is copied; its strings and the flag (acme_http_new) must outlive the CA. */
struct ca *ca_new(const struct ca_config *config, const atomic_bool *abandon);
void ca_free(struct ca *ca);
const char *ca_directory_url(const struct ca *ca);
const struct ca_config *ca_config(const struct ca *ca);

struct ca_session *ca_session_new(struct ca *ca);
void ca_session_free(struct ca_session *session);

/* R_ERROR: the failure says why; one that was met a moment ago is told again (held_ms). A directory that
 * can't be refreshed stays in use. */
enum result ca_directory(
    struct ca_session *session, struct acme_directory *out, struct acme_failure *failure);

enum ca_kind {
	CA_DIRECTORY,
	CA_NEW_NONCE,
	CA_NEW_ACCOUNT,
	CA_ACCOUNT,
	CA_KEY_CHANGE,
	CA_NEW_ORDER,
	CA_ORDER,
	CA_AUTHORIZATION,
	CA_CHALLENGE,
	CA_FINALIZE,
	CA_CERTIFICATE,
	CA_DEACTIVATE,
	CA_REVOKE,
	CA_RENEWAL_INFO,
	CA_KINDS
};

/* Asked right before each request goes out (each re-signed one too): anything but R_OK stops it, and is what
 * ca_post returns. */
struct ca_guard {
	enum result (*may_post)(void *arg);
	void *arg;
};

struct ca_call {
	enum ca_kind kind;
	const char *url;
	const char *payload; /* NULL: POST-as-GET */
	EVP_PKEY *key;
	const char *kid;  /* NULL: newAccount, and a revocation by the certificate's own key */
	const char *name; /* whose subproblem counts; NULL: no name's */
	const struct ca_guard *guard;
};

/* R_OK: the CA answered 2xx. R_ERROR: *failure. POST-as-GET and challenge answers are repeated once,
 * re-signed, after a network failure; what makes the CA do something new is not: the caller looks first what
 * became of it. */
enum result ca_post(struct ca_session *session, const struct ca_call *call, struct acme_response *response,
    struct acme_failure *failure);

/* A plain GET (renewalInfo). R_OK: 200. */
enum result ca_get(struct ca_session *session, enum ca_kind kind, const char *url,
    struct acme_response *response, struct acme_failure *failure);

#endif
