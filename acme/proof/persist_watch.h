/*
 * The dns-persist-01 records that orders have relied on: which are gone, or end soon? Looked at daily and
 * with each order, so that the customer hears of it while the certificate still lasts.
 */
#ifndef ACME_PERSIST_WATCH_H
#define ACME_PERSIST_WATCH_H

#include "acme/proof/lookup.h"
#include "acme/proof/persist_record.h"
#include "common/pg/pg.h"

/* A record that ends within this time counts as ending. */
enum { PERSIST_WATCH_BATCH = 8, PERSIST_ENDING_S = 30 * 24 * 60 * 60 };

/* What was seen just now. A record that is not there is noted only where one has been. */
enum result persist_watch_note(struct pg *pg, const char *name, const char *account_url,
    const struct persist_record *record, struct error *error);
/* Looks at the records that are due, at most PERSIST_WATCH_BATCH. */
enum result persist_watch_step(struct pg *pg, struct lookup *lookup, struct error *error);
/* Metric: how many are in trouble. */
enum result persist_watch_show(struct pg *pg, struct error *error);

#endif
