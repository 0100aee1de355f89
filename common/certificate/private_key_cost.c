#include "common/certificate/private_key_cost.h"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <stdint.h>

/* A million iterations of SHA-256 take half a second; OpenSSL writes 2,048, careful people ten times 60,000.
 */
enum { ITERATIONS_MAX = 1000000 };

static bool is_few(const ASN1_INTEGER *number)
{
	int64_t value = 0;
	return ASN1_INTEGER_get_int64(&value, number) == 1 && value >= 1 && value <= ITERATIONS_MAX;
}

/* RFC 7914: time is N * r * p, and OpenSSL writes 16,384 * 8 * 1. */
static bool is_cheap_scrypt(const ASN1_TYPE *parameter)
{
	SCRYPT_PARAMS *params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), parameter);
	uint64_t n = 0, r = 0, p = 0;
	bool cheap = params && ASN1_INTEGER_get_uint64(&n, params->costParameter) == 1 &&
		     ASN1_INTEGER_get_uint64(&r, params->blockSize) == 1 &&
		     ASN1_INTEGER_get_uint64(&p, params->parallelizationParameter) == 1 &&
		     n <= ITERATIONS_MAX && r <= ITERATIONS_MAX && p <= ITERATIONS_MAX &&
		     n * r <= ITERATIONS_MAX && n * r * p <= ITERATIONS_MAX;
	SCRYPT_PARAMS_free(params);
	return cheap;
}

static bool is_cheap_pbkdf2(const ASN1_TYPE *parameter)
{
	PBKDF2PARAM *params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), parameter);
	bool cheap = params && is_few(params->iter);
	PBKDF2PARAM_free(params);
	return cheap;
}

static bool is_cheap_pbes2(const ASN1_TYPE *parameter)
{
	PBE2PARAM *params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameter);
	int kind = params ? OBJ_obj2nid(params->keyfunc->algorithm) : NID_undef;
	bool cheap = (kind == NID_id_pbkdf2 && is_cheap_pbkdf2(params->keyfunc->parameter)) ||
		     (kind == NID_id_scrypt && is_cheap_scrypt(params->keyfunc->parameter));
	PBE2PARAM_free(params);
	return cheap;
}

static bool is_cheap_pbe(const ASN1_TYPE *parameter)
{
	PBEPARAM *params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), parameter);
	bool cheap = params && is_few(params->iter);
	PBEPARAM_free(params);
	return cheap;
}

bool private_key_cost_is_fair(const X509_SIG *encrypted)
{
	const X509_ALGOR *algorithm = NULL;
	X509_SIG_get0(encrypted, &algorithm, NULL);
	return OBJ_obj2nid(algorithm->algorithm) == NID_pbes2 ? is_cheap_pbes2(algorithm->parameter)
							      : is_cheap_pbe(algorithm->parameter);
}
