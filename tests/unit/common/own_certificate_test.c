/* A certificate of somebody's own: what is read, which part a refusal is about, whose it is, whether clients
 * could follow its chain, and that what is sealed opens for its row alone. */
#include "common/certificate/own_certificate.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/certificate/certificate.h"
#include "tests/support/certificate.h"

#define NAME "shop.example.com"

enum { PEM_MAX = 16 * 1024 };

struct party {
	X509 *certificate;
	EVP_PKEY *key;
};

static struct party root, middle, leaf;

/* `issuer` NULL: it signs itself. Whoever has no names is a CA. */
static struct party issue(const char *common_name, const char *names, const struct party *issuer)
{
	static long serial = 1;
	struct party made = {X509_new(), EVP_EC_gen("P-256")};
	X509_set_version(made.certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.certificate), serial++);
	X509_NAME *subject = X509_get_subject_name(made.certificate);
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(made.certificate, issuer ? X509_get_subject_name(issuer->certificate) : subject);
	X509_gmtime_adj(X509_getm_notBefore(made.certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(made.certificate), 3600);
	X509_set_pubkey(made.certificate, made.key);
	if (names)
		test_add_extension(made.certificate, NID_subject_alt_name, names);
	else
		test_add_extension(made.certificate, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(made.certificate, issuer ? issuer->key : made.key, EVP_sha256()) > 0);
	return made;
}

static void party_free(struct party *party)
{
	X509_free(party->certificate);
	EVP_PKEY_free(party->key);
}

static int make_parties(void **state)
{
	(void)state;
	root = issue("Own root", NULL, NULL);
	middle = issue("Own middle", NULL, &root);
	leaf = issue("leaf", "DNS:" NAME ",DNS:*.example.com", &middle);
	return 0;
}

static int drop_parties(void **state)
{
	(void)state;
	party_free(&root);
	party_free(&middle);
	party_free(&leaf);
	return 0;
}

static void take_text(BIO *bio, char text[PEM_MAX])
{
	int size = BIO_read(bio, text, PEM_MAX - 1);
	text[size > 0 ? size : 0] = '\0';
	BIO_free(bio);
}

static void write_chain(char text[PEM_MAX], const X509 *const *certificates, size_t count)
{
	BIO *bio = BIO_new(BIO_s_mem());
	for (size_t i = 0; i < count; i++)
		PEM_write_bio_X509(bio, certificates[i]);
	take_text(bio, text);
}

static void write_key(char text[PEM_MAX], const EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	take_text(bio, text);
}

static enum result read_texts(
    struct own_certificate *own, const char *chain, const char *key, const char *name, struct error *error)
{
	const struct own_certificate_text text = {
	    .chain = chain, .chain_size = strlen(chain), .key = key, .key_size = strlen(key)};
	return own_certificate_read(own, &text, name, time(NULL), error);
}

/* The leaf's chain up to `count` certificates, with this key. */
static enum result read_own(
    struct own_certificate *own, size_t count, const EVP_PKEY *key, const char *name, struct error *error)
{
	const X509 *const all[] = {leaf.certificate, middle.certificate, root.certificate};
	char chain[PEM_MAX], text[PEM_MAX];
	write_chain(chain, all, count);
	write_key(text, key);
	return read_texts(own, chain, text, name, error);
}

static void what_is_sealed_opens_for_its_row_alone(void **state)
{
	(void)state;
	char path[] = "/tmp/postern-own.XXXXXX", file[64], public[80];
	struct seal_keys *secret = NULL, *sealing = NULL;
	struct own_certificate own;
	struct error error;
	struct buf sealed, plain;
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof file, "%s/key", path);
	snprintf(public, sizeof public, "%s.pub", file);
	assert_int_equal(seal_key_create(file, &error), R_OK);
	assert_int_equal(seal_keys_load_secret(&secret, file, &error), R_OK);
	assert_int_equal(seal_keys_load_public(&sealing, public, &error), R_OK);
	assert_int_equal(read_own(&own, 3, leaf.key, NULL, &error), R_OK);
	buf_init(&sealed, SEAL_PLAINTEXT_MAX);
	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	assert_int_equal(own_certificate_seal(&own, sealing, NAME, 7, &sealed, &error), R_OK);
	struct seal_place place = {.kind = "certificate_key", .name = NAME, .version = 7};
	assert_int_equal(
	    seal_open(secret, &place, buf_bytes(&sealed), buf_size(&sealed), &plain, &error), R_OK);
	EVP_PKEY *opened = NULL;
	assert_int_equal(
	    certificate_key_import(&opened, buf_bytes(&plain), buf_size(&plain), NULL, &error), R_OK);
	assert_int_equal(EVP_PKEY_eq(opened, leaf.key), 1);
	place.version = 8;
	assert_int_equal(
	    seal_open(secret, &place, buf_bytes(&sealed), buf_size(&sealed), &plain, &error), R_INVALID);
	EVP_PKEY_free(opened);
	buf_wipe(&plain);
	buf_fini(&sealed);
	own_certificate_fini(&own);
	seal_keys_free(sealing);
	seal_keys_free(secret);
	unlink(public);
	unlink(file);
	rmdir(path);
}

