/*
 * The certificate's key and its signing request (RFC 2986): one DNS name in subjectAltName, no subject. Both
 * are made together and stored together before the CA hears of them.
 */
#ifndef ACME_CSR_H
#define ACME_CSR_H

#include <openssl/types.h>

#include "common/base/buf.h"
#include "common/base/result.h"

enum { CSR_MAX = 4 * 1024 };

/* The setting certificate-key. */
enum certificate_key_type {
	KEY_P256,
	KEY_P384,
	KEY_RSA2048,
	KEY_RSA3072,
	KEY_RSA4096,
	CERTIFICATE_KEY_TYPES
};
#define CSR_KEY_CHOICES "p256|p384|rsa2048|rsa3072|rsa4096"
/* One of CSR_KEY_CHOICES. */
enum certificate_key_type csr_key_type(const char *name);
/* Ends the process if there is no randomness. */
EVP_PKEY *csr_key_new(enum certificate_key_type type);

/* Appends the DER request, signed by `key`. The common name stays empty: it may hold 64 bytes only, names
 * 253. */
enum result csr_build(struct buf *out, EVP_PKEY *key, const char *name, struct error *error);

#endif
