/*
 * A statement's rows as JSON: a column's name is the field's, its type the value's. Numbers and booleans are
 * themselves, json is what it holds, everything else is text, and NULL is null.
 */
#ifndef VERIFIER_API_API_ROWS_H
#define VERIFIER_API_API_ROWS_H

#include <jansson.h>
#include <libpq-fe.h>

json_t *api_row_json(const PGresult *rows, int row);
/* All of them, as an array. */
json_t *api_rows_json(const PGresult *rows);

#endif
