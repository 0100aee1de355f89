/*
 * A private key out of PEM as people have it: PKCS #8, in the clear or encrypted, or one of the older forms.
 * Only what the edges serve comes out: RSA from 2,048 to 4,096 bits (a longer one would let its owner keep a
 * node busy with handshakes), P-256, P-384.
 *
 * Limits: 64 KiB of text; an encrypted key may cost about a second to open, whatever it asks for. What was
 * decoded on the way is wiped; the text is the caller's to wipe.
 */
#ifndef COMMON_PRIVATE_KEY_H
#define COMMON_PRIVATE_KEY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/result.h"

enum { PRIVATE_KEY_PEM_MAX = 64 * 1024, PRIVATE_KEY_PASSPHRASE_MAX = 1023 };

/* Text between blocks, certificates and EC PARAMETERS are passed over. `passphrase` may be NULL. R_NONE: the
 * key is encrypted, and there is no pass phrase. R_DENIED: the pass phrase is wrong. R_INVALID: all else. */
enum result private_key_read(
    EVP_PKEY **out, const char *pem, size_t size, const char *passphrase, struct error *error);

/* Does the key sign what the certificate's public key verifies? Comparing public halves would believe a file
 * whose public half was put beside another private one. */
bool private_key_is_of(EVP_PKEY *key, EVP_PKEY *public_key);

#endif
