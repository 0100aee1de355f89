/*
 * What every reader of the CA's JSON needs: a document that is an object, and members that are URLs. Only
 * acme_msg.c, acme_directory.c and ari.c include it.
 */
#ifndef ACME_ACME_JSON_H
#define ACME_ACME_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "acme/ca/acme_msg.h"

/* NULL: not JSON, or no object; the error begins with `what`. jansson refuses nesting deeper than 2,048, NUL
 * in strings, and what is not UTF-8. */
json_t *acme_json_object(const char *what, const char *json, size_t size, struct error *error);
/* Copies a usable URL; R_INVALID says which member of `what` is none. */
enum result acme_json_url(
    char out[ACME_URL_SIZE], const char *what, const char *member, const json_t *value, struct error *error);

#endif
