/*
 * The secret that a webhook's messages are signed with: made here, shown in one answer, and sealed before it
 * is stored. Who opens it is the issuer; nothing in this process can.
 */
#ifndef VERIFIER_WEBHOOK_WEBHOOK_SECRET_H
#define VERIFIER_WEBHOOK_WEBHOOK_SECRET_H

#include <stdint.h>

#include "common/seal/seal.h"

/* `whsec_` and the bytes in base64 (Standard Webhooks), and the NUL. */
enum { WEBHOOK_SECRET_BYTES = 32, WEBHOOK_SECRET_SIZE = 6 + 44 + 1 };

/* Appends what is to be stored for this webhook as this version of its secret. Cleanse `text` after use. */
enum result webhook_secret_make(const struct seal_keys *keys, int64_t webhook, int64_t version,
    char text[WEBHOOK_SECRET_SIZE], struct buf *sealed, struct error *error);

#endif
