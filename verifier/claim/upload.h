/*
 * Certificates that tenants bring, in PostgreSQL: for which rows one is, storing it for all of them or for
 * none, taking it away. What may be stored, and whose it is, is decided by functions of the database
 * (sql/0012_uploads.sql), since this role can write no certificate by itself, and read no key.
 */
#ifndef VERIFIER_CLAIM_UPLOAD_H
#define VERIFIER_CLAIM_UPLOAD_H

#include "common/certificate/own_certificate.h"
#include "common/dns/our_place.h"
#include "verifier/access/scope.h"

/* Rows of one upload; of a wildcard without a row of its own, one for each name under it. */
enum { UPLOAD_ROWS_MAX = 500 };

struct upload_row {
	struct hostname name;
	char tenant[TENANT_MAX + 1]; /* "": nobody's */
};

struct upload_rows {
	struct upload_row *rows; /* owned; in the order of names */
	size_t count;
	int64_t version; /* theirs when stored */
};

/* Of the names those that are owned within the scope, by `tenant` where that is not NULL; `asked`: they were
 * asked for one by one (see upload_names). R_LIMIT: there are more than UPLOAD_ROWS_MAX. */
enum result upload_find_rows(struct pg *pg, const struct scope *scope, const char *tenant,
    const struct hostname *names, size_t count, bool asked, struct upload_rows *out, struct error *error);
void upload_rows_fini(struct upload_rows *rows);

enum upload_stored {
	UPLOAD_ADDED,
	UPLOAD_REPLACED, /* each row was an upload before */
	UPLOAD_BARRED,   /* others know the key */
	UPLOAD_LOST,     /* a name is another's by now */
	UPLOAD_LATE,     /* a newer certificate was stored at the same time: find the rows again */
};
enum result upload_store(struct pg *pg, const struct scope *scope, const struct own_certificate *own,
    const struct seal_keys *seal, const struct upload_rows *rows, enum upload_stored *stored,
    struct error *error);

enum upload_removed {
	UPLOAD_NONE,      /* there is none that is the scope's */
	UPLOAD_ISSUED,    /* the issuer looks after it */
	UPLOAD_REMOVED,   /* nothing is served by it any more */
	UPLOAD_REPLACING, /* it is served until what takes its place is there */
	UPLOAD_CHANGED,   /* there is another version by now */
};
/* `version`: the one that is meant, digits; NULL: whichever there is. */
enum result upload_remove(struct pg *pg, const struct scope *scope, const char *name, const char *version,
    bool at_once, enum upload_removed *removed, struct error *error);

/* What is due: warnings before the end (*warned of them), removed ones that nobody needs any more. */
enum result upload_tend(struct pg *pg, int *warned, struct error *error);

#endif
