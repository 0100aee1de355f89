/*
 * Tenants in PostgreSQL, their quotas, and the audit trail of what was done for each.
 */
#ifndef VERIFIER_ACCESS_TENANT_H
#define VERIFIER_ACCESS_TENANT_H

#include "verifier/access/scope.h"

enum { TENANT_TITLE_MAX = 200 };

/* What may be set: NULL leaves it as it is, `clears_…` takes it away. */
struct tenant_change {
	const char *title;
	const char *max_domains, *verifications_per_hour; /* digits */
	bool clears_title, clears_max_domains, clears_verifications;
};

/* R_NONE: there is one already. */
enum result tenant_create(struct pg *pg, const struct scope *scope, const char *id,
    const struct tenant_change *values, struct error *error);
/* R_NONE: there is none. */
enum result tenant_change(struct pg *pg, const struct scope *scope, const char *id,
    const struct tenant_change *values, struct error *error);
/* Nobody else changes it before the end of the transaction, nor adds domains to it. */
enum result tenant_lock(struct pg *pg, const struct scope *scope, const char *id, struct error *error);
/* Columns: id, title, max_domains, verifications_per_hour, created_at, domains. After the id `after`; `id`
 * not NULL: this one alone. */
enum result tenant_list(struct pg *pg, const struct scope *scope, const char *id, const char *after,
    int limit, PGresult **rows, struct error *error);

/* Takes one of the tenant's verifications; *wait_s: 0, or the seconds until there is one. `per_hour` below 0:
 * any number. */
enum result tenant_take_verification(struct pg *pg, const struct scope *scope, const char *tenant,
    int per_hour, int *wait_s, struct error *error);

/* What happened, newest first. Each NULL: any; `before` 0: from the newest on. */
struct event_filter {
	const char *tenant, *name, *event;
	int64_t before;
};
/* Columns: id, at, tenant, name, event, actor, remote, detail. */
enum result tenant_events(struct pg *pg, const struct scope *scope, const struct event_filter *filter,
    int limit, PGresult **rows, struct error *error);

#endif
