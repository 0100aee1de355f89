#include "acme/ca/jws.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MAX = 48, RSA_BYTES_MAX = 512, JWK_MAX = 1024, HEADER_MAX = 8 * 1024 };

/* `width`: bytes of a coordinate, and of r and s; 0: RSA. */
struct algorithm {
	const char *name;
	const char *curve;
	const char *group;
	size_t width;
	const EVP_MD *(*digest)(void);
};

static const struct algorithm algorithms[] = {
    {"ES256", "P-256", "prime256v1", 32, EVP_sha256},
    {"ES384", "P-384", "secp384r1", 48, EVP_sha384},
    {"RS256", NULL, NULL, 0, EVP_sha256},
};

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

static const struct algorithm *algorithm_of(const EVP_PKEY *key)
{
	char group[32] = "";
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= 2048 && EVP_PKEY_get_bits(key) <= 8 * RSA_BYTES_MAX
			   ? &algorithms[2]
			   : NULL;
	if (!EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL))
		return NULL;
	for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++)
		if (algorithms[i].group && strcmp(algorithms[i].group, group) == 0)
			return &algorithms[i];
	return NULL;
}

static enum result append_ec_jwk(struct buf *out, const EVP_PKEY *key, const struct algorithm *algorithm)
{
	unsigned char point[1 + 2 * WIDTH_MAX];
	size_t width = algorithm->width;
	size_t size = 0;
	if (!EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &size) ||
	    size != 1 + 2 * width || point[0] != POINT_CONVERSION_UNCOMPRESSED)
		return R_INVALID;
	enum result result =
	    buf_append_format(out, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"", algorithm->curve);
	if (result == R_OK)
		result = base64url_encode(out, point + 1, width);
	if (result == R_OK)
		result = buf_append_string(out, "\",\"y\":\"");
	if (result == R_OK)
		result = base64url_encode(out, point + 1 + width, width);
	return result == R_OK ? buf_append_string(out, "\"}") : result;
}

/* RFC 7518 section 6.3.1: as few bytes as the number needs. */
static enum result append_number(struct buf *out, const EVP_PKEY *key, const char *param)
{
	unsigned char bytes[RSA_BYTES_MAX];
	BIGNUM *number = NULL;
	if (!EVP_PKEY_get_bn_param(key, param, &number))
		return R_INVALID;
	enum result result = R_INVALID;
	if (BN_num_bytes(number) <= RSA_BYTES_MAX)
		result = base64url_encode(out, bytes, (size_t)BN_bn2bin(number, bytes));
	BN_free(number);
	return result;
}

static enum result append_rsa_jwk(struct buf *out, const EVP_PKEY *key)
{
	enum result result = buf_append_string(out, "{\"e\":\"");
	if (result == R_OK)
		result = append_number(out, key, OSSL_PKEY_PARAM_RSA_E);
	if (result == R_OK)
		result = buf_append_string(out, "\",\"kty\":\"RSA\",\"n\":\"");
	if (result == R_OK)
		result = append_number(out, key, OSSL_PKEY_PARAM_RSA_N);
	return result == R_OK ? buf_append_string(out, "\"}") : result;
}

enum result jws_append_jwk(struct buf *out, const EVP_PKEY *key, struct error *error)
{
	const struct algorithm *algorithm = algorithm_of(key);
	if (!algorithm) {
		error_set(error, "account key: neither P-256 nor P-384 nor RSA of 2048 to 4096 bits");
		return R_INVALID;
	}
	return algorithm->width > 0 ? append_ec_jwk(out, key, algorithm) : append_rsa_jwk(out, key);
}

/* RFC 7638 section 3: SHA-256 of the canonical form. */
static void thumbprint_of(char out[JWS_THUMBPRINT_SIZE], const char *jwk, size_t size)
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
		thumbprint_of(out, buf_bytes(&jwk), buf_size(&jwk));
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
	const struct algorithm *algorithm = algorithm_of(key);
	enum result result = buf_append_format(out, "{\"alg\":\"%s\",", algorithm ? algorithm->name : "");
	if (result == R_OK && header->nonce)
		result = buf_append_format(out, "\"nonce\":\"%s\",", header->nonce);
	if (result == R_OK)
		result = buf_append_format(out, "\"url\":\"%s\",", header->url);
	if (result != R_OK)
		return result;
	if (header->kid)
		return buf_append_format(out, "\"kid\":\"%s\"}", header->kid);
	result = buf_append_string(out, "\"jwk\":");
	if (result == R_OK)
		result = jws_append_jwk(out, key, error);
	return result == R_OK ? buf_append_string(out, "}") : result;
}

