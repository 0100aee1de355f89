/*
 * What goes on about webhooks apart from deliveries, in bounded steps that any issuer may do: warnings of
 * certificates that end and that nobody replaces; what has had its time goes, and what can come to nothing
 * any more is ended.
 */
#ifndef ACME_WEBHOOK_WEBHOOK_UPKEEP_H
#define ACME_WEBHOOK_WEBHOOK_UPKEEP_H

#include <stdbool.h>

#include "common/pg/pg.h"

enum { WEBHOOK_UPKEEP_BATCH = 1000 };

/* Warns of up to WEBHOOK_UPKEEP_BATCH certificates; *more: there may be others. */
enum result webhook_upkeep_warn(struct pg *pg, bool *more, struct error *error);
/* Removes events after 30 days, and with them their deliveries; what is left of webhooks that were removed;
 * and ends what waits for those that are off. Up to twenty batches of each. */
enum result webhook_upkeep_sweep(struct pg *pg, struct error *error);
/* Sets the gauges. */
enum result webhook_upkeep_show(struct pg *pg, struct error *error);

#endif
