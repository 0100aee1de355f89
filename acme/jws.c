#include "acme/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { P256_BYTES = 32, JWK_MAX = 256, HEADER_MAX = 8 * 1024 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum result base64url_encode(struct buf *out, const void *bytes, size_t size)
{
	const unsigned char *in = bytes;
	size_t length = size / 3 * 4 + (size % 3 ? size % 3 + 1 : 0);
	char *space = NULL;
	if (buf_reserve(out, length, &space) < length)
		return R_LIMIT;
	char *at = space;
	for (; size >= 3; in += 3, size -= 3) {
		*at++ = alphabet[in[0] >> 2];
		*at++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
		*at++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
		*at++ = alphabet[in[2] & 63];
	}
	if (size > 0) {
		unsigned char second = size > 1 ? in[1] : 0;
		*at++ = alphabet[in[0] >> 2];
		*at++ = alphabet[(in[0] & 3) << 4 | second >> 4];
		if (size > 1)
			*at++ = alphabet[(second & 15) << 2];
	}
	buf_commit(out, length);
	return R_OK;
}

static int sextet(char c)
{
	const char *at = c == '\0' ? NULL : strchr(alphabet, c);
	return at ? (int)(at - alphabet) : -1;
}

enum result base64url_decode(struct buf *out, const char *text, size_t size)
{
	if (size % 4 == 1)
		return R_INVALID;
	unsigned bits = 0;
	int count = 0;
	for (size_t i = 0; i < size; i++) {
		int value = sextet(text[i]);
		if (value < 0)
			return R_INVALID;
		bits = bits << 6 | (unsigned)value;
		count += 6;
		if (count < 8)
			continue;
		count -= 8;
		unsigned char byte = (unsigned char)(bits >> count);
		bits &= (1u << count) - 1;
		if (buf_append(out, &byte, 1) != R_OK)
			return R_LIMIT;
	}
	return bits == 0 ? R_OK : R_INVALID;
}

bool base64url_is_token(const char *text)
{
	size_t size = text ? strlen(text) : 0;
	return size > 0 && size <= JWS_TOKEN_MAX && strspn(text, alphabet) == size;
}

EVP_PKEY *jws_key_new(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	if (!key) {
		fprintf(stderr, "postern-acme: cannot make a P-256 key\n");
		abort();
	}
	return key;
}

enum result jws_append_jwk(struct buf *out, const EVP_PKEY *key, struct error *error)
{
	unsigned char point[1 + 2 * P256_BYTES];
	size_t size = 0;
	char group[32] = "";
	if (!EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL) ||
	    strcmp(group, "prime256v1") != 0 ||
	    !EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &size) ||
	    size != sizeof point || point[0] != POINT_CONVERSION_UNCOMPRESSED) {
		error_set(error, "account key: not a P-256 key");
		return R_INVALID;
	}
	enum result result = buf_append_string(out, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
	if (result == R_OK)
		result = base64url_encode(out, point + 1, P256_BYTES);
	if (result == R_OK)
		result = buf_append_string(out, "\",\"y\":\"");
	if (result == R_OK)
		result = base64url_encode(out, point + 1 + P256_BYTES, P256_BYTES);
	if (result == R_OK)
		result = buf_append_string(out, "\"}");
	return result;
}

void jws_thumbprint_of_jwk(char out[JWS_THUMBPRINT_SIZE], const char *jwk, size_t size)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)jwk, size, digest);
	struct buf text;
	buf_init(&text, JWS_THUMBPRINT_SIZE);
	base64url_encode(&text, digest, sizeof digest);
	snprintf(out, JWS_THUMBPRINT_SIZE, "%s", buf_string(&text));
	buf_fini(&text);
}

enum result jws_thumbprint(char out[JWS_THUMBPRINT_SIZE], const EVP_PKEY *key, struct error *error)
{
	struct buf jwk;
	buf_init(&jwk, JWK_MAX);
	enum result result = jws_append_jwk(&jwk, key, error);
	if (result == R_OK)
		jws_thumbprint_of_jwk(out, buf_bytes(&jwk), buf_size(&jwk));
	buf_fini(&jwk);
	return result;
}

enum result jws_key_authorization(
    char out[JWS_KEY_AUTHORIZATION_SIZE], const char *token, const char *thumbprint)
{
	if (!base64url_is_token(token))
		return R_INVALID;
	snprintf(out, JWS_KEY_AUTHORIZATION_SIZE, "%s.%s", token, thumbprint);
	return R_OK;
}

/* Nonces and URLs are checked where they enter (acme_http, acme_msg) to hold no byte that JSON escapes. */
static enum result append_header(
    struct buf *out, EVP_PKEY *key, const struct jws_header *header, struct error *error)
{
	enum result result = buf_append_format(
	    out, "{\"alg\":\"ES256\",\"nonce\":\"%s\",\"url\":\"%s\",", header->nonce, header->url);
	if (result != R_OK)
		return result;
	if (header->kid)
		return buf_append_format(out, "\"kid\":\"%s\"}", header->kid);
	result = buf_append_string(out, "\"jwk\":");
	if (result == R_OK)
		result = jws_append_jwk(out, key, error);
	return result == R_OK ? buf_append_string(out, "}") : result;
}

/* RFC 7518 section 3.4: r and s, 32 bytes each whatever their leading zeros; OpenSSL gives DER. */
static enum result sign_es256(
    unsigned char out[2 * P256_BYTES], EVP_PKEY *key, const void *bytes, size_t size)
{
	unsigned char der[128];
	size_t der_size = sizeof der;
	ECDSA_SIG *signature = NULL;
	enum result result = R_ERROR;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (!context || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(context, der, &der_size, bytes, size) != 1)
		goto out;
	const unsigned char *at = der;
	signature = d2i_ECDSA_SIG(NULL, &at, (long)der_size);
	if (!signature)
		goto out;
	if (BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, P256_BYTES) == P256_BYTES &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + P256_BYTES, P256_BYTES) == P256_BYTES)
		result = R_OK;
out:
	ECDSA_SIG_free(signature);
	EVP_MD_CTX_free(context);
	return result;
}

enum result jws_sign(
    struct buf *out, EVP_PKEY *key, const struct jws_header *header, const char *payload, struct error *error)
{
	struct buf protected;
	struct buf input; /* what is signed: protected "." payload, both encoded */
	unsigned char signature[2 * P256_BYTES];
	buf_init(&protected, HEADER_MAX);
	buf_init(&input, out->max);

	enum result result = append_header(&protected, key, header, error);
	if (result == R_OK)
		result = base64url_encode(&input, buf_bytes(&protected), buf_size(&protected));
	size_t protected_size = buf_size(&input);
	if (result == R_OK)
		result = buf_append_string(&input, ".");
	if (result == R_OK && payload)
		result = base64url_encode(&input, payload, strlen(payload));
	if (result == R_OK)
		result = sign_es256(signature, key, buf_bytes(&input), buf_size(&input));
	if (result == R_OK)
		result = buf_append_format(out, "{\"protected\":\"%.*s\",\"payload\":\"%s\",\"signature\":\"",
		    (int)protected_size, buf_string(&input), buf_string(&input) + protected_size + 1);
	if (result == R_OK)
		result = base64url_encode(out, signature, sizeof signature);
	if (result == R_OK)
		result = buf_append_string(out, "\"}");
	if (result != R_OK && error && error->text[0] == '\0')
		error_set(error, "cannot sign a request to %s (%s)", header->url, result_name(result));
	buf_fini(&input);
	buf_fini(&protected);
	return result;
}
