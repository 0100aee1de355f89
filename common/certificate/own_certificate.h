/*
 * A certificate that somebody got elsewhere and wants served here, with its key: read from PEM, judged as the
 * edges will judge it, and its key sealed for the row that it goes to. For `postern certificate import` and
 * the API.
 */
#ifndef COMMON_OWN_CERTIFICATE_H
#define COMMON_OWN_CERTIFICATE_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/certificate/certificate.h"
#include "common/certificate/private_key.h"
#include "common/seal/seal.h"

enum own_certificate_part { OWN_CHAIN, OWN_KEY, OWN_PASSPHRASE };

struct own_certificate {
	EVP_PKEY *key;
	struct certificate certificate;
	enum own_certificate_part wrong; /* which part a refusal is about */
};

/* PEM; owned by the caller, who wipes it. */
struct own_certificate_text {
	const char *chain, *key;
	size_t chain_size, key_size;
	const char *passphrase; /* NULL: none */
};

/* `name` NULL: it need not be for any name in particular. Not R_OK: the error says what is wrong and how to
 * mend it, without a word of what was in the text; own_certificate_fini is the caller's in any case. */
enum result own_certificate_read(struct own_certificate *own, const struct own_certificate_text *text,
    const char *name, int64_t now, struct error *error);
void own_certificate_fini(struct own_certificate *own);

/* Appends the key, sealed for certificates.key_sealed of that name and version. */
enum result own_certificate_seal(const struct own_certificate *own, const struct seal_keys *keys,
    const char *name, int64_t version, struct buf *sealed, struct error *error);

#endif
