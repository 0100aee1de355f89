/*
 * What a receiver checks a message by: HMAC-SHA256 over id, time and body, as the Standard Webhooks
 * specification has it (standardwebhooks.com, version 1). Pure.
 */
#ifndef ACME_WEBHOOK_SIGNATURE_H
#define ACME_WEBHOOK_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

/* "v1," and 32 bytes in base64, and the NUL. */
enum { SIGNATURE_SIZE = 3 + 44 + 1 };

/* `secret`: its bytes, what `whsec_` is followed by, decoded. `id` holds no dot. */
void signature_make(char out[SIGNATURE_SIZE], const void *secret, size_t size, const char *id,
    int64_t timestamp, const char *body);

#endif
