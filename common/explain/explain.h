/*
 * What is known of one name, as statements that `postern explain` prints and the API answers with: a column's
 * name is the field's. $1 is the tenant that asks (NULL: the operator), $2 the name, $3 its registrable
 * domain (or the name again). A tenant sees its own claims and what happened to them; certificate, issuance,
 * failures and budget are the owner's of the name to see, and nobody else's.
 */
#ifndef COMMON_EXPLAIN_EXPLAIN_H
#define COMMON_EXPLAIN_EXPLAIN_H

#include <stdbool.h>

struct explain_part {
	const char *field;
	const char *title, *none; /* for a person */
	const char *sql;
	bool is_one; /* one row or none */
};

enum { EXPLAIN_PARTS = 8 };
extern const struct explain_part explain_parts[EXPLAIN_PARTS];

/* The highest $n of a statement: how many of the three it wants. */
int explain_params(const char *sql);

#endif
