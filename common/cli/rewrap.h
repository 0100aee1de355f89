/*
 * Everything that is sealed in the database, sealed anew for the first key of the key file: column by column,
 * along the primary key, in batches of bounded size, while edges and issuers go on. A row that somebody
 * changes meanwhile is left to them and looked at again; what is done already is passed over, so that an
 * interrupted run is begun again at no cost.
 */
#ifndef COMMON_CLI_REWRAP_H
#define COMMON_CLI_REWRAP_H

#include <stdint.h>

#include "common/pg/pg.h"
#include "common/seal/seal.h"

struct rewrap_count {
	int64_t seen;
	int64_t wrapped;
	int64_t changed; /* by somebody else, in between */
	int64_t closed;  /* cannot be opened with any key of the file */
};

/* Told of each column's end. */
typedef void rewrap_report(void *arg, const char *column, const struct rewrap_count *count);

/* `sum`: over all columns. R_OK also where rows could not be opened. */
enum result rewrap_all(struct pg *pg, const struct seal_keys *keys, rewrap_report *report, void *arg,
    struct rewrap_count *sum, struct error *error);

#endif
