/*
 * Is what the CA issued what was asked for, and when is it to be renewed? One judgement before anything is
 * stored.
 */
#ifndef ACME_ACCEPT_H
#define ACME_ACCEPT_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/result.h"
#include "common/certificate/certificate.h"

/* certificate_parse, and beyond it: the names are exactly this one, nothing more, and the chain's first
 * issuer has not expired. `now` in seconds since 1970. */
enum result accept_certificate(struct certificate *out, const char *pem, size_t size, const EVP_PKEY *key,
    const char *name, int64_t now, struct error *error);

/* Is `issuer` the common name of the topmost issuer in this PEM chain, leaf first? */
bool chain_is_topped_by(const char *pem, size_t size, const char *issuer);

/* After 2/3 of the certificate's life, 1/2 where it lives less than 10 days, moved by up to 2 % of its life
 * by a hash of the name: certificates that were issued together are not all renewed in one minute. Seconds
 * since 1970. */
int64_t renewal_time(const char *name, int64_t not_before, int64_t not_after);

#endif
