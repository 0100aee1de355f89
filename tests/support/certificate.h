/*
 * Certificates for tests: a P-256 key and a self-signed certificate for one name, and rows of them.
 */
#ifndef TESTS_SUPPORT_CERTIFICATE_H
#define TESTS_SUPPORT_CERTIFICATE_H

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEST_CHAIN_MAX = 4096 };

static inline void test_add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	if (!extension || !X509_add_ext(certificate, extension, -1))
		abort();
	X509_EXTENSION_free(extension);
}

/* Valid from `from_s` to `until_s`, seconds from now. `*key` is the caller's. */
static inline void test_make_certificate(
    const char *name, long from_s, long until_s, EVP_PKEY **key, char pem[TEST_CHAIN_MAX])
{
	X509 *certificate = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	char alternatives[300];

	*key = EVP_EC_gen("P-256");
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
	X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
	X509_gmtime_adj(X509_getm_notAfter(certificate), until_s);
	X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(certificate), "CN", MBSTRING_ASC, (const unsigned char *)"Test", -1, -1, 0);
	X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
	X509_set_pubkey(certificate, *key);
	snprintf(alternatives, sizeof alternatives, "DNS:%s", name);
	test_add_extension(certificate, NID_subject_alt_name, alternatives);
	test_add_extension(certificate, NID_ext_key_usage, "serverAuth");
	if (!X509_sign(certificate, *key, EVP_sha256()) || !PEM_write_bio_X509(out, certificate))
		abort();
	int size = BIO_read(out, pem, TEST_CHAIN_MAX - 1);
	pem[size > 0 ? size : 0] = '\0';
	BIO_free(out);
	X509_free(certificate);
}

#endif
