/*
 * A POST that is sent again with the same Idempotency-Key is answered as it was the first time, for 24 hours,
 * by any verifier.
 */
#ifndef VERIFIER_API_API_IDEMPOTENCY_H
#define VERIFIER_API_API_IDEMPOTENCY_H

#include "verifier/api/api_call.h"

/* Runs the route's handler, or replies what it replied to the same request. */
void api_idempotency_run(struct api_call *call, const char *key);

#endif
