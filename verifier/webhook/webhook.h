/*
 * Webhooks in PostgreSQL: a tenant's own, or the operator's, which are told of every tenant. Made, listed,
 * changed, removed; their secrets are written here and never read.
 */
#ifndef VERIFIER_WEBHOOK_WEBHOOK_H
#define VERIFIER_WEBHOOK_WEBHOOK_H

#include "common/seal/seal.h"
#include "verifier/access/scope.h"
#include "verifier/webhook/webhook_secret.h"

/* Of a tenant, and of the operator. */
enum { WEBHOOKS_MAX = 10, WEBHOOK_LABEL_MAX = 200, WEBHOOK_EVENTS_MAX = 50 };

/* Columns: id, tenant, url, label, events (JSON), is it on, off_reason, failures, failing_since,
 * paused_until, former_secret_until, created_at, created_by. After the id `after`. */
enum result webhook_list(struct pg *pg, const struct scope *scope, const char *tenant, int64_t after,
    int limit, PGresult **rows, struct error *error);
/* The same columns; no row: there is none. */
enum result webhook_show(
    struct pg *pg, const struct scope *scope, int64_t id, PGresult **rows, struct error *error);

/* In a change each may be NULL: as it was. */
struct webhook_values {
	const char *tenant; /* of a new one; NULL: the operator's */
	const char *url;
	const char *label;
	const char *events; /* as PostgreSQL writes an array */
	const char *is_on;  /* "t", "f" */
	bool clears_label;
};

/* R_NONE: there is no such tenant. R_LIMIT: it has WEBHOOKS_MAX. R_DENIED: another tenant's. Shows the
 * secret.
 */
enum result webhook_add(struct pg *pg, const struct scope *scope, const struct seal_keys *keys,
    const struct webhook_values *values, char secret[WEBHOOK_SECRET_SIZE], int64_t *id, struct error *error);
/* R_NONE: there is none. One that is switched on, or gets another URL, begins without failures. */
enum result webhook_change(struct pg *pg, const struct scope *scope, int64_t id,
    const struct webhook_values *values, struct error *error);
/* R_NONE: there is none. */
enum result webhook_remove(struct pg *pg, const struct scope *scope, int64_t id, struct error *error);
/* Another secret; the one that there was signs too for `overlap_s`. R_NONE: there is none. R_LOST: somebody
 * else did the same at this moment. */
enum result webhook_turn_secret(struct pg *pg, const struct scope *scope, const struct seal_keys *keys,
    int64_t id, int64_t overlap_s, char secret[WEBHOOK_SECRET_SIZE], struct error *error);

#endif
