/*
 * Bearer tokens (RFC 6750) compared by their hashes, in constant time.
 */
#ifndef VERIFIER_HTTP_BEARER_H
#define VERIFIER_HTTP_BEARER_H

#include "verifier/config.h"
#include "verifier/http/mhd.h"

/* The token of an Authorization header's value, or NULL where it is of another scheme. */
const char *bearer_token(const char *authorization);
bool bearer_is(const char *token, const unsigned char hash[CONFIG_HASH]);
bool bearer_matches(const struct mhd_request *request, const unsigned char hash[CONFIG_HASH]);

#endif
