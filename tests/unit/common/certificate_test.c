/* The judgement about a chain and its key, on certificates made here: good ones, and each thing that can be
 * wrong. */
#include "common/certificate/certificate.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/base/buf.h"

#define NAME "shop.example.com"

enum { NOW = 1800000000, DAY = 86400, PEM_SIZE = 64 * 1024 };

struct issued {
	X509 *certificate;
	EVP_PKEY *key;
};

struct wish {
	const char *common_name;
	const char *san;   /* "DNS:..."; NULL: none */
	const char *basic; /* basicConstraints; NULL: none */
	const char *usage; /* extendedKeyUsage; NULL: none */
	int64_t not_before;
	int64_t not_after;
	EVP_PKEY *key; /* NULL: a fresh P-256 one */
};

/* A CA, an intermediate and a leaf that nothing is wrong with. */
struct chain {
	struct issued root;
	struct issued middle;
	struct issued leaf;
};

static void add_extension(X509 *certificate, int nid, const char *value)
{
	if (!value)
		return;
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, NULL, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
}

static struct issued issue(const struct issued *issuer, const struct wish *wish)
{
	static long serial = 1000;
	struct issued issued = {X509_new(), wish->key ? wish->key : EVP_EC_gen("P-256")};
	X509_set_version(issued.certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(issued.certificate), ++serial);
	X509_NAME *subject = X509_get_subject_name(issued.certificate);
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_UTF8, (const unsigned char *)wish->common_name, -1, -1, 0);
	X509_set_issuer_name(
	    issued.certificate, issuer ? X509_get_subject_name(issuer->certificate) : subject);
	ASN1_TIME_set(
	    X509_getm_notBefore(issued.certificate), wish->not_before ? wish->not_before : NOW - DAY);
	ASN1_TIME_set(
	    X509_getm_notAfter(issued.certificate), wish->not_after ? wish->not_after : NOW + 89 * DAY);
	X509_set_pubkey(issued.certificate, issued.key);
	add_extension(issued.certificate, NID_subject_alt_name, wish->san);
	add_extension(issued.certificate, NID_basic_constraints, wish->basic);
	add_extension(issued.certificate, NID_ext_key_usage, wish->usage);
	assert_true(X509_sign(issued.certificate, issuer ? issuer->key : issued.key, EVP_sha256()) > 0);
	return issued;
}

static void issued_free(struct issued *issued)
{
	X509_free(issued->certificate);
	EVP_PKEY_free(issued->key);
}

static const struct wish good_leaf = {.common_name = NAME, .san = "DNS:" NAME, .usage = "serverAuth"};

static int setup(void **state)
{
	struct chain *chain = calloc(1, sizeof *chain);
	chain->root = issue(NULL, &(struct wish){.common_name = "Test Root", .basic = "critical,CA:TRUE"});
	chain->middle =
	    issue(&chain->root, &(struct wish){.common_name = "Test Middle R1", .basic = "critical,CA:TRUE"});
	chain->leaf = issue(&chain->middle, &good_leaf);
	*state = chain;
	return 0;
}

static int teardown(void **state)
{
	struct chain *chain = *state;
	issued_free(&chain->root);
	issued_free(&chain->middle);
	issued_free(&chain->leaf);
	free(chain);
	return 0;
}

/* The certificates one after the other, up to NULL. */
static char *pem_of(X509 *first, ...)
{
	BIO *bio = BIO_new(BIO_s_mem());
	va_list more;
	va_start(more, first);
	for (X509 *certificate = first; certificate; certificate = va_arg(more, X509 *))
		PEM_write_bio_X509(bio, certificate);
	va_end(more);
	char *bytes = NULL;
	long size = BIO_get_mem_data(bio, &bytes);
	char *text = strndup(bytes, (size_t)size);
	BIO_free(bio);
	return text;
}

static enum result parse(struct certificate *out, const char *pem, const EVP_PKEY *key, struct error *error)
{
	return certificate_parse(out, pem, strlen(pem), key, NAME, NOW, NULL, error);
}

