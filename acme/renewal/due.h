/*
 * Which certificates are to be renewed now: claimed in batches of bounded size along certificates_due, by the
 * database's clock, each by one node however many look; and turned into jobs.
 */
#ifndef ACME_DUE_H
#define ACME_DUE_H

#include <stdint.h>

#include "common/pg/pg.h"

enum { DUE_BATCH = 500 };

/* Claims up to DUE_BATCH certificates whose time has come and enqueues those whose name is not blocked; also
 * those that wait in too quiet a lane by now. What is claimed is not due again for a quarter of an hour or a
 * little more. *claimed says how many were looked at: DUE_BATCH, and there may be more. */
enum result due_enqueue(struct pg *pg, int *claimed, int *enqueued, struct error *error);

/* Certificates that are due and not claimed, at most 10,000 of them counted. */
enum result due_count(struct pg *pg, int64_t *out, struct error *error);

#endif
