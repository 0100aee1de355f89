/*
 * What goes on about webhooks apart from deliveries, in bounded steps that any issuer may do: warnings of
 * certificates that end and that nobody replaces; what has had its time goes, and what can come to nothing
 * any more is ended.
 */
#ifndef ACME_WEBHOOK_WEBHOOK_UPKEEP_H
#define ACME_WEBHOOK_WEBHOOK_UPKEEP_H

#include <stdbool.h>

#include "common/pg.h"

/* Events, and with them their deliveries, are kept for so long. */
enum { WEBHOOK_KEPT_DAYS = 30, WEBHOOK_UPKEEP_BATCH = 1000 };

/* Warns of up to WEBHOOK_UPKEEP_BATCH certificates; *more: there may be others. */
enum result webhook_upkeep_warn(struct pg *pg, bool *more, struct error *error);
/* Removes and ends up to WEBHOOK_UPKEEP_BATCH of each kind. */
enum result webhook_upkeep_sweep(struct pg *pg, struct error *error);
/* Sets the gauges. */
enum result webhook_upkeep_show(struct pg *pg, struct error *error);

#endif
