/*
 * The one ACME account of the fleet at a CA: its key sealed in ca_accounts, persisted before the CA hears of
 * it, so that newAccount after any accident gives the same account again (RFC 8555 section 7.3.1). Who finds
 * none takes a lease on the row and registers; everybody else waits for it.
 */
#ifndef ACME_ACCOUNT_H
#define ACME_ACCOUNT_H

#include <openssl/types.h>
#include <stdbool.h>

#include "acme/ca/ca.h"
#include "acme/ca/jws.h"
#include "common/pg/pg.h"
#include "common/seal/seal.h"

struct account;

/* A copy for one thread's use; account_view_fini drops its reference to the key. */
struct account_view {
	EVP_PKEY *key;
	int64_t key_version;
	char url[ACME_URL_SIZE];
	char thumbprint[JWS_THUMBPRINT_SIZE];
};

/* CA and keys must outlive it. `lease_ms`: how long one that registers keeps the others waiting should it die
 * over it. */
struct account *account_new(const struct ca *ca, const struct seal_keys *keys, int64_t lease_ms);
void account_free(struct account *account);
bool account_is_known(struct account *account);

/* Any thread, with its own session and connection. What another instance has changed (a key rolled over, an
 * account given up) is seen. Waits at most ACCOUNT_WAIT_MS for another thread or instance to register.
 * R_ERROR: *failure, which is no order's (foreseen); after a refusal nobody tries again for a
 * while, in other processes and later ones neither where the CA said so. R_DOWN, R_TIMEOUT: the database. */
enum { ACCOUNT_WAIT_MS = 8 * 1000 };
enum result account_get(struct account *account, struct ca_session *session, struct pg *pg,
    struct account_view *out, struct acme_failure *failure, struct error *error);
void account_view_fini(struct account_view *view);

/* Has the row changed under this view: is it worth getting the account again before a refusal is believed? */
enum result account_is_outdated(struct account *account, struct pg *pg, const struct account_view *view,
    bool *outdated, struct error *error);

/* The CA says that this account does not exist: the next account_get registers again, with the same key. */
enum result account_forget(struct account *account, struct pg *pg, const char *url, struct error *error);

#endif
