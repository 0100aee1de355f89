#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/provider.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "edge/tls/challenge_cert.h"

static const char name[] = "shop.client-brand.example";
static const char authorization[] =
    "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

struct world {
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *provider;
	SSL_CTX *ctx;
	struct challenge_certs *certs;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof *world);

	world->libctx = OSSL_LIB_CTX_new();
	world->provider = OSSL_PROVIDER_load(world->libctx, "default");
	world->ctx = SSL_CTX_new_ex(world->libctx, NULL, TLS_server_method());
	world->certs = challenge_certs_new(world->libctx);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	challenge_certs_free(world->certs);
	SSL_CTX_free(world->ctx);
	OSSL_PROVIDER_unload(world->provider);
	OSSL_LIB_CTX_free(world->libctx);
	free(world);
	return 0;
}

/* The extension's value, checked for being there once. */
static const ASN1_OCTET_STRING *acme_identifier(const X509 *x509, int *critical)
{
	ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
	int at = X509_get_ext_by_OBJ(x509, object, -1);

	assert_true(at >= 0);
	assert_int_equal(X509_get_ext_by_OBJ(x509, object, at), -1);
	ASN1_OBJECT_free(object);
	X509_EXTENSION *extension = X509_get_ext(x509, at);
	*critical = X509_EXTENSION_get_critical(extension);
	return X509_EXTENSION_get_data(extension);
}

static void identifier_is_critical_and_holds_the_digest(void **state)
{
	struct world *world = *state;
	unsigned char expected[34] = {4, 32};
	X509 *x509 = NULL;
	EVP_PKEY *key = NULL;
	int critical = 0;

	assert_int_equal(challenge_cert_make(world->libctx, name, authorization, &x509, &key), R_OK);
	const ASN1_OCTET_STRING *value = acme_identifier(x509, &critical);
	assert_int_equal(critical, 1);
	SHA256((const unsigned char *)authorization, strlen(authorization), expected + 2);
	assert_int_equal(ASN1_STRING_length(value), 34);
	assert_memory_equal(ASN1_STRING_get0_data(value), expected, 34);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static void certificate_has_one_san_and_is_self_signed(void **state)
{
	struct world *world = *state;
	X509 *x509 = NULL;
	EVP_PKEY *key = NULL;

	assert_int_equal(challenge_cert_make(world->libctx, name, authorization, &x509, &key), R_OK);
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	const GENERAL_NAME *entry = sk_GENERAL_NAME_value(names, 0);
	assert_int_equal(entry->type, GEN_DNS);
	assert_int_equal(ASN1_STRING_length(entry->d.dNSName), strlen(name));
	assert_memory_equal(ASN1_STRING_get0_data(entry->d.dNSName), name, strlen(name));
	GENERAL_NAMES_free(names);
	assert_int_equal(X509_verify(x509, key), 1);
	assert_int_equal(X509_check_private_key(x509, key), 1);
	assert_true(X509_cmp_current_time(X509_get0_notBefore(x509)) < 0);
	assert_true(X509_cmp_current_time(X509_get0_notAfter(x509)) > 0);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static X509 *installed(struct world *world, int64_t id, const char *host, const char *key_authorization)
{
	SSL *ssl = SSL_new(world->ctx);

	assert_int_equal(challenge_certs_install(world->certs, id, host, key_authorization, ssl), R_OK);
	X509 *x509 = SSL_get_certificate(ssl);
	X509_up_ref(x509);
	SSL_free(ssl);
	return x509;
}

static void one_certificate_is_made_per_challenge(void **state)
{
	X509 *first = installed(*state, 7, name, authorization);
	X509 *again = installed(*state, 7, name, authorization);
	X509 *other_row = installed(*state, 8, name, authorization);
	X509 *other_token = installed(*state, 7, name, "other.token");
	X509 *other_name = installed(*state, 7, "other.example", authorization);

	assert_ptr_equal(first, again);
	assert_ptr_not_equal(first, other_row);
	assert_ptr_not_equal(first, other_token);
	assert_ptr_not_equal(first, other_name);
	X509_free(first);
	X509_free(again);
	X509_free(other_row);
	X509_free(other_token);
	X509_free(other_name);
}

static void more_challenges_than_are_kept_replace_the_oldest(void **state)
{
	X509 *first = installed(*state, 1, name, authorization);

	for (int64_t id = 2; id <= CHALLENGE_CERTS_MAX + 1; id++)
		X509_free(installed(*state, id, name, authorization));
	X509 *again = installed(*state, 1, name, authorization);
	assert_ptr_not_equal(first, again);
	X509_free(first);
	X509_free(again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(identifier_is_critical_and_holds_the_digest),
	    TEST(certificate_has_one_san_and_is_self_signed),
	    TEST(one_certificate_is_made_per_challenge),
	    TEST(more_challenges_than_are_kept_replace_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
