/*
 * The issuance job of a name: a lease with a fence, and the step that its order has reached. The only place
 * with statements that write issuance_jobs, beside the lease's own in common/pg/lease.c. Each of them demands
 * that the job is still ours: its fence is unchanged and its lease has not run out by the database's clock;
 * R_LOST says that it is not, and the caller lets go at once.
 */
#ifndef ACME_JOB_H
#define ACME_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "acme/ca/acme_error.h"
#include "acme/ca/acme_msg.h"
#include "common/base/result.h"
#include "common/net/hostname.h"
#include "common/pg/lease.h"
#include "common/pg/pg.h"

/* What has been done for the order in progress. Each is persisted before its deed: ORDERING before newOrder
 * is sent, FINALIZING, with key and request, before finalize is. */
enum job_step { JOB_NONE, JOB_ORDERING, JOB_ORDERED, JOB_FINALIZING, JOB_ISSUED };

/* Deadline of each statement. */
enum { JOB_QUERY_MS = 5000 };

/* SQL condition on $1 = name, $2 = fence: for statements elsewhere that write on behalf of a job. */
#define JOB_IS_OURS \
	"EXISTS (SELECT 1 FROM issuance_jobs WHERE name = $1 AND fence = $2 AND state = 'running'" \
	" AND lease_until > clock_timestamp())"

/* In which order jobs are claimed: the most urgent lane first, or whatever has waited longest, which a claim
 * in eight is for, so that no lane starves behind another. */
enum job_order { JOB_BY_LANE, JOB_OLDEST };

/* Why a job is not worked on although nothing failed: "budget" or "ca", and the same for a person. */
struct job_wait {
	int64_t ms;
	const char *on;
	char text[400];
};

/* A wait that is longer is looked at again after this time: ceilings may have been raised. */
enum { JOB_WAIT_MAX_MS = 24 * 60 * 60 * 1000 };

struct job {
	char name[HOSTNAME_MAX + 1];
	int64_t fence;
	struct lease lease;
	int64_t lease_ms;
	int attempts;
	bool is_one_of_many; /* others were due when it was claimed */
	char reason[12];
	char lane[8];
	char turn_at[40]; /* the turn that the ledger gave it, as the database writes times; empty: none */
	enum job_step step;
	bool is_charged;               /* the ledger has taken tokens for the order in progress */
	char directory[ACME_URL_SIZE]; /* of the order in progress, or of the last one */
	char order_url[ACME_URL_SIZE];
	char certificate_url[ACME_URL_SIZE];
	unsigned char *key_sealed; /* NULL: no key yet */
	size_t key_sealed_size;
	int64_t key_version;
	unsigned char *csr;
	size_t csr_size;
	/* A certificate is stored whose dates are good: to be closed, unless that turns out damaged. */
	bool has_certificate;
	/* The domain may not have a certificate any more: the order in progress is to be given up. */
	bool is_forbidden;
};

void job_fini(struct job *job);
/* Is it about replacing a certificate that is there and good, rather than about a first or a damaged one? */
bool job_is_renewal(const struct job *job);

/* Takes a due job, or one whose owner's lease has run out. The transaction also looks whether the domain is
 * still allowed. R_NONE: nothing is due. R_AGAIN: a job was closed, since its domain is not, or its
 * certificate is an uploaded one; there may be more. One that has an order is not closed (is_forbidden). Free
 * the job with job_fini. */
enum result job_claim(
    struct pg *pg, int64_t lease_ms, enum job_order order, struct job *out, struct error *error);

/* Is it still ours? Also prolongs the lease when half of it is used. */
enum result job_hold(struct pg *pg, const struct job *job, struct error *error);

/* The steps. Each prolongs the lease and changes *job only when the row was changed. */
enum result job_set_ordering(
    struct pg *pg, struct job *job, const char *directory, bool is_charged, struct error *error);
enum result job_set_ordered(struct pg *pg, struct job *job, const char *order_url, struct error *error);
enum result job_set_finalizing(struct pg *pg, struct job *job, const void *key_sealed, size_t key_size,
    const void *csr, size_t csr_size, struct error *error);
enum result job_set_issued(struct pg *pg, struct job *job, const char *certificate_url, struct error *error);
/* The order is dead: back to JOB_NONE, key and request forgotten with it. */
enum result job_forget_order(struct pg *pg, struct job *job, struct error *error);

/* The job is done, or not wanted: idle. Part of the caller's transaction where there is one. */
enum result job_close(struct pg *pg, const struct job *job, struct error *error);
/* Remembers the failure by name and cause, and sets the time of the next try; the order stays where it may go
 * on. */
enum result job_fail(
    struct pg *pg, const struct job *job, const struct acme_failure *failure, struct error *error);
/* Not now, and nobody's failure: the job keeps its step and is due again when *wait says, a little spread. */
enum result job_defer(struct pg *pg, const struct job *job, const struct job_wait *wait, struct error *error);
/* This process stops: another one may take the job at once, at the step where it is. */
enum result job_release(struct pg *pg, struct job *job, struct error *error);

/* Jobs that wait to be claimed, at most 10,000 of them counted. */
enum result job_count_queued(struct pg *pg, int64_t *out, struct error *error);

#endif
