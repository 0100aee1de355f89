/*
 * A stored certificate as the API shows it.
 */
#ifndef VERIFIER_API_CERTIFICATE_JSON_H
#define VERIFIER_API_CERTIFICATE_JSON_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

/* Of a row of stored_certificate_list, or of stored_certificate_show where `with_chain`. */
json_t *certificate_json(const PGresult *rows, int row, bool with_chain);

#endif