static void the_wrong_part_is_named(void **state)
{
	(void)state;
	struct own_certificate own;
	struct error error;
	char key[PEM_MAX];
	write_key(key, leaf.key);
	assert_int_equal(read_own(&own, 2, root.key, NULL, &error), R_INVALID);
	assert_int_equal(own.wrong, OWN_CHAIN);
	assert_non_null(strstr(error.text, "for this private key"));
	own_certificate_fini(&own);
	assert_int_equal(read_own(&own, 2, leaf.key, "www.example.org", &error), R_INVALID);
	assert_int_equal(own.wrong, OWN_CHAIN);
	own_certificate_fini(&own);
	assert_int_equal(read_texts(&own, key, key, NULL, &error), R_INVALID);
	assert_int_equal(own.wrong, OWN_CHAIN);
	assert_non_null(strstr(error.text, "private key, which belongs elsewhere"));
	own_certificate_fini(&own);
	assert_int_equal(read_texts(&own, key, "nothing", NULL, &error), R_INVALID);
	assert_int_equal(own.wrong, OWN_KEY);
	own_certificate_fini(&own);
}

/* Public half of the leaf's key, private half of another: what looks at public halves alone believes it. */
static EVP_PKEY *forge(void)
{
	unsigned char point[65];
	size_t size = 0;
	BIGNUM *scalar = NULL;
	EVP_PKEY *forged = NULL;
	assert_int_equal(EVP_PKEY_get_bn_param(root.key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar), 1);
	assert_int_equal(
	    EVP_PKEY_get_octet_string_param(leaf.key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point, &size),
	    1);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
	OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar);
	OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, size);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY_fromdata_init(ctx);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &forged, EVP_PKEY_KEYPAIR, params), 1);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_clear_free(scalar);
	return forged;
}

static void a_private_half_of_another_key_is_found_out(void **state)
{
	(void)state;
	struct own_certificate own;
	struct error error;
	EVP_PKEY *forged = forge();
	assert_int_equal(EVP_PKEY_eq(forged, leaf.key), 1);
	assert_int_equal(read_own(&own, 2, forged, NULL, &error), R_INVALID);
	assert_int_equal(own.wrong, OWN_KEY);
	assert_non_null(strstr(error.text, "signs nothing"));
	own_certificate_fini(&own);
	EVP_PKEY_free(forged);
}

static void names_are_those_that_can_be_owned(void **state)
{
	(void)state;
	struct party many = issue("many",
	    "DNS:Shop.Example.COM,DNS:*.example.com,DNS:shop.example.com,DNS:*.co.uk,DNS:localhost,IP:192.0."
	    "2.1,"
	    "DNS:192.0.2.1,DNS:co.uk,DNS:f*.example.com,DNS:a_b.example.com,email:a@example.com",
	    &middle);
	const X509 *const chain[] = {many.certificate, middle.certificate, root.certificate};
	char text[PEM_MAX], key[PEM_MAX];
	struct own_certificate own;
	struct error error;
	struct hostname *names = NULL;
	write_chain(text, chain, 3);
	write_key(key, many.key);
	assert_int_equal(read_texts(&own, text, key, NULL, &error), R_OK);
	assert_int_equal(certificate_names(&own.certificate, &names), 2);
	assert_string_equal(names[0].text, NAME);
	assert_string_equal(names[1].text, "*.example.com");
	free(names);
	own_certificate_fini(&own);
	party_free(&many);
}

static bool is_complete(size_t count, char wanted[256])
{
	struct own_certificate own;
	struct error error;
	assert_int_equal(read_own(&own, count, leaf.key, NULL, &error), R_OK);
	bool complete = certificate_is_complete(&own.certificate, wanted, 256);
	own_certificate_fini(&own);
	return complete;
}

static void a_chain_is_complete_that_leads_to_a_root(void **state)
{
	(void)state;
	char wanted[256];
	assert_true(is_complete(3, wanted));
	assert_false(is_complete(2, wanted));
	assert_non_null(strstr(wanted, "Own root"));
	assert_false(is_complete(1, wanted));
	assert_non_null(strstr(wanted, "Own middle"));
}

static void a_root_of_the_system_need_not_be_sent(void **state)
{
	(void)state;
	char path[] = "/tmp/postern-roots.XXXXXX", file[80], wanted[256];
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof file, "%s/%08lx.0", path, X509_subject_name_hash(root.certificate));
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	PEM_write_X509(out, root.certificate);
	fclose(out);
	setenv("SSL_CERT_DIR", path, 1);
	assert_true(is_complete(2, wanted));
	assert_false(is_complete(1, wanted));
	unlink(file);
	rmdir(path);
	unsetenv("SSL_CERT_DIR");
}

/* Of the same name, and another's: what it signed is not this. */
static void a_root_of_the_same_name_is_not_believed(void **state)
{
	(void)state;
	char path[] = "/tmp/postern-roots.XXXXXX", file[80], wanted[256];
	struct party other = issue("Own root", NULL, NULL);
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof file, "%s/%08lx.0", path, X509_subject_name_hash(other.certificate));
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	PEM_write_X509(out, other.certificate);
	fclose(out);
	setenv("SSL_CERT_DIR", path, 1);
	assert_false(is_complete(2, wanted));
	unlink(file);
	rmdir(path);
	unsetenv("SSL_CERT_DIR");
	party_free(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_sealed_opens_for_its_row_alone),
	    cmocka_unit_test(the_wrong_part_is_named),
	    cmocka_unit_test(a_private_half_of_another_key_is_found_out),
	    cmocka_unit_test(names_are_those_that_can_be_owned),
	    cmocka_unit_test(a_chain_is_complete_that_leads_to_a_root),
	    cmocka_unit_test(a_root_of_the_system_need_not_be_sent),
	    cmocka_unit_test(a_root_of_the_same_name_is_not_believed),
	};
	return cmocka_run_group_tests(tests, make_parties, drop_parties);
}
