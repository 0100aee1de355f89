/* The certificate request: signed, one name, nothing else. */
#include "acme/order/csr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "acme/ca/jws.h"

static X509_REQ *request_for(const char *name, EVP_PKEY *key)
{
	struct buf der;
	buf_init(&der, CSR_MAX);
	assert_int_equal(csr_build(&der, key, name, NULL), R_OK);
	const unsigned char *at = (const unsigned char *)buf_bytes(&der);
	X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)buf_size(&der));
	assert_non_null(request);
	assert_ptr_equal(at, buf_bytes(&der) + buf_size(&der));
	buf_fini(&der);
	return request;
}

static void assert_only_name(X509_REQ *request, const char *name)
{
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	const GENERAL_NAME *only = sk_GENERAL_NAME_value(names, 0);
	assert_int_equal(only->type, GEN_DNS);
	assert_int_equal(ASN1_STRING_length(only->d.dNSName), strlen(name));
	assert_memory_equal(ASN1_STRING_get0_data(only->d.dNSName), name, strlen(name));
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static void a_request_holds_one_name_and_no_subject(void **state)
{
	(void)state;
	EVP_PKEY *key = jws_key_new();
	X509_REQ *request = request_for("shop.client-brand.com", key);
	assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(request)), 0);
	assert_only_name(request, "shop.client-brand.com");
	assert_int_equal(X509_REQ_verify(request, key), 1);
	X509_REQ_free(request);
	EVP_PKEY_free(key);
}

static void the_longest_name_fits(void **state)
{
	(void)state;
	char name[254];
	for (int i = 0; i < 253; i++)
		name[i] = i % 64 == 63 ? '.' : 'a';
	name[253] = '\0';
	EVP_PKEY *key = jws_key_new();
	X509_REQ *request = request_for(name, key);
	assert_only_name(request, name);
	X509_REQ_free(request);
	EVP_PKEY_free(key);
}

static void a_comma_in_a_name_does_not_start_another_name(void **state)
{
	(void)state;
	EVP_PKEY *key = jws_key_new();
	X509_REQ *request = request_for("a.test,DNS:b.test", key);
	assert_only_name(request, "a.test,DNS:b.test");
	X509_REQ_free(request);
	EVP_PKEY_free(key);
}

static void a_request_that_does_not_fit_is_an_error(void **state)
{
	(void)state;
	struct buf der;
	struct error error = {0};
	buf_init(&der, 64);
	EVP_PKEY *key = jws_key_new();
	assert_int_equal(csr_build(&der, key, "a.test", &error), R_LIMIT);
	assert_non_null(strstr(error.text, "a.test"));
	EVP_PKEY_free(key);
	buf_fini(&der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request_holds_one_name_and_no_subject),
	    cmocka_unit_test(the_longest_name_fits),
	    cmocka_unit_test(a_comma_in_a_name_does_not_start_another_name),
	    cmocka_unit_test(a_request_that_does_not_fit_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
