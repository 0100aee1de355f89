/*
 * What site_store.c (the connection, what is asked for) and site_look.c (what is known of names) share.
 */
#ifndef EDGE_SITE_STORE_INTERNAL_H
#define EDGE_SITE_STORE_INTERNAL_H

#include "common/pg/pg.h"
#include "edge/site/site_judge.h"
#include "edge/site/site_store.h"

struct site_store {
	struct pg *pg;
	struct site_judge *judge;
	struct site_cache *cache;
	bool down; /* the last statement found no database: the next ones need not wait for it */
	struct hostname wildcards[SITE_STORE_STAMPS]; /* of the names of the statement */
};

/* All statements may run twice: a broken connection is tried again as long as there is time. */
enum result site_store_run(struct site_store *store, int timeout_ms, PGresult **out, struct error *error,
    const char *sql, const struct pg_param *params, int count);
/* A text[] of names that stand `stride` bytes apart; free() it. */
char *site_store_names(const struct hostname *names, size_t stride, size_t count);
/* The place that WITH ORDINALITY numbered from 1; the database is not believed blindly. */
bool site_store_row_index(const PGresult *result, int row, size_t count, size_t *index);
enum issuance_state site_store_issuance(const char *state, bool not_yet, bool recheck);

#endif
