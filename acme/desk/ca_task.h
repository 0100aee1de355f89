/*
 * What the operator asked of the issuers (ca_tasks): claimed by one of them that has the CA in question, with
 * a lease and a fence, done once, its result kept for `postern acme tasks`.
 */
#ifndef ACME_CA_TASK_H
#define ACME_CA_TASK_H

#include "acme/account/ca_list.h"
#include "acme/ca/acme_error.h"
#include "common/net/hostname.h"

enum { TASK_LEASE_MS = 120 * 1000, TASK_TRIES = 10 };

enum task_kind { TASK_ROLLOVER, TASK_DEACTIVATE, TASK_REGISTER, TASK_REVOKE, TASK_KINDS };

struct ca_task {
	int64_t id;
	int64_t fence;
	int attempts; /* this one included */
	enum task_kind kind;
	size_t at; /* the CA's place in the list */
	/* Of the certificate to be revoked; else of the account's key when the task was begun first (0: it
	 * was not yet): an owner that died may have done it. */
	int64_t version;
	/* a revocation's */
	char name[HOSTNAME_MAX + 1];
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
/* SQL condition on $1 = id, $2 = fence: for statements elsewhere that write on behalf of a task. */
#define CA_TASK_IS_OURS \
	"EXISTS (SELECT 1 FROM ca_tasks WHERE id = $1 AND fence = $2 AND state = 'running'" \
	" AND lease_until > clock_timestamp())"

/* Is it still ours? R_LOST, as in all that follow: no. */
enum result ca_task_check(struct pg *pg, const struct ca_task *task, struct error *error);
/* It begins at this version of the account's key, unless it was begun before. R_LOST: it is no longer ours.
 */
enum result ca_task_begin(struct pg *pg, struct ca_task *task, int64_t version, struct error *error);
/* Its end; the copy of a key goes with it. */
enum result ca_task_done(struct pg *pg, const struct ca_task *task, const char *result, struct error *error);
/* Tried again later where that may help, TASK_TRIES times in all; else its end. */
enum result ca_task_failed(
    struct pg *pg, const struct ca_task *task, const struct acme_failure *failure, struct error *error);

/* Deletes what ended a month ago, up to 500 rows. */
enum result ca_task_sweep(struct pg *pg, struct error *error);

#endif
