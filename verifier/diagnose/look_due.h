/*
 * Is a thorough look worth its questions, after the poller's ordinary check? Pure.
 */
#ifndef VERIFIER_DIAGNOSE_LOOK_DUE_H
#define VERIFIER_DIAGNOSE_LOOK_DUE_H

#include "verifier/claim/domain.h"

/* `memory`: of the last diagnosis. `again_s`: how old it may get while nothing changes. */
bool look_is_due(const struct domain_memory *memory, const struct domain_verdict *verdict, int again_s);

#endif
