/*
 * A domain as the API shows it.
 */
#ifndef VERIFIER_API_DOMAIN_JSON_H
#define VERIFIER_API_DOMAIN_JSON_H

#include <jansson.h>

#include "verifier/claim/domain.h"

json_t *domain_json(const struct config *config, const struct domain_view *view);
/* The same without what each name server said: for a list. */
json_t *domain_json_short(const struct config *config, const struct domain_view *view);
/* What a check that was just made came to. */
json_t *domain_json_check(const struct domain_verdict *verdict);

#endif
