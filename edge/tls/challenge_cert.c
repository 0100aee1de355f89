#include "edge/tls/challenge_cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/net/hostname.h"

enum { LIFE_SECONDS = 7 * 24 * 3600, CLOCK_SKEW_SECONDS = 24 * 3600 };

struct made {
	int64_t id; /* of the row; counts where `x509` is set */
	struct hostname name;
	unsigned char digest[32]; /* of the key authorization */
	X509 *x509;
	EVP_PKEY *key;
};

struct challenge_certs {
	OSSL_LIB_CTX *libctx;
	struct made made[CHALLENGE_CERTS_MAX];
	size_t oldest;
};

struct challenge_certs *challenge_certs_new(OSSL_LIB_CTX *libctx)
{
	struct challenge_certs *certs = mem_alloc(sizeof *certs);

	certs->libctx = libctx;
	return certs;
}

static void made_free(struct made *made)
{
	X509_free(made->x509);
	EVP_PKEY_free(made->key);
	*made = (struct made){0};
}

void challenge_certs_free(struct challenge_certs *certs)
{
	if (!certs)
		return;
	for (size_t i = 0; i < CHALLENGE_CERTS_MAX; i++)
		made_free(&certs->made[i]);
	free(certs);
}

static bool digest_of(OSSL_LIB_CTX *libctx, const char *key_authorization, unsigned char digest[32])
{
	return EVP_Q_digest(
		   libctx, "SHA256", NULL, key_authorization, strlen(key_authorization), digest, NULL) == 1;
}

/* acmeIdentifier is an OCTET STRING of 32 bytes inside the extension's own. OpenSSL 3.0 has no name for it.
 */
static bool add_acme_identifier(X509 *x509, const unsigned char digest[32])
{
	unsigned char der[2 + 32] = {V_ASN1_OCTET_STRING, 32};
	ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension = NULL;

	memcpy(der + 2, digest, 32);
	bool added = object && value && ASN1_OCTET_STRING_set(value, der, sizeof der) &&
		     (extension = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value)) &&
		     X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
	return added;
}

static bool add_san(X509 *x509, const char *name)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *entry = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool added = false;

	if (!names || !entry || !text || !ASN1_STRING_set(text, name, (int)strlen(name)))
		goto out;
	GENERAL_NAME_set0_value(entry, GEN_DNS, text);
	text = NULL;
	if (!sk_GENERAL_NAME_push(names, entry))
		goto out;
	entry = NULL;
	added = X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
out:
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(entry);
	GENERAL_NAMES_free(names);
	return added;
}

static bool set_subject(X509 *x509)
{
	X509_NAME *subject = X509_get_subject_name(x509);
	const unsigned char *text = (const unsigned char *)"ACME challenge";

	return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, text, -1, -1, 0) &&
	       X509_set_issuer_name(x509, subject);
}

static bool set_serial(X509 *x509)
{
	uint64_t serial = 0;

	return RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
	       ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1 | 1);
}

static bool sign(OSSL_LIB_CTX *libctx, X509 *x509, EVP_PKEY *key)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool signed_ = context &&
		       EVP_DigestSignInit_ex(context, NULL, "SHA256", libctx, NULL, key, NULL) == 1 &&
		       X509_sign_ctx(x509, context) > 0;

	EVP_MD_CTX_free(context);
	return signed_;
}

enum result challenge_cert_make(
    OSSL_LIB_CTX *libctx, const char *name, const char *key_authorization, X509 **x509, EVP_PKEY **key)
{
	unsigned char digest[32];

	*x509 = X509_new_ex(libctx, NULL);
	*key = EVP_PKEY_Q_keygen(libctx, NULL, "EC", "P-256");
	if (*x509 && *key && digest_of(libctx, key_authorization, digest) &&
	    X509_set_version(*x509, X509_VERSION_3) && set_serial(*x509) && set_subject(*x509) &&
	    X509_gmtime_adj(X509_getm_notBefore(*x509), -CLOCK_SKEW_SECONDS) &&
	    X509_gmtime_adj(X509_getm_notAfter(*x509), LIFE_SECONDS) && X509_set_pubkey(*x509, *key) &&
	    add_san(*x509, name) && add_acme_identifier(*x509, digest) && sign(libctx, *x509, *key))
		return R_OK;
	X509_free(*x509);
	EVP_PKEY_free(*key);
	*x509 = NULL;
	*key = NULL;
	ERR_clear_error();
	return R_ERROR;
}

static struct made *find(
    struct challenge_certs *certs, int64_t id, const char *name, const unsigned char digest[32])
{
	for (size_t i = 0; i < CHALLENGE_CERTS_MAX; i++) {
		struct made *made = &certs->made[i];

		if (made->x509 && made->id == id && strcmp(made->name.text, name) == 0 &&
		    memcmp(made->digest, digest, sizeof made->digest) == 0)
			return made;
	}
	return NULL;
}

static struct made *make(struct challenge_certs *certs, int64_t id, const char *name,
    const char *key_authorization, const unsigned char digest[32])
{
	struct made *made = &certs->made[certs->oldest];

	made_free(made);
	if (challenge_cert_make(certs->libctx, name, key_authorization, &made->x509, &made->key) != R_OK)
		return NULL;
	certs->oldest = (certs->oldest + 1) % CHALLENGE_CERTS_MAX;
	made->id = id;
	snprintf(made->name.text, sizeof made->name.text, "%s", name);
	memcpy(made->digest, digest, sizeof made->digest);
	return made;
}

enum result challenge_certs_install(
    struct challenge_certs *certs, int64_t id, const char *name, const char *key_authorization, SSL *ssl)
{
	unsigned char digest[32];

	if (!digest_of(certs->libctx, key_authorization, digest))
		return R_ERROR;
	struct made *made = find(certs, id, name, digest);
	if (!made)
		made = make(certs, id, name, key_authorization, digest);
	if (made && SSL_use_cert_and_key(ssl, made->x509, made->key, NULL, 1))
		return R_OK;
	ERR_clear_error();
	return R_ERROR;
}
