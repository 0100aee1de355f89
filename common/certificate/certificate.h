/*
 * Is this chain and key usable for this name now? One judgement for the issuer that stores and the edge that
 * serves: public key matches, exact name among the SANs (or a one-label wildcard), valid now, serverAuth,
 * each link of the chain signed by the next (reordered where needed). Root trust is not checked: a private CA
 * is fine.
 */
#ifndef COMMON_CERTIFICATE_H
#define COMMON_CERTIFICATE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"
#include "common/net/hostname.h"

enum { CERTIFICATE_CHAIN_MAX = 10, CERTIFICATE_PEM_MAX = 128 * 1024, CERTIFICATE_NAMES_MAX = 1000 };

/* DER of each certificate, leaf first, in one allocation; key as DER (RFC 5915 or PKCS #8). Owned by the
 * caller. */
struct certificate {
	unsigned char *chain[CERTIFICATE_CHAIN_MAX];
	size_t chain_size[CERTIFICATE_CHAIN_MAX];
	size_t chain_count;
	int64_t not_before; /* seconds since 1970 UTC */
	int64_t not_after;
	char serial[64];  /* hex */
	char issuer[256]; /* common name of the issuer */
};

/* `pem` may hold only CERTIFICATE blocks; a private key or anything else in it is R_INVALID. `key` is the
 * leaf's private key; `name` NULL asks for no name; `now` is seconds since 1970 UTC. `libctx` NULL is
 * OpenSSL's default. */
enum result certificate_parse(struct certificate *out, const char *pem, size_t pem_size, const EVP_PKEY *key,
    const char *name, int64_t now, OSSL_LIB_CTX *libctx, struct error *error);
/* Is the normalised name among the SANs, itself or by a one-label wildcard? */
bool certificate_covers(const X509 *leaf, const char *name);
/* The leaf's DNS names, normalised, each once, wildcards too; those that may be nobody's (an address, a
 * public suffix) are left out, and what is above CERTIFICATE_NAMES_MAX. free() *out. */
size_t certificate_names(const struct certificate *certificate, struct hostname **out);
/* Does the chain lead to a root: one at its end, or one that this system trusts? Who looks at a chain that
 * does not is told that it is no good, unless it knows the missing link. `wanted`: what signed the last one.
 */
bool certificate_is_complete(const struct certificate *certificate, char *wanted, size_t size);
void certificate_fini(struct certificate *certificate);

/* Does the file hold certificates of CAs in PEM, each of them whole? What stands between them is no matter.
 */
enum result certificate_check_bundle(const char *pem, size_t size, struct error *error);

/* Writes the chain as PEM, leaf first. */
struct buf;
enum result certificate_to_pem(const struct certificate *certificate, struct buf *out);

/* P-256 private keys as the 32-byte scalar (what is sealed and stored) and back: importing it takes 30 us
 * where d2i_AutoPrivateKey takes 347. Other keys (uploaded RSA, P-384) are PKCS #8 DER, told apart by their
 * size. */
enum result certificate_key_export(const EVP_PKEY *key, struct buf *out, struct error *error);
enum result certificate_key_import(
    EVP_PKEY **out, const void *bytes, size_t size, OSSL_LIB_CTX *libctx, struct error *error);

#endif
