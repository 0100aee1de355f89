/*
 * JSON out of a request's body: an object with only fields that are known, at most 16 levels deep.
 */
#ifndef VERIFIER_HTTP_JSON_BODY_H
#define VERIFIER_HTTP_JSON_BODY_H

#include <jansson.h>
#include <stddef.h>

#include "common/base/result.h"

/* R_INVALID: the error says what and where. Free with json_decref. */
enum result json_body_parse(json_t **out, const char *bytes, size_t size, struct error *error);
/* The first field that is not in `known` (which ends with NULL), or NULL. */
const char *json_body_unknown_field(const json_t *object, const char *const *known);

#endif
