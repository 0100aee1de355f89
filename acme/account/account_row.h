/*
 * The row of ca_accounts: the fleet's one account at a CA, its key sealed, and while the key is rolled over
 * the next one beside it. Every write demands the row's lease.
 */
#ifndef ACME_ACCOUNT_ROW_H
#define ACME_ACCOUNT_ROW_H

#include <openssl/types.h>
#include <stdbool.h>

#include "acme/ca/acme_error.h"
#include "acme/ca/acme_msg.h"
#include "common/pg/lease.h"
#include "common/pg/pg.h"
#include "common/seal/seal.h"

struct account_row {
	EVP_PKEY *key;  /* NULL: none yet */
	EVP_PKEY *next; /* NULL: no rollover has begun */
	int64_t key_version;
	char url[ACME_URL_SIZE]; /* empty: the CA has not been heard of it */
	char contact[256];
	bool is_deactivated;
};

/* What the statements need; the lease is on the row where one is written. */
struct account_db {
	struct pg *pg;
	const struct seal_keys *keys;
	const char *directory;
	struct lease lease;
	struct acme_failure *failure; /* set with each R_ERROR */
	struct error *error;
};

/* R_NONE: there is no row. R_ERROR also where a stored key cannot be opened. */
enum result account_row_load(struct account_db *db, struct account_row *out);
void account_row_fini(struct account_row *row);

/* R_AGAIN: another process has it. */
enum result account_row_lease(struct account_db *db, int64_t lease_ms);
void account_row_release(struct account_db *db);
/* ca_guard.may_post, with the account_db as argument. */
enum result account_row_may_post(void *db);

/* Makes a key and stores it as the row's first, or as its next. R_LOST as in all that follow: the lease is
 * gone. */
enum result account_row_make_key(struct account_db *db, struct account_row *row);
enum result account_row_make_next(struct account_db *db, struct account_row *row);
/* The next key is the account's key now; or it never will be. */
enum result account_row_switch_key(struct account_db *db);
enum result account_row_drop_next(struct account_db *db);
enum result account_row_set_url(struct account_db *db, const char *url, const char *contact);
/* The account is no more at the CA: nothing is issued until account_row_renew. */
enum result account_row_deactivate(struct account_db *db);
/* A new account is to be made, with a new key. */
enum result account_row_renew(struct account_db *db);

#endif
