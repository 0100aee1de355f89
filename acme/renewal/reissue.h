/*
 * Campaigns of re-issue (`postern reissue`): walks the names in bounded steps and enqueues those that the
 * campaign is about, so few at a time that nobody else's work waits behind them. Where it got to is in the
 * row: any node does the next step.
 */
#ifndef ACME_REISSUE_H
#define ACME_REISSUE_H

#include <stdbool.h>

#include "common/pg/pg.h"

/* REISSUE_AHEAD: jobs of campaigns that wait at once. REISSUE_STEP: names looked at in one step. */
enum { REISSUE_AHEAD = 100, REISSUE_STEP = 5000 };

/* One step of the oldest campaign that is not done. *more: another step makes sense at once. */
enum result reissue_step(struct pg *pg, bool *more, struct error *error);

#endif
