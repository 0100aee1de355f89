/*
 * The requests of RFC 8555 section 7.3 that are about an account itself: make or find it, update it, give it
 * another key, end it. Each is one signed request; what it means for the row is the caller's.
 */
#ifndef ACME_ACCOUNT_REQUEST_H
#define ACME_ACCOUNT_REQUEST_H

#include "acme/ca/ca.h"

/* newAccount, with the operator's contact and external account. 201 for a new one, 200 for the one that this
 * key has already; `only_existing`: a key without one is refused as accountDoesNotExist. */
enum result account_request_new(struct ca_session *session, const struct ca *ca, EVP_PKEY *key,
    bool only_existing, const struct ca_guard *guard, char url[ACME_URL_SIZE], struct acme_failure *failure);

/* Section 7.3.2: the contact is what the settings say. */
enum result account_request_contact(struct ca_session *session, const struct ca *ca, EVP_PKEY *key,
    const char *url, const struct ca_guard *guard, struct acme_failure *failure);
/* Section 7.3.6. */
enum result account_request_deactivate(struct ca_session *session, EVP_PKEY *key, const char *url,
    const struct ca_guard *guard, struct acme_failure *failure);
/* Section 7.3.5: from `key` to `next`. */
enum result account_request_key_change(struct ca_session *session, EVP_PKEY *key, EVP_PKEY *next,
    const char *url, const struct ca_guard *guard, struct acme_failure *failure);

#endif