static void accepted(const char *pem, const EVP_PKEY *key, size_t count)
{
	struct certificate certificate;
	struct error error;
	if (parse(&certificate, pem, key, &error) != R_OK)
		fail_msg("%s", error.text);
	assert_int_equal(certificate.chain_count, count);
	certificate_fini(&certificate);
}

static void refused(const char *pem, const EVP_PKEY *key, const char *complaint)
{
	struct certificate certificate;
	struct error error;
	assert_int_equal(parse(&certificate, pem, key, &error), R_INVALID);
	assert_null(certificate.chain[0]);
	if (!strstr(error.text, complaint))
		fail_msg("'%s' lacks '%s'", error.text, complaint);
}

/* A leaf of this kind under the chain's middle certificate: refused, or accepted where `complaint` is NULL.
 */
static void judge_leaf(void **state, const struct wish *wish, const char *complaint)
{
	struct chain *chain = *state;
	struct issued leaf = issue(&chain->middle, wish);
	char *pem = pem_of(leaf.certificate, chain->middle.certificate, NULL);
	if (complaint)
		refused(pem, leaf.key, complaint);
	else
		accepted(pem, leaf.key, 2);
	free(pem);
	issued_free(&leaf);
}

static void good_chain_is_taken_apart(void **state)
{
	struct chain *chain = *state;
	struct certificate certificate;
	struct error error;
	char *pem = pem_of(chain->leaf.certificate, chain->middle.certificate, NULL);
	assert_int_equal(parse(&certificate, pem, chain->leaf.key, &error), R_OK);
	assert_int_equal(certificate.chain_count, 2);
	assert_int_equal(certificate.not_before, NOW - DAY);
	assert_int_equal(certificate.not_after, NOW + 89 * DAY);
	assert_string_equal(certificate.issuer, "Test Middle R1");
	assert_true(strlen(certificate.serial) > 0);
	unsigned char *der = NULL;
	int size = i2d_X509(chain->leaf.certificate, &der);
	assert_int_equal(certificate.chain_size[0], size);
	assert_memory_equal(certificate.chain[0], der, (size_t)size);
	OPENSSL_free(der);
	struct buf out;
	buf_init(&out, CERTIFICATE_PEM_MAX);
	assert_int_equal(certificate_to_pem(&certificate, &out), R_OK);
	assert_string_equal(buf_string(&out), pem);
	buf_fini(&out);
	buf_init(&out, 100);
	assert_int_equal(certificate_to_pem(&certificate, &out), R_LIMIT);
	buf_fini(&out);
	certificate_fini(&certificate);
	free(pem);
}

static void chain_is_put_in_order(void **state)
{
	struct chain *chain = *state;
	struct certificate certificate;
	struct error error;
	char *pem = pem_of(chain->root.certificate, chain->middle.certificate, chain->leaf.certificate,
	    chain->middle.certificate, NULL);
	char *ordered =
	    pem_of(chain->leaf.certificate, chain->middle.certificate, chain->root.certificate, NULL);
	assert_int_equal(parse(&certificate, pem, chain->leaf.key, &error), R_OK);
	struct buf out;
	buf_init(&out, CERTIFICATE_PEM_MAX);
	assert_int_equal(certificate_to_pem(&certificate, &out), R_OK);
	assert_string_equal(buf_string(&out), ordered);
	buf_fini(&out);
	certificate_fini(&certificate);
	free(ordered);
	free(pem);
}

static void leaf_alone_and_text_between_blocks_are_fine(void **state)
{
	struct chain *chain = *state;
	char *leaf = pem_of(chain->leaf.certificate, NULL);
	char *middle = pem_of(chain->middle.certificate, NULL);
	char text[PEM_SIZE];
	accepted(leaf, chain->leaf.key, 1);
	snprintf(
	    text, sizeof text, "subject=CN = " NAME "\n\n%s\r\n - the intermediate -\n%s\n\n", leaf, middle);
	accepted(text, chain->leaf.key, 2);
	free(leaf);
	free(middle);
}

