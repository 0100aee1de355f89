/*
 * The order's state machine (RFC 8555 section 7.1.6): from whatever step the job has reached to a stored
 * certificate, one request after the other, each step persisted before it is acted on.
 */
#ifndef ACME_ORDER_H
#define ACME_ORDER_H

#include <stdbool.h>

#include "acme/account/account.h"
#include "acme/ca/ca.h"
#include "acme/order/csr.h"
#include "acme/preflight/preflight.h"
#include "acme/proof/challenge_set.h"
#include "acme/queue/job.h"

/* What a thread works with. */
struct order_tools {
	struct pg *pg;
	const struct ca *ca; /* the one chosen for this job; session and account are of it */
	struct ca_session *session;
	struct account *account;
	const struct seal_keys *keys;
	enum certificate_key_type key_type;
	const struct challenge_types *types;
	struct preflight *preflight;
	struct challenge_context challenge_context;
	/* Sleeps; false: the process is to stop (asked with 0 before each request). */
	bool (*wait)(void *arg, int ms);
	void *arg;
};

/* One run; authorize.c and the order*.c files share it. */
struct order_run {
	const struct order_tools *tools;
	struct job *job;
	struct account_view account;
	struct ca_guard guard;
	struct acme_order order; /* as last seen, when has_order */
	bool has_order;
	bool was_placed;                    /* by this run */
	bool methods[ACME_CHALLENGE_TYPES]; /* that CAA records allow, when has_methods */
	bool has_methods;
	int restarts;
	int finalizes;
	int poll_ms;           /* next pause between polls of the order */
	int64_t retry_after;   /* seconds, from the last answer about the order; -1: none */
	int64_t order_from_ms; /* by it, the order is not asked for again before; monotonic */
	int64_t deadline_ms;   /* of the polling, monotonic; 0: not begun */
	int64_t held_ms;       /* when a pause last looked after the lease, monotonic */
	int64_t waited_us;     /* for the CA, in pauses: validation, processing */
	struct acme_failure *failure;
	struct job_wait *wait;
	struct error *error;
};

enum {
	ORDER_POLL_MIN_MS = 5,
	ORDER_POLL_MAX_MS = 5000,
	ORDER_WAIT_MS = 90 * 1000,
	FINALIZE_TRIES = 3,
	REORDER_ATTEMPTS = 3
};

/* R_OK: stored, the job is closed. R_ERROR: *failure, to be recorded by job_fail. R_LIMIT: the CA's quota
 * does not allow for an order before *wait. R_LOST: the job is another's. R_DOWN: the database is away.
 * R_AGAIN: stopping; the job is at a persisted step and may be released. */
enum result order_run(const struct order_tools *tools, struct job *job, struct acme_failure *failure,
    struct job_wait *wait, struct error *error);

/* A run that asks for one thing at a time (abandon.c): begun with the account, and ended, also when it could
 * not begin. */
enum result order_begin(struct order_run *run, const struct order_tools *tools, struct job *job,
    struct acme_failure *failure, struct job_wait *wait, struct error *error);
void order_end(struct order_run *run);

/* order_place.c: newOrder and the commit of its URL. order_collect.c: download, judgement, storing; R_EOF:
 * stored.
 */
enum result order_place(struct order_run *run);
enum result order_collect(struct order_run *run);

/* For them and authorize.c: the answer about the order taken in; the order given up for another one, once; a
 * pause of at most `ms`, which keeps hold of the job; a signed request of this order; the
 * order read again; and a statement's result as a result of the run. */
enum result order_take(struct order_run *run, const struct acme_response *response);
enum result order_start_over(struct order_run *run, const char *why);
enum result order_fail(struct order_run *run, enum acme_cause cause, const char *sentence);
enum result order_pause(struct order_run *run, int64_t ms);
enum result order_post(struct order_run *run, enum ca_kind kind, const char *url, const char *payload,
    struct acme_response *response);
enum result order_fetch(struct order_run *run);
enum result order_judge_query(struct order_run *run, enum result result);

/* Which methods of validation the domain's CAA records allow (order_place.c): known from the look before the
 * order, else looked up. */
enum result order_find_methods(struct order_run *run);

/* order_budget.c. Before newOrder: R_LIMIT where the ledger has no room for it. An order that the CA exempts
 * from its limits (RFC 9773 section 5) costs nothing. */
enum result order_take_budget(struct order_run *run, bool is_exempt);
/* newOrder was refused with *run->failure: the ledger gets back what was not counted. */
enum result order_refused(struct order_run *run, bool is_exempt);
/* The job failed with this at the CA: what the CA counts of it, what it does not, and what its
 * words teach. Errors are only logged. */
void order_settle_budget(
    struct pg *pg, const struct ca *ca, struct job *job, const struct acme_failure *failure);
/* The order in progress is about to be forgotten. Before finalize no certificate can come of it, and CAs
 * count certificates that they made. Errors are only logged. */
void order_refund_unused(struct pg *pg, struct job *job);

#endif
