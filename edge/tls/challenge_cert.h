/*
 * The certificate that answers tls-alpn-01 (RFC 8737 section 3): self-signed, exactly one SAN, and the digest
 * of the key authorization in a critical extension. Made once per challenge row and worker, since a CA asks
 * from several places at once.
 */
#ifndef EDGE_CHALLENGE_CERT_H
#define EDGE_CHALLENGE_CERT_H

#include <openssl/types.h>
#include <stdint.h>

#include "common/base/result.h"

struct challenge_certs;

enum { CHALLENGE_CERTS_MAX = 64 }; /* kept per worker; the oldest goes */

struct challenge_certs *challenge_certs_new(OSSL_LIB_CTX *libctx);
void challenge_certs_free(struct challenge_certs *certs);

/* Installs the certificate for that row (its id, name and key authorization) in the SSL. */
enum result challenge_certs_install(
    struct challenge_certs *certs, int64_t id, const char *name, const char *key_authorization, SSL *ssl);

/* Makes one; both are the caller's. */
enum result challenge_cert_make(
    OSSL_LIB_CTX *libctx, const char *name, const char *key_authorization, X509 **x509, EVP_PKEY **key);

#endif
