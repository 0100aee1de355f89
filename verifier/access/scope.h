/*
 * For whom a statement runs: the tenant that it may see and change, and who is behind it, for the audit
 * trail. Every statement about tenants' rows goes through scope_run, so that none can forget to ask whose
 * they are.
 */
#ifndef VERIFIER_ACCESS_SCOPE_H
#define VERIFIER_ACCESS_SCOPE_H

#include <stdbool.h>

#include "common/pg/pg.h"

enum { SCOPE_PARAMS = 24, SCOPE_QUERY_MS = 2000 };

struct scope {
	const char *tenant; /* NULL: the operator, or a thread of our own: every tenant's */
	const char *actor;  /* "admin-token", "token:7", "dashboard", "poller" */
	const char *remote; /* the address that asked; NULL: nobody did */
};

/* A condition that belongs into each statement: `table` is the alias of the table that has the tenant. */
#define SCOPE_OF(table) "($1::text IS NULL OR " table ".tenant = $1)"
/* For a statement that hands the tenant on to a function of the database, which looks at it. */
#define SCOPE_TENANT "$1::text"

/* As pg_run, with the scope's tenant as $1; `...` are $2 and so on. A statement without SCOPE_OF or
 * SCOPE_TENANT is a bug and ends the process. */
enum result scope_query(struct pg *pg, const struct scope *scope, PGresult **out, struct error *error,
    const char *sql, const struct pg_param *params, int count);
#define scope_run(pg, scope, out, error, sql, ...) \
	scope_query((pg), (scope), (out), (error), (sql), (const struct pg_param[]){__VA_ARGS__}, \
	    (int)(sizeof((const struct pg_param[]){__VA_ARGS__}) / sizeof(struct pg_param)))

/* May the scope do something for this tenant? */
bool scope_holds(const struct scope *scope, const char *tenant);

#endif
