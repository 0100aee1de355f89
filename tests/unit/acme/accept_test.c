/* What may be stored: a certificate for this key and exactly this name; and when its renewal is due. */
#include "acme/order/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "acme/ca/jws.h"

enum { DAY = 24 * 60 * 60, NOW = 1900000000 };

static struct buf pem;
static struct certificate certificate;
static struct error error;

/* Self-signed: a chain of one. */
static void make(EVP_PKEY *key, const char *names)
{
	X509 *x = X509_new();
	X509V3_CTX context;
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	ASN1_TIME_set(X509_getm_notBefore(x), NOW - DAY);
	ASN1_TIME_set(X509_getm_notAfter(x), NOW + 89 * DAY);
	X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"t", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
	X509_EXTENSION *use = X509V3_EXT_conf_nid(NULL, &context, NID_ext_key_usage, "serverAuth");
	X509_add_ext(x, san, -1);
	X509_add_ext(x, use, -1);
	X509_sign(x, key, EVP_sha256());
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, x);
	char *bytes = NULL;
	long size = BIO_get_mem_data(bio, &bytes);
	buf_init(&pem, 64 * 1024);
	buf_append(&pem, bytes, (size_t)size);
	BIO_free(bio);
	X509_EXTENSION_free(san);
	X509_EXTENSION_free(use);
	X509_free(x);
}

static enum result judge(const char *names, const char *name, bool other_key)
{
	EVP_PKEY *key = jws_key_new();
	EVP_PKEY *other = jws_key_new();
	make(key, names);
	error.text[0] = '\0';
	enum result result = accept_certificate(
	    &certificate, buf_bytes(&pem), buf_size(&pem), other_key ? other : key, name, NOW, &error);
	if (result == R_OK)
		certificate_fini(&certificate);
	buf_fini(&pem);
	EVP_PKEY_free(other);
	EVP_PKEY_free(key);
	return result;
}

static void a_certificate_for_exactly_this_name_is_accepted(void **state)
{
	(void)state;
	if (judge("DNS:shop.brand.test", "shop.brand.test", false) != R_OK)
		fail_msg("%s", error.text);
	assert_int_equal(judge("DNS:Shop.Brand.TEST", "shop.brand.test", false), R_OK);
}

static void a_name_more_is_refused(void **state)
{
	(void)state;
	assert_int_equal(
	    judge("DNS:shop.brand.test,DNS:www.brand.test", "shop.brand.test", false), R_INVALID);
	assert_non_null(strstr(error.text, "exactly"));
	assert_int_equal(judge("DNS:shop.brand.test,IP:192.0.2.1", "shop.brand.test", false), R_INVALID);
}

static void another_name_is_refused(void **state)
{
	(void)state;
	assert_int_equal(judge("DNS:www.brand.test", "shop.brand.test", false), R_INVALID);
	assert_int_equal(judge("DNS:*.brand.test", "shop.brand.test", false), R_INVALID);
}

static void a_certificate_for_another_key_is_refused(void **state)
{
	(void)state;
	assert_int_equal(judge("DNS:shop.brand.test", "shop.brand.test", true), R_INVALID);
	assert_true(error.text[0] != '\0');
}

static void a_long_life_is_renewed_at_two_thirds(void **state)
{
	(void)state;
	for (int i = 0; i < 500; i++) {
		char name[64];
		snprintf(name, sizeof name, "n%d.brand.test", i);
		int64_t at = renewal_time(name, NOW, NOW + 90 * DAY);
		assert_in_range(at, NOW + 60 * DAY - 90 * DAY / 50, NOW + 60 * DAY + 90 * DAY / 50);
	}
}

static void a_short_life_is_renewed_at_its_half(void **state)
{
	(void)state;
	int64_t life = 160 * 60 * 60;
	for (int i = 0; i < 500; i++) {
		char name[64];
		snprintf(name, sizeof name, "n%d.brand.test", i);
		assert_in_range(renewal_time(name, NOW, NOW + life), NOW + life / 2 - life / 50,
		    NOW + life / 2 + life / 50);
	}
}

static void renewals_are_spread_by_name_and_stay_where_they_are(void **state)
{
	(void)state;
	int64_t least = INT64_MAX;
	int64_t most = 0;
	for (int i = 0; i < 500; i++) {
		char name[64];
		snprintf(name, sizeof name, "n%d.brand.test", i);
		int64_t at = renewal_time(name, NOW, NOW + 90 * DAY);
		assert_int_equal(at, renewal_time(name, NOW, NOW + 90 * DAY));
		least = at < least ? at : least;
		most = at > most ? at : most;
	}
	assert_true(most - least > 3 * DAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_certificate_for_exactly_this_name_is_accepted),
	    cmocka_unit_test(a_name_more_is_refused),
	    cmocka_unit_test(another_name_is_refused),
	    cmocka_unit_test(a_certificate_for_another_key_is_refused),
	    cmocka_unit_test(a_long_life_is_renewed_at_two_thirds),
	    cmocka_unit_test(a_short_life_is_renewed_at_its_half),
	    cmocka_unit_test(renewals_are_spread_by_name_and_stay_where_they_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
