/*
 * The certificate's key and its signing request (RFC 2986): one DNS name in subjectAltName, no subject. Both
 * are made together and stored together before the CA hears of them.
 */
#ifndef ACME_CSR_H
#define ACME_CSR_H

#include <openssl/types.h>

#include "common/buf.h"
#include "common/result.h"

enum { CSR_MAX = 4 * 1024 };

/* Appends the DER request, signed by `key`. The common name stays empty: it may hold 64 bytes only, names
 * 253. */
enum result csr_build(struct buf *out, EVP_PKEY *key, const char *name, struct error *error);

#endif
