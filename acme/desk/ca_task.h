/*
 * What the operator asked of the issuers (ca_tasks): claimed by one of them that has the CA in question, with
 * a lease and a fence, done once, its result kept for `postern acme tasks`.
 */
#ifndef ACME_CA_TASK_H
#define ACME_CA_TASK_H

#include "acme/account/ca_list.h"
#include "acme/ca/acme_error.h"
#include "common/hostname.h"

enum { TASK_LEASE_MS = 120 * 1000, TASK_TRIES = 10 };

enum task_kind { TASK_ROLLOVER, TASK_DEACTIVATE, TASK_REGISTER, TASK_REVOKE, TASK_KINDS };

struct ca_task {
	int64_t id;
	int64_t fence;
	int attempts; /* this one included */
	enum task_kind kind;
	size_t at; /* the CA's place in the list */
	/* a revocation's */
	char name[HOSTNAME_MAX + 1];
	int64_t version;
	int reason;
	bool by_key;
	char *chain_pem;
	unsigned char *key_sealed;
	size_t key_sealed_size;
};

void ca_task_fini(struct ca_task *task);

/* R_NONE: there is nothing to do for these CAs. */
enum result ca_task_claim(
    struct pg *pg, const struct ca_list *list, struct ca_task *out, struct error *error);
/* Is it still ours? R_LOST: no. */
enum result ca_task_check(struct pg *pg, const struct ca_task *task, struct error *error);
/* Its end; the copy of a key goes with it. */
enum result ca_task_done(struct pg *pg, const struct ca_task *task, const char *result, struct error *error);
/* Tried again later where that may help, TASK_TRIES times in all; else its end. */
enum result ca_task_failed(
    struct pg *pg, const struct ca_task *task, const struct acme_failure *failure, struct error *error);

/* Deletes what ended a month ago, up to 500 rows. */
enum result ca_task_sweep(struct pg *pg, struct error *error);

#endif
