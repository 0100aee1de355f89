/*
 * Certificates and TLS clients for unit tests: a CA made on the spot, sites as the cache holds them, and a
 * client whose handshake is driven step by step against the code under test.
 */
#ifndef TESTS_SUPPORT_TLS_FIXTURE_H
#define TESTS_SUPPORT_TLS_FIXTURE_H

#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/certificate/certificate.h"
#include "edge/site/site.h"

#define FIXTURE_UNUSED __attribute__((unused))

struct fixture_ca {
	X509 *x509;
	EVP_PKEY *key;
};

FIXTURE_UNUSED static void fixture_add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(x509, extension, -1);
	X509_EXTENSION_free(extension);
}

/* Signed by `ca`, or by itself where that is NULL. */
FIXTURE_UNUSED static X509 *fixture_certificate(
    const char *common_name, const char *san, EVP_PKEY *key, const struct fixture_ca *ca, int64_t not_after)
{
	static long serial = 1000;
	X509 *x509 = X509_new();
	X509_NAME *subject = X509_get_subject_name(x509);
	time_t from = time(NULL) - 3600, to = (time_t)not_after;

	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
	X509_NAME_add_entry_by_NID(
	    subject, NID_commonName, MBSTRING_ASC, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(x509, ca ? X509_get_subject_name(ca->x509) : subject);
	ASN1_TIME_set(X509_getm_notBefore(x509), from);
	ASN1_TIME_set(X509_getm_notAfter(x509), to);
	X509_set_pubkey(x509, key);
	if (san)
		fixture_add_extension(x509, x509, NID_subject_alt_name, san);
	else
		fixture_add_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(x509, ca ? ca->key : key, EVP_sha256()) > 0);
	return x509;
}

FIXTURE_UNUSED static void fixture_ca_init(struct fixture_ca *ca)
{
	ca->key = EVP_EC_gen("P-256");
	ca->x509 = fixture_certificate("test ca", NULL, ca->key, NULL, time(NULL) + 86400);
}

FIXTURE_UNUSED static void fixture_ca_fini(struct fixture_ca *ca)
{
	X509_free(ca->x509);
	EVP_PKEY_free(ca->key);
}

/* A chain of leaf and CA, as certificate_parse gives it. */
FIXTURE_UNUSED static struct site *fixture_site(
    const struct fixture_ca *ca, const char *name, int64_t version, int64_t not_after)
{
	char san[300];
	struct hostname hostname;
	struct certificate certificate = {.chain_count = 2, .not_after = not_after};
	struct buf key_bytes;
	EVP_PKEY *key = EVP_EC_gen("P-256");

	snprintf(hostname.text, sizeof hostname.text, "%s", name);
	snprintf(san, sizeof san, "DNS:%s", name);
	X509 *leaf = fixture_certificate(name, san, key, ca, not_after);
	int leaf_size = i2d_X509(leaf, NULL), ca_size = i2d_X509(ca->x509, NULL);
	unsigned char *der = malloc((size_t)(leaf_size + ca_size)), *at = der;
	i2d_X509(leaf, &at);
	i2d_X509(ca->x509, &at);
	certificate.chain[0] = der;
	certificate.chain[1] = der + leaf_size;
	certificate.chain_size[0] = (size_t)leaf_size;
	certificate.chain_size[1] = (size_t)ca_size;
	buf_init(&key_bytes, 1000);
	assert_int_equal(certificate_key_export(key, &key_bytes, NULL), R_OK);
	struct site *site = site_new(&hostname, (struct site_stamp){version, 0}, &certificate,
	    buf_bytes(&key_bytes), buf_size(&key_bytes), NULL, &(struct domain_options){0});
	buf_wipe(&key_bytes);
	X509_free(leaf);
	EVP_PKEY_free(key);
	return site;
}

FIXTURE_UNUSED static void fixture_socketpair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* A client on a descriptor. `alpn` in wire format or NULL; `session` to resume or NULL. */
FIXTURE_UNUSED static SSL *fixture_client(
    SSL_CTX *ctx, int fd, const char *name, const char *alpn, SSL_SESSION *session)
{
	SSL *ssl = SSL_new(ctx);

	SSL_set_fd(ssl, fd);
	if (name)
		SSL_set_tlsext_host_name(ssl, name);
	if (alpn)
		SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
	if (session)
		SSL_set_session(ssl, session);
	SSL_set_connect_state(ssl);
	return ssl;
}

#endif
