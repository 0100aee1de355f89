/*
 * A private key as the blob that a row holds, and back: account keys, keys of orders in progress, keys of
 * stored certificates. The plaintext is wiped before these return.
 */
#ifndef ACME_SEALED_KEY_H
#define ACME_SEALED_KEY_H

#include <openssl/types.h>

#include "common/base/buf.h"
#include "common/seal/seal.h"

enum { SEALED_KEY_MAX = 16 * 1024 };

/* Appends to `out`, whose maximum should be SEALED_KEY_MAX. */
enum result sealed_key_make(const struct seal_keys *keys, const struct seal_place *place, const EVP_PKEY *key,
    struct buf *out, struct error *error);
/* *out is the caller's, NULL unless R_OK. */
enum result sealed_key_open(const struct seal_keys *keys, const struct seal_place *place, const void *sealed,
    size_t size, EVP_PKEY **out, struct error *error);

#endif