/* RFC 7518 section 3.4: r and s in full width whatever their leading zeros; OpenSSL gives DER. */
static enum result flatten(unsigned char *out, const unsigned char *der, size_t size, int width)
{
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)size);
	enum result result = R_ERROR;
	if (signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, width) == width &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + width, width) == width)
		result = R_OK;
	ECDSA_SIG_free(signature);
	return result;
}

static enum result sign(
    unsigned char out[RSA_BYTES_MAX], size_t *size, EVP_PKEY *key, const struct buf *input)
{
	const struct algorithm *algorithm = algorithm_of(key);
	unsigned char raw[RSA_BYTES_MAX];
	size_t raw_size = sizeof raw;
	enum result result = R_ERROR;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (!context || !algorithm ||
	    EVP_DigestSignInit(context, NULL, algorithm->digest(), NULL, key) != 1 ||
	    EVP_DigestSign(
		context, raw, &raw_size, (const unsigned char *)buf_bytes(input), buf_size(input)) != 1)
		goto out;
	*size = algorithm->width > 0 ? 2 * algorithm->width : raw_size;
	if (algorithm->width > 0)
		result = flatten(out, raw, raw_size, (int)algorithm->width);
	else {
		memcpy(out, raw, raw_size);
		result = R_OK;
	}
out:
	EVP_MD_CTX_free(context);
	return result;
}

/* What is signed: protected "." payload, both encoded. */
static enum result append_input(struct buf *input, const struct buf *header, const char *payload)
{
	enum result result = base64url_encode(input, buf_bytes(header), buf_size(header));
	if (result == R_OK)
		result = buf_append_string(input, ".");
	if (result == R_OK && payload)
		result = base64url_encode(input, payload, strlen(payload));
	return result;
}

static enum result append_signed(struct buf *out, struct buf *input, const void *signature, size_t size)
{
	const char *text = buf_string(input);
	int dot = (int)strcspn(text, ".");
	enum result result = buf_append_format(
	    out, "{\"protected\":\"%.*s\",\"payload\":\"%s\",\"signature\":\"", dot, text, text + dot + 1);
	if (result == R_OK)
		result = base64url_encode(out, signature, size);
	return result == R_OK ? buf_append_string(out, "\"}") : result;
}

enum result jws_sign(
    struct buf *out, EVP_PKEY *key, const struct jws_header *header, const char *payload, struct error *error)
{
	struct buf protected;
	struct buf input;
	unsigned char signature[RSA_BYTES_MAX];
	size_t size = 0;
	buf_init(&protected, HEADER_MAX);
	buf_init(&input, out->max);

	enum result result = append_header(&protected, key, header, error);
	if (result == R_OK)
		result = append_input(&input, &protected, payload);
	if (result == R_OK)
		result = sign(signature, &size, key, &input);
	if (result == R_OK)
		result = append_signed(out, &input, signature, size);
	if (result != R_OK && error && error->text[0] == '\0')
		error_set(error, "cannot sign a request to %s (%s)", header->url, result_name(result));
	buf_fini(&input);
	buf_fini(&protected);
	return result;
}

enum result jws_sign_external(struct buf *out, const struct jws_external *external, const char *url,
    const char *jwk, struct error *error)
{
	struct buf protected;
	struct buf input;
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	buf_init(&protected, HEADER_MAX);
	buf_init(&input, HEADER_MAX);
	enum result result = buf_append_format(
	    &protected, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"url\":\"%s\"}", external->kid, url);
	if (result == R_OK)
		result = append_input(&input, &protected, jwk);
	if (result == R_OK && !HMAC(EVP_sha256(), external->key, (int)external->key_size,
				  (const unsigned char *)buf_bytes(&input), buf_size(&input), mac, &size))
		result = R_ERROR;
	if (result == R_OK)
		result = append_signed(out, &input, mac, size);
	if (result != R_OK)
		error_set(error, "cannot sign for the external account %s", external->kid);
	buf_fini(&input);
	buf_fini(&protected);
	return result;
}
