#include "acme/order/csr.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	const char *curve;
	size_t bits;
} types[CERTIFICATE_KEY_TYPES] = {
    [KEY_P256] = {"p256", "P-256", 0},
    [KEY_P384] = {"p384", "P-384", 0},
    [KEY_RSA2048] = {"rsa2048", NULL, 2048},
    [KEY_RSA3072] = {"rsa3072", NULL, 3072},
    [KEY_RSA4096] = {"rsa4096", NULL, 4096},
};

enum certificate_key_type csr_key_type(const char *name)
{
	int type = 0;
	while (strcmp(types[type].name, name) != 0)
		if (++type == CERTIFICATE_KEY_TYPES)
			abort();
	return (enum certificate_key_type)type;
}

EVP_PKEY *csr_key_new(enum certificate_key_type type)
{
	EVP_PKEY *key = types[type].curve ? EVP_EC_gen(types[type].curve) : EVP_RSA_gen(types[type].bits);
	if (!key) {
		fprintf(stderr, "postern-acme: cannot make a %s key\n", types[type].name);
		abort();
	}
	return key;
}

/* The name goes in as it is, not through OpenSSL's "DNS:…" mini-language, where a comma would start another.
 */
static GENERAL_NAMES *names_of(const char *name)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *entry = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	if (!names || !entry || !text || !ASN1_STRING_set(text, name, (int)strlen(name)) ||
	    !sk_GENERAL_NAME_push(names, entry)) {
		ASN1_IA5STRING_free(text);
		GENERAL_NAME_free(entry);
		GENERAL_NAMES_free(names);
		return NULL;
	}
	GENERAL_NAME_set0_value(entry, GEN_DNS, text);
	return names;
}

enum result csr_build(struct buf *out, EVP_PKEY *key, const char *name, struct error *error)
{
	enum result result = R_ERROR;
	const EVP_MD *digest = EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();
	unsigned char *der = NULL;
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	X509_REQ *request = X509_REQ_new();
	GENERAL_NAMES *names = names_of(name);
	if (!request || !names || X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, 0) != 1)
		goto out;
	if (X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
	    X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_add_extensions(request, extensions) != 1 ||
	    X509_REQ_sign(request, key, digest) <= 0)
		goto out;
	int size = i2d_X509_REQ(request, &der);
	if (size > 0)
		result = buf_append(out, der, (size_t)size);
out:
	if (result != R_OK)
		error_set(error, "cannot make a certificate request for %s", name);
	OPENSSL_free(der);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(names);
	X509_REQ_free(request);
	return result;
}
