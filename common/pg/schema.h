/*
 * Does the database have the tables that this program was written for? Daemons ask at start, and again until
 * the answer is yes; `postern migrate` makes it so.
 */
#ifndef COMMON_SCHEMA_H
#define COMMON_SCHEMA_H

#include "common/pg/pg.h"

/* The newest file in sql/. */
enum { SCHEMA_VERSION = 13 };

/* R_DOWN, R_TIMEOUT: not reachable now, try again. R_INVALID: too old, too new, or not migrated; the error
 * says which and what to do. R_ERROR: the server refused the question. */
enum result schema_check(struct pg *pg, int timeout_ms, struct error *error);
/* For a thread of upkeep: connected, and the tables have been seen once (*seen is its memory of that). Both
 * within timeout_ms. Who works on jobs says what is wrong; here it is only waited for. */
bool schema_is_ready(struct pg *pg, int timeout_ms, bool *seen);

#endif
