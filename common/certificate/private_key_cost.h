/*
 * What an encrypted key's file asks for before it opens: iterations of PBKDF2 or of PKCS #12's derivation, or
 * memory and time of scrypt. The file is a stranger's, and so are its numbers.
 */
#ifndef COMMON_PRIVATE_KEY_COST_H
#define COMMON_PRIVATE_KEY_COST_H

#include <openssl/x509.h>
#include <stdbool.h>

/* Half a second at most, or a derivation that is not known here: that fails at once. */
bool private_key_cost_is_fair(const X509_SIG *encrypted);

#endif
