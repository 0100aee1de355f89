/*
 * A diagnosis as it is stored and shown: verdicts, DNS provider, name servers.
 */
#ifndef VERIFIER_DIAGNOSE_DIAGNOSIS_JSON_H
#define VERIFIER_DIAGNOSE_DIAGNOSIS_JSON_H

#include <jansson.h>

#include "verifier/diagnose/judge.h"

/* {"verdicts": […], "provider": … or null, "servers": […]} */
json_t *diagnosis_json(const struct judge_case *facts, const struct verdicts *verdicts);

#endif
