/*
 * What the handlers of webhooks and of their deliveries share.
 */
#ifndef VERIFIER_API_API_WEBHOOK_H
#define VERIFIER_API_API_WEBHOOK_H

#include "verifier/api/api_call.h"

/* 404. */
void api_webhook_unknown(struct api_call *call);

#endif
