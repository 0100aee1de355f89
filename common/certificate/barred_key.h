/*
 * Keys whose private half is known to others (a revocation for keyCompromise): is this one of them? Kept as
 * hashes of the public key, for ever.
 */
#ifndef COMMON_BARRED_KEY_H
#define COMMON_BARRED_KEY_H

#include <openssl/types.h>
#include <stdbool.h>

#include "common/pg/pg.h"

enum { BARRED_KEY_DIGEST = 32 };

/* SHA-256 of the public half, as barred_keys has it. */
enum result barred_key_digest(unsigned char out[BARRED_KEY_DIGEST], const EVP_PKEY *key, struct error *error);
enum result barred_key_add(struct pg *pg, const EVP_PKEY *key, struct error *error);
enum result barred_key_check(struct pg *pg, const EVP_PKEY *key, bool *barred, struct error *error);

#endif
