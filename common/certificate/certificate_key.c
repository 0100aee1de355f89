/* A leaf's private key as the bytes that are sealed and stored, and back: quickly for P-256, which nearly all
 * are. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/certificate/certificate.h"

enum { SCALAR_SIZE = 32, POINT_SIZE = 65, PKCS8_MAX = 16 * 1024, SECURITY_BITS_MIN = 112 };

/* Building a group costs more than the rest of an import. Read only once built, so that threads may share it.
 */
static EC_GROUP *p256;
static pthread_once_t p256_once = PTHREAD_ONCE_INIT;

static void make_p256(void)
{
	p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
}

static bool is_p256(const EVP_PKEY *key)
{
	char group[64];
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
	       OBJ_txt2nid(group) == NID_X9_62_prime256v1;
}

static enum result export_scalar(const EVP_PKEY *key, struct buf *out, struct error *error)
{
	BIGNUM *scalar = NULL;
	unsigned char bytes[SCALAR_SIZE];
	enum result result = R_INVALID;
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1 ||
	    BN_bn2binpad(scalar, bytes, sizeof bytes) != sizeof bytes)
		error_set(error, "the key has no private half");
	else
		result = buf_append(out, bytes, sizeof bytes);
	OPENSSL_cleanse(bytes, sizeof bytes);
	BN_clear_free(scalar);
	return result;
}

enum result certificate_key_export(const EVP_PKEY *key, struct buf *out, struct error *error)
{
	if (is_p256(key))
		return export_scalar(key, out, error);
	enum result result = R_INVALID;
	unsigned char *der = NULL;
	int size = 0;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	if (info)
		size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	if (size <= 0)
		error_set(error, "the key has no private half");
	else if (size == SCALAR_SIZE)
		error_set(error, "a key of this kind cannot be stored");
	else
		result = buf_append(out, der, (size_t)size);
	if (der)
		OPENSSL_clear_free(der, (size_t)size);
	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	return result;
}

/* The public point: OpenSSL would import a scalar without it and then not know which certificate it is for.
 */
static bool public_point(const BIGNUM *scalar, unsigned char point[POINT_SIZE])
{
	pthread_once(&p256_once, make_p256);
	EC_POINT *product = p256 ? EC_POINT_new(p256) : NULL;
	bool ok = product && !BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(p256)) < 0 &&
		  EC_POINT_mul(p256, product, scalar, NULL, NULL, NULL) == 1 &&
		  EC_POINT_point2oct(p256, product, POINT_CONVERSION_UNCOMPRESSED, point, POINT_SIZE, NULL) ==
		      POINT_SIZE;
	EC_POINT_free(product);
	return ok;
}

static EVP_PKEY *import_scalar(const unsigned char bytes[SCALAR_SIZE], OSSL_LIB_CTX *libctx)
{
	unsigned char point[POINT_SIZE];
	EVP_PKEY *key = NULL;
	BIGNUM *scalar = BN_secure_new();
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	if (!scalar || !builder || !BN_bin2bn(bytes, SCALAR_SIZE, scalar) || !public_point(scalar, point))
		goto out;
	BN_set_flags(scalar, BN_FLG_CONSTTIME);
	if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) != 1)
		goto out;
	params = OSSL_PARAM_BLD_to_param(builder);
	ctx = EVP_PKEY_CTX_new_from_name(libctx, "EC", NULL);
	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
out:
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_clear_free(scalar);
	return key;
}

static EVP_PKEY *import_pkcs8(const unsigned char *bytes, size_t size, OSSL_LIB_CTX *libctx)
{
	const unsigned char *at = bytes;
	EVP_PKEY *key = size <= PKCS8_MAX ? d2i_AutoPrivateKey_ex(NULL, &at, (long)size, libctx, NULL) : NULL;
	bool ok = key && at == bytes + size && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC")) &&
		  EVP_PKEY_get_security_bits(key) >= SECURITY_BITS_MIN;
	if (ok)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

enum result certificate_key_import(
    EVP_PKEY **out, const void *bytes, size_t size, OSSL_LIB_CTX *libctx, struct error *error)
{
	*out = size == SCALAR_SIZE ? import_scalar(bytes, libctx) : import_pkcs8(bytes, size, libctx);
	ERR_clear_error();
	if (*out)
		return R_OK;
	error_set(error,
	    "the stored private key is damaged, or of a kind that is not served (RSA from 2,048 bits, EC)");
	return R_INVALID;
}
