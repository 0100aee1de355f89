/*
 * Makes the certificates of the benchmark: P-256, a leaf and its intermediate, one name each, for every
 * contender alike.
 *
 *   make_certificates SEAL_PUBLIC_FILE FOLDER COUNT ZONE
 *
 * FOLDER/pem/site0.ZONE.pem … holds chain and key; FOLDER/rows is for `COPY certificates (…)` of Postern's
 * database, in the columns that make_row() writes.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/certificate/certificate.h"
#include "common/seal/seal.h"

enum { LIFE_S = 90 * 24 * 3600 };

static X509 *intermediate;
static EVP_PKEY *intermediate_key;

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (!extension || !X509_add_ext(certificate, extension, -1))
		abort();
	X509_EXTENSION_free(extension);
}

static X509 *make_unsigned(const char *common_name, long serial, EVP_PKEY *key)
{
	X509 *certificate = X509_new();

	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), LIFE_S);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
	    (const unsigned char *)common_name, -1, -1, 0);
	X509_set_pubkey(certificate, key);
	return certificate;
}

/* Its root is in nobody's hands: what a server sends is leaf and intermediate. */
static void make_intermediate(void)
{
	EVP_PKEY *root_key = EVP_EC_gen("P-256");
	X509 *root = make_unsigned("Benchmark root", 1, root_key);

	intermediate_key = EVP_EC_gen("P-256");
	intermediate = make_unsigned("Benchmark intermediate", 2, intermediate_key);
	X509_set_issuer_name(root, X509_get_subject_name(root));
	add_extension(root, root, NID_subject_key_identifier, "hash");
	X509_set_issuer_name(intermediate, X509_get_subject_name(root));
	add_extension(intermediate, root, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
	add_extension(intermediate, root, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
	add_extension(intermediate, root, NID_ext_key_usage, "serverAuth,clientAuth");
	add_extension(intermediate, root, NID_subject_key_identifier, "hash");
	add_extension(intermediate, root, NID_authority_key_identifier, "keyid");
	if (!X509_sign(intermediate, root_key, EVP_sha256()))
		abort();
	X509_free(root);
	EVP_PKEY_free(root_key);
}

static X509 *make_leaf(const char *name, long serial, EVP_PKEY *key)
{
	X509 *leaf = make_unsigned(name, serial, key);
	char alternative[300];

	snprintf(alternative, sizeof alternative, "DNS:%s", name);
	X509_set_issuer_name(leaf, X509_get_subject_name(intermediate));
	add_extension(leaf, intermediate, NID_key_usage, "critical,digitalSignature");
	add_extension(leaf, intermediate, NID_ext_key_usage, "serverAuth,clientAuth");
	add_extension(leaf, intermediate, NID_basic_constraints, "critical,CA:FALSE");
	add_extension(leaf, intermediate, NID_subject_key_identifier, "hash");
	add_extension(leaf, intermediate, NID_authority_key_identifier, "keyid");
	add_extension(leaf, intermediate, NID_info_access, "caIssuers;URI:http://issuer.benchmark.test/");
	add_extension(leaf, intermediate, NID_subject_alt_name, alternative);
	if (!X509_sign(leaf, intermediate_key, EVP_sha256()))
		abort();
	return leaf;
}

static void write_pem(const char *folder, const char *name, X509 *leaf, EVP_PKEY *key)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/pem/%s.pem", folder, name);
	FILE *file = fopen(path, "w");
	if (!file || !PEM_write_X509(file, leaf) || !PEM_write_X509(file, intermediate) ||
	    !PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) || fclose(file) != 0)
		abort();
}

/* name, version, chain_pem, key_sealed, key_id, issuer, serial, directory, not_before, not_after, renew_at:
 * COPY's text format. */
static void make_row(
    FILE *rows, const struct seal_keys *keys, const char *name, long serial, X509 *leaf, EVP_PKEY *key)
{
	const struct seal_place place = {.kind = "certificate_key", .name = name, .version = 1};
	struct error error = {""};
	struct buf plain, sealed;
	BIO *pem = BIO_new(BIO_s_mem());
	char *text = NULL;

	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	buf_init(&sealed, SEAL_PLAINTEXT_MAX + SEAL_OVERHEAD);
	if (certificate_key_export(key, &plain, &error) != R_OK ||
	    seal_bytes(keys, &place, buf_bytes(&plain), buf_size(&plain), &sealed, &error) != R_OK ||
	    !PEM_write_bio_X509(pem, leaf) || !PEM_write_bio_X509(pem, intermediate)) {
		fprintf(stderr, "make_certificates: %s: %s\n", name, error.text);
		exit(1);
	}
	fprintf(rows, "%s\t1\t", name);
	long size = BIO_get_mem_data(pem, &text);
	for (long i = 0; i < size; i++)
		if (text[i] == '\n')
			fputs("\\n", rows);
		else
			fputc(text[i], rows);
	fputs("\t\\\\x", rows);
	for (size_t i = 0; i < buf_size(&sealed); i++)
		fprintf(rows, "%02x", (unsigned char)buf_bytes(&sealed)[i]);
	fprintf(rows, "\t%s\tBenchmark intermediate\t%lx\tbenchmark\tyesterday\t2099-01-01\t2099-01-01\n",
	    seal_keys_id(keys), serial);
	buf_wipe(&plain);
	buf_fini(&sealed);
	BIO_free(pem);
}

int main(int argc, char **argv)
{
	struct seal_keys *keys = NULL;
	struct error error = {""};
	char path[4096];

	if (argc != 5) {
		fputs("make_certificates SEAL_PUBLIC_FILE FOLDER COUNT ZONE\n", stderr);
		return 2;
	}
	if (seal_keys_load_public(&keys, argv[1], &error) != R_OK) {
		fprintf(stderr, "make_certificates: %s\n", error.text);
		return 1;
	}
	snprintf(path, sizeof path, "%s/pem", argv[2]);
	mkdir(path, 0755);
	snprintf(path, sizeof path, "%s/rows", argv[2]);
	FILE *rows = fopen(path, "w");
	if (!rows) {
		perror(path);
		return 1;
	}
	make_intermediate();
	for (long i = 0; i < atol(argv[3]); i++) {
		char name[256];
		EVP_PKEY *key = EVP_EC_gen("P-256");

		snprintf(name, sizeof name, "site%ld.%s", i, argv[4]);
		X509 *leaf = make_leaf(name, 1000 + i, key);
		write_pem(argv[2], name, leaf, key);
		make_row(rows, keys, name, 1000 + i, leaf, key);
		X509_free(leaf);
		EVP_PKEY_free(key);
	}
	X509_free(intermediate);
	EVP_PKEY_free(intermediate_key);
	seal_keys_free(keys);
	return fclose(rows) == 0 ? 0 : 1;
}
