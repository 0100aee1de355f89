/*
 * A lease: one process works on a row for as long as it renews, by the database's clock, and every write
 * carries the fence that the claim took, so that a process which slept through its lease can no longer write.
 * What spans network time is leased; session locks would vanish with their connection.
 */
#ifndef COMMON_LEASE_H
#define COMMON_LEASE_H

#include <stdint.h>

#include "common/pg/pg.h"

enum { LEASE_KEY_MAX = 1024, LEASE_OWNER_MAX = 64, LEASE_QUERY_MS = 2000 };

/* What a table needs to be leased from: one SQL text each; $1 key, $2 fence, $3 owner, $4 milliseconds. */
struct lease_table {
	const char *name;
	const char
	    *acquire; /* $1 key, $2 owner, $3 milliseconds; returns the new fence. NULL: claimed elsewhere */
	const char *renew;
	const char *check;
	const char *release;
};

/* issuance_jobs by name: claimed by the issuer's own statement; released means queued again, at once. */
extern const struct lease_table lease_issuance_jobs;
/* ca_accounts by directory; the row is made by the first claim. */
extern const struct lease_table lease_ca_accounts;

struct lease {
	const struct lease_table *table;
	char key[LEASE_KEY_MAX];
	char owner[LEASE_OWNER_MAX];
	int64_t fence; /* 0: not held */
};

/* For a claim that was made elsewhere: notes who holds what. Longer keys and owners than fit are a bug:
 * aborts. */
void lease_adopt(
    struct lease *lease, const struct lease_table *table, const char *key, const char *owner, int64_t fence);

/* R_AGAIN: somebody else holds it. `owner` is process_id(). In all of these R_DOWN, R_TIMEOUT and R_ERROR are
 * pg_query's, and say nothing about the lease. */
enum result lease_acquire(struct lease *lease, struct pg *pg, const struct lease_table *table,
    const char *key, const char *owner, int ttl_ms, struct error *error);
/* R_LOST: expired, or another's. Then this process must not write or contact the CA for it any more. */
enum result lease_renew(const struct lease *lease, struct pg *pg, int ttl_ms, struct error *error);
/* The same question without renewing: right before each step that cannot be taken back. */
enum result lease_check(const struct lease *lease, struct pg *pg, struct error *error);
/* Gives it back before its time. R_LOST when it was not ours any more; either way it is not held afterwards.
 */
enum result lease_release(struct lease *lease, struct pg *pg, struct error *error);

#endif