static void other_library_context_judges_alike(void **state)
{
	struct chain *chain = *state;
	struct certificate certificate;
	struct error error;
	OSSL_LIB_CTX *libctx = OSSL_LIB_CTX_new();
	char *pem = pem_of(chain->leaf.certificate, chain->middle.certificate, NULL);
	struct buf scalar;
	EVP_PKEY *key = NULL;
	buf_init(&scalar, 100);
	assert_int_equal(certificate_key_export(chain->leaf.key, &scalar, &error), R_OK);
	assert_int_equal(
	    certificate_key_import(&key, buf_bytes(&scalar), buf_size(&scalar), libctx, &error), R_OK);
	if (certificate_parse(&certificate, pem, strlen(pem), key, NAME, NOW, libctx, &error) != R_OK)
		fail_msg("%s", error.text);
	certificate_fini(&certificate);
	EVP_PKEY_free(key);
	buf_wipe(&scalar);
	free(pem);
	OSSL_LIB_CTX_free(libctx);
}

static void name_must_match_exactly_or_by_one_label_of_a_wildcard(void **state)
{
	const struct {
		const char *san;
		const char *complaint;
	} cases[] = {
	    {"DNS:" NAME, NULL}, {"DNS:SHOP.Example.COM", NULL}, {"DNS:other.example.com,DNS:" NAME, NULL},
	    {"DNS:*.example.com", NULL}, {"DNS:www." NAME, "not for"}, {"DNS:example.com", "not for"},
	    {"DNS:*.com", "not for"}, {"DNS:*." NAME, "not for"}, {"DNS:*", "not for"},
	    {"DNS:sho*.example.com", "not for"}, {"DNS:shop.example.co", "not for"},
	    {"DNS:shop.example.comm", "not for"}, {"email:shop@example.com", "not for"},
	    {"IP:192.0.2.1", "not for"}, {"URI:https://" NAME, "not for"},
	    {NULL, "not for"}, /* its common name alone is none */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		judge_leaf(state,
		    &(struct wish){.common_name = NAME, .san = cases[i].san, .usage = "serverAuth"},
		    cases[i].complaint);
}

static void name_with_a_nul_in_it_matches_nothing(void **state)
{
	struct chain *chain = *state;
	static const char trick[] = NAME "\0.attacker.example";
	struct issued leaf = issue(&chain->middle, &(struct wish){.common_name = "x", .usage = "serverAuth"});
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();
	ASN1_STRING_set(string, trick, sizeof trick - 1);
	GENERAL_NAME_set0_value(name, GEN_DNS, string);
	sk_GENERAL_NAME_push(names, name);
	X509_add1_ext_i2d(leaf.certificate, NID_subject_alt_name, names, 0, 0);
	X509_sign(leaf.certificate, chain->middle.key, EVP_sha256());
	char *pem = pem_of(leaf.certificate, NULL);
	refused(pem, leaf.key, "not for");
	free(pem);
	GENERAL_NAMES_free(names);
	issued_free(&leaf);
}

static void validity_is_now(void **state)
{
	struct wish wish = good_leaf;
	wish.not_after = NOW;
	judge_leaf(state, &wish, "expired at 2027-01-15 08:00:00 UTC");
	wish.not_after = NOW + 1;
	judge_leaf(state, &wish, NULL);
	wish.not_after = NOW + 90 * DAY;
	wish.not_before = NOW + 3600;
	judge_leaf(state, &wish, "not valid before 2027-01-15 09:00:00 UTC");
	wish.not_before = NOW + 120; /* a CA's clock that is ahead */
	judge_leaf(state, &wish, NULL);
}

static void usages_are_a_servers(void **state)
{
	struct wish wish = good_leaf;
	wish.usage = "clientAuth";
	judge_leaf(state, &wish, "serverAuth");
	wish.usage = "codeSigning,serverAuth";
	judge_leaf(state, &wish, NULL);
	wish.usage = NULL;
	judge_leaf(state, &wish, NULL);
	wish.basic = "critical,CA:TRUE";
	judge_leaf(state, &wish, "is a CA's");
	wish.basic = "CA:FALSE";
	judge_leaf(state, &wish, NULL);
}

static void key_of_another_certificate_is_refused(void **state)
{
	struct chain *chain = *state;
	EVP_PKEY *other = EVP_EC_gen("P-256");
	char *pem = pem_of(chain->leaf.certificate, chain->middle.certificate, NULL);
	refused(pem, other, "no certificate in the chain is for this private key");
	refused(pem, chain->middle.key, "signs nothing in it: /CN=" NAME);
	free(pem);
	pem = pem_of(chain->middle.certificate, NULL);
	refused(pem, chain->middle.key, "is a CA's");
	free(pem);
	EVP_PKEY_free(other);
}

static void chain_of_others_is_refused(void **state)
{
	struct chain *chain = *state;
	/* The same names, another key: told apart by the signature alone. */
	struct issued impostor =
	    issue(&chain->root, &(struct wish){.common_name = "Test Middle R1", .basic = "critical,CA:TRUE"});
	struct issued stranger =
	    issue(NULL, &(struct wish){.common_name = "Stranger", .basic = "critical,CA:TRUE"});
	char *pem = pem_of(chain->leaf.certificate, impostor.certificate, NULL);
	refused(pem, chain->leaf.key, "signs nothing in it: /CN=Test Middle R1");
	free(pem);
	pem = pem_of(chain->leaf.certificate, chain->middle.certificate, stranger.certificate, NULL);
	refused(pem, chain->leaf.key, "signs nothing in it: /CN=Stranger");
	free(pem);
	pem = pem_of(chain->leaf.certificate, chain->root.certificate, NULL); /* a gap */
	refused(pem, chain->leaf.key, "signs nothing in it: /CN=Test Root");
	free(pem);
	issued_free(&impostor);
	issued_free(&stranger);
}

static void only_certificates_may_be_in_it(void **state)
{
	struct chain *chain = *state;
	char *leaf = pem_of(chain->leaf.certificate, NULL);
	char text[PEM_SIZE];
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(bio, chain->leaf.key, NULL, NULL, 0, NULL, NULL);
	char *key = NULL;
	long key_size = BIO_get_mem_data(bio, &key);
	snprintf(text, sizeof text, "%s%.*s", leaf, (int)key_size, key);
	refused(text, chain->leaf.key, "private key");
	snprintf(text, sizeof text, "%.*s%s", (int)key_size, key, leaf);
	refused(text, chain->leaf.key, "private key");
	BIO_free(bio);
	snprintf(text, sizeof text, "%s-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", leaf);
	refused(text, chain->leaf.key, "X509 CRL");
	free(leaf);
}

static void damaged_text_is_refused(void **state)
{
	struct chain *chain = *state;
	char *leaf = pem_of(chain->leaf.certificate, NULL);
	char text[PEM_SIZE];
	refused("", chain->leaf.key, "holds no certificate");
	refused("hello", chain->leaf.key, "holds no certificate");
	for (size_t cut = 30; cut < strlen(leaf) - 3; cut += 7) { /* wherever a write stopped */
		snprintf(text, sizeof text, "%.*s", (int)cut, leaf);
		refused(text, chain->leaf.key, "");
	}
	snprintf(text, sizeof text, "%s%.*s", leaf, (int)strlen(leaf) / 2, leaf);
	refused(text, chain->leaf.key, "PEM block 2 is damaged");
	snprintf(text, sizeof text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	refused(text, chain->leaf.key, "certificate 1 in the chain cannot be decoded");
	snprintf(text, sizeof text, "%s", leaf);
	text[strlen(text) / 2] = '!';
	refused(text, chain->leaf.key, "damaged");
	struct certificate certificate;
	struct error error;
	snprintf(text, sizeof text, "%s", leaf);
	assert_int_equal(
	    certificate_parse(&certificate, text, strlen(text) + 1, chain->leaf.key, NAME, NOW, NULL, &error),
	    R_INVALID);
	assert_non_null(strstr(error.text, "NUL"));
	free(leaf);
}

static void every_changed_bit_of_the_body_is_noticed(void **state)
{
	struct chain *chain = *state;
	unsigned char *der = NULL;
	int size = i2d_X509(chain->leaf.certificate, &der);
	for (int i = 0; i < size; i += 3) {
		der[i] ^= 4;
		BIO *bio = BIO_new(BIO_s_mem());
		PEM_write_bio(bio, "CERTIFICATE", "", der, size);
		PEM_write_bio_X509(bio, chain->middle.certificate);
		char *text = NULL;
		long text_size = BIO_get_mem_data(bio, &text);
		struct certificate certificate;
		struct error error;
		if (certificate_parse(&certificate, text, (size_t)text_size, chain->leaf.key, NAME, NOW, NULL,
			&error) == R_OK)
			fail_msg("byte %d changed and nobody noticed", i);
		BIO_free(bio);
		der[i] ^= 4;
	}
	OPENSSL_free(der);
}

static void block_with_something_behind_its_certificate_is_refused(void **state)
{
	struct chain *chain = *state;
	unsigned char der[4096] = {0};
	unsigned char *at = der;
	int size = i2d_X509(chain->leaf.certificate, NULL);
	assert_in_range(size, 1, sizeof der - 1);
	i2d_X509(chain->leaf.certificate, &at);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio(bio, "CERTIFICATE", "", der, size + 1);
	char *bytes = NULL;
	long text_size = BIO_get_mem_data(bio, &bytes);
	char *text = strndup(bytes, (size_t)text_size);
	refused(text, chain->leaf.key, "certificate 1 in the chain cannot be decoded");
	free(text);
	BIO_free(bio);
}

static void limits_hold(void **state)
{
	struct chain *chain = *state;
	char *leaf = pem_of(chain->leaf.certificate, NULL);
	size_t size = strlen(leaf);
	char *much = calloc(1, CERTIFICATE_PEM_MAX + size + 16);
	memset(much, ' ', CERTIFICATE_PEM_MAX);
	memcpy(much + CERTIFICATE_PEM_MAX, leaf, size);
	refused(much, chain->leaf.key, "longer than 128 KiB");
	*much = 0;
	for (int i = 0; i <= CERTIFICATE_CHAIN_MAX; i++) {
		char name[32];
		snprintf(name, sizeof name, "Filler %d", i);
		struct issued filler = issue(&chain->root, &(struct wish){.common_name = name});
		char *pem = pem_of(filler.certificate, NULL);
		strcat(much, pem);
		free(pem);
		issued_free(&filler);
	}
	refused(much, chain->leaf.key, "more than 10");
	free(much);
	free(leaf);
}

static void short_rsa_key_is_refused_and_a_good_one_served(void **state)
{
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	EVP_PKEY *good = EVP_RSA_gen(2048);
	struct wish wish = good_leaf;
	wish.key = weak; /* freed by judge_leaf */
	judge_leaf(state, &wish, "too short");
	wish.key = good;
	judge_leaf(state, &wish, NULL);
}

static enum result check_bundle(const char *pem, struct error *error)
{
	return certificate_check_bundle(pem, strlen(pem), error);
}

static void bundle_of_cas_is_whole(void **state)
{
	(void)state;
	struct error error;
	struct issued one = issue(NULL, &good_leaf), other = issue(NULL, &good_leaf);
	char *pem = pem_of(one.certificate, other.certificate, NULL);
	size_t size = strlen(pem);
	assert_int_equal(check_bundle(pem, NULL), R_OK);
	pem[size - 40] = '\0';
	assert_int_equal(check_bundle(pem, &error), R_INVALID);
	assert_string_equal(error.text, "certificate number 2 of the file cannot be read");
	pem[size / 4] = '\0';
	assert_int_equal(check_bundle(pem, &error), R_INVALID);
	assert_int_equal(check_bundle("", &error), R_INVALID);
	assert_int_equal(check_bundle("no certificate\n", &error), R_INVALID);
	assert_string_equal(error.text, "the file holds no certificate in PEM");
	free(pem);
	issued_free(&other);
	issued_free(&one);
}

static void key_goes_out_and_in(void **state)
{
	(void)state;
	EVP_PKEY *keys[] = {EVP_EC_gen("P-256"), EVP_EC_gen("P-384"), EVP_RSA_gen(2048)};
	for (size_t i = 0; i < 3; i++) {
		struct buf bytes;
		struct error error;
		EVP_PKEY *back = NULL;
		buf_init(&bytes, 8192);
		assert_int_equal(certificate_key_export(keys[i], &bytes, &error), R_OK);
		assert_int_equal(buf_size(&bytes) == 32, i == 0);
		if (certificate_key_import(&back, buf_bytes(&bytes), buf_size(&bytes), NULL, &error) != R_OK)
			fail_msg("%s", error.text);
		assert_int_equal(EVP_PKEY_eq(keys[i], back), 1);
		EVP_PKEY_free(back);
		buf_wipe(&bytes);
		EVP_PKEY_free(keys[i]);
	}
}

static void impossible_keys_are_refused(void **state)
{
	(void)state;
	/* FIPS 186-4 D.1.2.3: the order of P-256. A scalar is from 1 to below it. */
	static const char order[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	unsigned char scalar[32] = {0};
	EVP_PKEY *key = NULL;
	struct error error;
	assert_int_equal(certificate_key_import(&key, scalar, sizeof scalar, NULL, &error), R_INVALID);
	assert_null(key);
	assert_int_equal(OPENSSL_hexstr2buf_ex(scalar, sizeof scalar, NULL, order, 0), 1);
	assert_int_equal(certificate_key_import(&key, scalar, sizeof scalar, NULL, &error), R_INVALID);
	scalar[31]++; /* as a point that would be 1 again */
	assert_int_equal(certificate_key_import(&key, scalar, sizeof scalar, NULL, &error), R_INVALID);
	scalar[31] -= 2;
	assert_int_equal(certificate_key_import(&key, scalar, sizeof scalar, NULL, &error), R_OK);
	EVP_PKEY_free(key);
	assert_int_equal(certificate_key_import(&key, "junk", 4, NULL, &error), R_INVALID);
	assert_int_equal(certificate_key_import(&key, "", 0, NULL, &error), R_INVALID);
	EVP_PKEY *weak = EVP_RSA_gen(1024);
	EVP_PKEY *other = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct buf bytes;
	buf_init(&bytes, 8192);
	assert_int_equal(certificate_key_export(weak, &bytes, &error), R_OK);
	assert_int_equal(
	    certificate_key_import(&key, buf_bytes(&bytes), buf_size(&bytes), NULL, &error), R_INVALID);
	buf_consume(&bytes, buf_size(&bytes));
	assert_int_equal(certificate_key_export(other, &bytes, &error), R_OK);
	assert_int_equal(
	    certificate_key_import(&key, buf_bytes(&bytes), buf_size(&bytes), NULL, &error), R_INVALID);
	buf_fini(&bytes);
	EVP_PKEY_free(weak);
	EVP_PKEY_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(good_chain_is_taken_apart, setup, teardown),
	    cmocka_unit_test_setup_teardown(chain_is_put_in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(leaf_alone_and_text_between_blocks_are_fine, setup, teardown),
	    cmocka_unit_test_setup_teardown(other_library_context_judges_alike, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		name_must_match_exactly_or_by_one_label_of_a_wildcard, setup, teardown),
	    cmocka_unit_test_setup_teardown(name_with_a_nul_in_it_matches_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(validity_is_now, setup, teardown),
	    cmocka_unit_test_setup_teardown(usages_are_a_servers, setup, teardown),
	    cmocka_unit_test_setup_teardown(key_of_another_certificate_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(chain_of_others_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(only_certificates_may_be_in_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(damaged_text_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(every_changed_bit_of_the_body_is_noticed, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		block_with_something_behind_its_certificate_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(limits_hold, setup, teardown),
	    cmocka_unit_test_setup_teardown(short_rsa_key_is_refused_and_a_good_one_served, setup, teardown),
	    cmocka_unit_test(bundle_of_cas_is_whole),
	    cmocka_unit_test(key_goes_out_and_in),
	    cmocka_unit_test(impossible_keys_are_refused),
	};
	return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
