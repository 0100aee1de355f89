/*
 * Options of a domain as a caller wants them changed: checked as the edges will read them, and by who may set
 * what.
 */
#ifndef VERIFIER_API_API_OPTIONS_H
#define VERIFIER_API_API_OPTIONS_H

#include "verifier/api/api_call.h"

/* The body's `options` merged into those that are stored (RFC 7396: null takes a key away), as JSON for the
 * row; to be freed. False after a problem was replied. `stored` NULL: none. */
bool api_options_merge(struct api_call *call, const char *stored, const char *name, char **out);
/* The same for one line of an import: R_INVALID with the key in `field` and the mend. */
enum result api_options_check(
    const struct scope *scope, const json_t *options, const char *name, char field[64], struct error *error);

#endif
