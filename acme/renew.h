/*
 * The issuer's upkeep, one thread: certificates that are due become renewal jobs, expired challenges go,
 * gauges are read, and the account is there before the first job needs it. All in batches of bounded size
 * along an index, by the database's clock; any number of instances may do it at once.
 */
#ifndef ACME_RENEW_H
#define ACME_RENEW_H

#include "acme/ca_list.h"
#include "common/pg.h"

struct renew;

struct renew *renew_start(const char *database, const struct ca_list *cas);
void renew_stop(struct renew *renew);

/* A place in the order of renew_at, from which the next batch goes on; begin with zeros. */
struct renew_cursor {
	char renew_at[64]; /* as PostgreSQL writes it; empty: from the beginning */
	char name[254];
};

enum { RENEW_BATCH = 200 };

/* Looks at up to RENEW_BATCH due certificates after the cursor and enqueues those whose name is not blocked
 * and whose job is idle. The cursor moves on, and back to the beginning after the last. */
enum result renew_enqueue_due(struct pg *pg, struct renew_cursor *cursor, int *enqueued, struct error *error);

#endif
