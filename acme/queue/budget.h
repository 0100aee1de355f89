/*
 * The ledger of a CA's quota: before an order goes out, the database says whether each ceiling that is known
 * still has room for it, and takes what it will cost; else it says whose turn it is when. One ledger for the
 * whole fleet (table ca_budget), by the database's clock.
 *
 * A lane may empty a bucket down to what is kept for the more urgent lanes: 10 % for urgent work, 20 % more
 * for new customers, 30 % more for renewals in time.
 */
#ifndef ACME_BUDGET_H
#define ACME_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "acme/ca/acme_error.h"
#include "acme/ca/ceilings.h"
#include "acme/queue/job.h"
#include "common/pg/pg.h"

/* For the order that is about to be placed for the job. R_LIMIT: nothing was taken, and *wait has time and
 * words. R_LOST: the job is no longer ours. */
enum result budget_take(struct pg *pg, const struct ceilings *budget, const char *directory,
    const struct job *job, struct job_wait *wait, struct error *error);
/* newOrder was refused before the CA counted it. */
enum result budget_refund_order(struct pg *pg, const char *directory, const char *name, struct error *error);
/* The order died before a certificate was made of it: only the order counts. */
enum result budget_refund_certificate(
    struct pg *pg, const char *directory, const char *name, struct error *error);
/* A validation failed, which the CA counts by name. */
enum result budget_count_failure(struct pg *pg, const struct ceilings *budget, const char *directory,
    const char *name, struct error *error);
/* As budget_take, for a request about an account; only a new one (`take`) costs anything. */
enum result budget_take_account(struct pg *pg, const struct ceilings *budget, const char *directory,
    bool take, struct job_wait *wait, struct error *error);
/* The CA said rateLimited: the ceiling that its words name is closed until Retry-After. Where they name none,
 * it is the account's orders, for at most an hour, since it may be something else. */
enum result budget_learn(struct pg *pg, const char *directory, const char *name,
    const struct acme_failure *failure, struct error *error);

/* The same of a refusal that was about the account itself. */
enum result budget_learn_account(
    struct pg *pg, const char *directory, const struct acme_failure *failure, struct error *error);

/* Buckets that are full again say nothing: deletes up to 1,000. */
enum result budget_sweep(struct pg *pg, struct error *error);

#endif
