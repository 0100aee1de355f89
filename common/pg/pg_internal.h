/*
 * The seam between a connection and its listener: the libpq handle beneath a struct pg, for what pg_query
 * cannot do. The handle is borrowed and gone after the next failure.
 */
#ifndef COMMON_PG_INTERNAL_H
#define COMMON_PG_INTERNAL_H

#include "common/pg/pg.h"

/* NULL while there is no connection. */
PGconn *pg_handle(struct pg *pg);
/* Closes the connection, as after a failure, and begins to reconnect. */
void pg_drop(struct pg *pg, const char *why);

#endif
