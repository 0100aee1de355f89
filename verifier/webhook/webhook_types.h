/*
 * What webhooks may be told of. The database names them (webhook_type in sql/); here is which of them there
 * are, so that a misspelt one is refused rather than never sent.
 */
#ifndef VERIFIER_WEBHOOK_WEBHOOK_TYPES_H
#define VERIFIER_WEBHOOK_WEBHOOK_TYPES_H

#include <stdbool.h>

/* Ends with NULL. */
extern const char *const webhook_types[];

/* One of the types, or all of a kind: `domain.*`. */
bool webhook_types_has(const char *pattern);

#endif
