/*
 * The stored certificates as those may see them who uploaded them, or own the name: no keys. One whose name
 * has no claim at all is the operator's to see.
 */
#ifndef VERIFIER_CLAIM_STORED_CERTIFICATE_H
#define VERIFIER_CLAIM_STORED_CERTIFICATE_H

#include "verifier/access/scope.h"

struct stored_filter {
	const char *tenant, *source; /* NULL: any */
	const char *after;           /* names after this one */
	const char *names;           /* these alone, as pg_text_array writes them; NULL: any */
	int days;                    /* that end within so many; below 0: any */
};

/* Columns: name, tenant, source, issuer, serial, not_before, not_after, renew_at, stored_at, revoked_at,
 * removed_at, days left, whether its owner is to be warned. */
enum result stored_certificate_list(struct pg *pg, const struct scope *scope,
    const struct stored_filter *filter, int limit, PGresult **rows, struct error *error);
/* The same columns, and these. */
enum { STORED_CHAIN = 13, STORED_VERSION };
enum result stored_certificate_show(
    struct pg *pg, const struct scope *scope, const char *name, PGresult **rows, struct error *error);
/* Orders another one although this one is good. R_NONE: there is none; R_DENIED: it was uploaded, or the name
 * is served by an uploaded one. */
enum result stored_certificate_renew(
    struct pg *pg, const struct scope *scope, const char *name, struct error *error);

#endif
