#include "acme/order/accept.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_exactly(const GENERAL_NAMES *names, const char *name)
{
	if (sk_GENERAL_NAME_num(names) != 1)
		return false;
	const GENERAL_NAME *only = sk_GENERAL_NAME_value(names, 0);
	if (only->type != GEN_DNS)
		return false;
	size_t size = (size_t)ASN1_STRING_length(only->d.dNSName);
	return size == strlen(name) &&
	       strncasecmp((const char *)ASN1_STRING_get0_data(only->d.dNSName), name, size) == 0;
}

static X509 *read_der(const struct certificate *certificate, size_t index)
{
	const unsigned char *der = certificate->chain[index];
	return d2i_X509(NULL, &der, (long)certificate->chain_size[index]);
}

/* Of the certificate that signed the leaf alone: beyond it a visitor may know another way up. */
static enum result check_issuer(const struct certificate *certificate, int64_t now, struct error *error)
{
	char subject[256] = "";
	time_t time = (time_t)now;
	X509 *issuer = certificate->chain_count > 1 ? read_der(certificate, 1) : NULL;
	enum result result = R_OK;
	if (issuer && X509_cmp_time(X509_get0_notAfter(issuer), &time) < 0) {
		X509_NAME_oneline(X509_get_subject_name(issuer), subject, sizeof subject);
		error_set(error, "the chain has expired: no visitor trusts %.200s any more", subject);
		result = R_INVALID;
	}
	X509_free(issuer);
	return result;
}

static enum result check_names(const struct certificate *certificate, const char *name, struct error *error)
{
	X509 *leaf = read_der(certificate, 0);
	GENERAL_NAMES *names = leaf ? X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL) : NULL;
	enum result result = names && is_exactly(names, name) ? R_OK : R_INVALID;
	if (result != R_OK)
		error_set(error, "the certificate's names are not exactly %s", name);
	GENERAL_NAMES_free(names);
	X509_free(leaf);
	return result;
}

enum result accept_certificate(struct certificate *out, const char *pem, size_t size, const EVP_PKEY *key,
    const char *name, int64_t now, struct error *error)
{
	enum result result = certificate_parse(out, pem, size, key, name, now, NULL, error);
	if (result != R_OK)
		return result;
	result = check_names(out, name, error);
	if (result == R_OK)
		result = check_issuer(out, now, error);
	if (result != R_OK)
		certificate_fini(out);
	return result;
}

bool chain_is_topped_by(const char *pem, size_t size, const char *issuer)
{
	char name[256] = "";
	BIO *bio = BIO_new_mem_buf(pem, (int)size);
	X509 *certificate = NULL;
	for (int i = 0; bio && i < CERTIFICATE_CHAIN_MAX; i++) {
		X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (!next)
			break;
		X509_free(certificate);
		certificate = next;
	}
	if (certificate)
		X509_NAME_get_text_by_NID(
		    X509_get_issuer_name(certificate), NID_commonName, name, sizeof name);
	X509_free(certificate);
	BIO_free(bio);
	ERR_clear_error();
	return strcmp(name, issuer) == 0;
}

int64_t renewal_time(const char *name, int64_t not_before, int64_t not_after)
{
	enum { SHORT_LIFE_S = 10 * 24 * 60 * 60 };
	int64_t life = not_after - not_before;
	int64_t middle = life < SHORT_LIFE_S ? not_before + life / 2 : not_before + life / 3 * 2;

	unsigned char digest[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)name, strlen(name), digest);
	int64_t thousandths = (digest[0] << 8 | digest[1]) % 2001 - 1000; /* -1000 … 1000 of the 2 % */
	return middle + life / 50 * thousandths / 1000;
}
