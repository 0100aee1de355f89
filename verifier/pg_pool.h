/*
 * A few database connections shared by the API's threads, each taken by one thread at a time and never held
 * while that thread waits for anything but the database.
 */
#ifndef VERIFIER_PG_POOL_H
#define VERIFIER_PG_POOL_H

#include "common/pg/pg.h"

enum { PG_POOL_SIZE = 8, PG_POOL_WAIT_MS = 2000 };

struct pg_pool;

struct pg_pool *pg_pool_new(const char *conninfo, const char *role);
/* All connections must have been given back. */
void pg_pool_free(struct pg_pool *pool);

/* A connection that answered lately, or NULL with the reason after PG_POOL_WAIT_MS: none free, or none to be
 * had. */
struct pg *pg_pool_take(struct pg_pool *pool, struct error *error);
void pg_pool_give(struct pg_pool *pool, struct pg *pg);

#endif
