/*
 * Keys whose private half is known to others (a revocation for keyCompromise): is this one of them? Kept as
 * hashes of the public key, for ever.
 */
#ifndef COMMON_BARRED_KEY_H
#define COMMON_BARRED_KEY_H

#include <openssl/types.h>
#include <stdbool.h>

#include "common/pg.h"

enum result barred_key_add(struct pg *pg, const EVP_PKEY *key, struct error *error);
enum result barred_key_check(struct pg *pg, const EVP_PKEY *key, bool *barred, struct error *error);

#endif
