/*
 * Revocation (RFC 8555 section 7.6): signed by the account, or by the certificate's own key where the account
 * is not the one that ordered it. A compromised key is barred first, and its name gets a new certificate.
 */
#ifndef ACME_REVOKE_H
#define ACME_REVOKE_H

#include "acme/account/account.h"
#include "acme/desk/ca_task.h"

enum { REASON_KEY_COMPROMISE = 1, REASON_CESSATION = 5 };

struct revoke_tools {
	struct pg *pg;
	const struct seal_keys *keys;
	struct ca_session *session;
	struct account *account;
	struct acme_failure *failure;
	struct error *error;
};

/* R_OK: revoked, now or before. R_ERROR: *failure. Else the database's result, or R_LOST. */
enum result revoke_certificate(const struct revoke_tools *tools, const struct ca_task *task);

#endif
