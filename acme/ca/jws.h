/*
 * JSON Web Signatures as ACME wants them (RFC 7515, RFC 8555 section 6.2): flattened JSON, signed with
 * ES256, ES384 or RS256 as the key is, or HS256 for an external account; and what comes out of an account
 * key: its JWK, its thumbprint, key authorizations. Pure functions of their arguments.
 */
#ifndef ACME_JWS_H
#define ACME_JWS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/result.h"

enum {
	JWS_THUMBPRINT_SIZE = 44, /* 43 characters of base64url and the NUL */
	JWS_TOKEN_MAX = 256,      /* characters of a challenge token */
	JWS_KEY_AUTHORIZATION_SIZE = JWS_TOKEN_MAX + 1 + JWS_THUMBPRINT_SIZE,
};

/* Appends without padding (RFC 7515 section 2). R_LIMIT as buf_append. */
enum result base64url_encode(struct buf *out, const void *bytes, size_t size);
/* Refuses padding, line breaks and any other byte outside the alphabet. */
enum result base64url_decode(struct buf *out, const char *text, size_t size);
/* A challenge token (RFC 8555 section 8.1): 1 to JWS_TOKEN_MAX characters of the base64url alphabet. */
bool base64url_is_token(const char *text);

/* A new P-256 key, for accounts; ends the process if there is no randomness. */
EVP_PKEY *jws_key_new(void);

struct jws_header {
	const char *nonce; /* NULL: the inner JWS of keyChange has none (RFC 8555 section 7.3.5) */
	const char *url;
	const char *kid; /* the account's URL; NULL puts the public key itself in (newAccount) */
};

/* Appends the JWS of `payload`; NULL payload is POST-as-GET (RFC 8555 section 6.3). */
enum result jws_sign(struct buf *out, EVP_PKEY *key, const struct jws_header *header, const char *payload,
    struct error *error);

/* An external account (RFC 8555 section 7.3.4): `jwk`, the account's public key, under the HMAC key that the
 * CA gave out as `kid`. */
struct jws_external {
	const char *kid;
	unsigned char *key;
	size_t key_size;
};
enum result jws_sign_external(struct buf *out, const struct jws_external *external, const char *url,
    const char *jwk, struct error *error);

/* {"crv":…,"kty":…,"x":…,"y":…} or {"e":…,"kty":…,"n":…}: members in the order that RFC 7638 hashes.
 * R_INVALID: neither P-256 nor P-384 nor RSA of 2048 to 4096 bits. */
enum result jws_append_jwk(struct buf *out, const EVP_PKEY *key, struct error *error);
enum result jws_thumbprint(char out[JWS_THUMBPRINT_SIZE], const EVP_PKEY *key, struct error *error);
/* token "." thumbprint (RFC 8555 section 8.1). R_INVALID where the token is none. */
enum result jws_key_authorization(
    char out[JWS_KEY_AUTHORIZATION_SIZE], const char *token, const char *thumbprint);

#endif
