/* Private keys as people have them: each form opens, each thing that can be wrong with one is told, and what
 * a stranger's file asks for has its limits. */
#include "common/certificate/private_key.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PASSPHRASE "correct horse"

enum { TEXT_MAX = 16 * 1024 };

static EVP_PKEY *p256, *rsa;

static int make_keys(void **state)
{
	(void)state;
	p256 = EVP_EC_gen("P-256");
	rsa = EVP_RSA_gen(2048);
	return p256 && rsa ? 0 : -1;
}

static int drop_keys(void **state)
{
	(void)state;
	EVP_PKEY_free(p256);
	EVP_PKEY_free(rsa);
	return 0;
}

static void take_text(BIO *bio, char text[TEXT_MAX])
{
	int size = BIO_read(bio, text, TEXT_MAX - 1);
	text[size > 0 ? size : 0] = '\0';
	BIO_free(bio);
}

/* PKCS #8; `cipher` NULL: in the clear. */
static void write_pkcs8(EVP_PKEY *key, const EVP_CIPHER *cipher, char text[TEXT_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
			     bio, key, cipher, PASSPHRASE, cipher ? (int)strlen(PASSPHRASE) : 0, NULL, NULL),
	    1);
	take_text(bio, text);
}

/* RSA PRIVATE KEY, EC PRIVATE KEY. */
static void write_traditional(EVP_PKEY *key, const EVP_CIPHER *cipher, char text[TEXT_MAX])
{
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, key, cipher, (unsigned char *)PASSPHRASE,
			     cipher ? (int)strlen(PASSPHRASE) : 0, NULL, NULL),
	    1);
	take_text(bio, text);
}

static void opens(const char *text, const char *passphrase, const EVP_PKEY *wanted)
{
	struct error error = {""};
	EVP_PKEY *key = NULL;
	if (private_key_read(&key, text, strlen(text), passphrase, &error) != R_OK)
		fail_msg("%s", error.text);
	assert_int_equal(EVP_PKEY_eq(key, wanted), 1);
	EVP_PKEY_free(key);
}

static void refused(
    enum result wanted, const char *text, size_t size, const char *passphrase, const char *words)
{
	struct error error = {""};
	EVP_PKEY *key = p256;
	assert_int_equal(private_key_read(&key, text, size, passphrase, &error), wanted);
	assert_null(key);
	if (!strstr(error.text, words))
		fail_msg("'%s' lacks '%s'", error.text, words);
}

static void is_refused(enum result wanted, const char *text, const char *passphrase, const char *words)
{
	refused(wanted, text, strlen(text), passphrase, words);
}

static void every_form_opens(void **state)
{
	(void)state;
	char text[TEXT_MAX];
	EVP_PKEY *const keys[] = {p256, rsa};
	for (int i = 0; i < 2; i++) {
		write_pkcs8(keys[i], NULL, text);
		opens(text, NULL, keys[i]);
		opens(text, "not needed", keys[i]);
		write_traditional(keys[i], NULL, text);
		opens(text, NULL, keys[i]);
		write_pkcs8(keys[i], EVP_aes_256_cbc(), text);
		opens(text, PASSPHRASE, keys[i]);
		write_traditional(keys[i], EVP_aes_128_cbc(), text);
		opens(text, PASSPHRASE, keys[i]);
	}
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	write_pkcs8(p384, NULL, text);
	opens(text, NULL, p384);
	EVP_PKEY_free(p384);
}

static void what_stands_around_a_key_is_passed_over(void **state)
{
	(void)state;
	char key[TEXT_MAX], text[2 * TEXT_MAX];
	write_traditional(p256, NULL, key);
	snprintf(text, sizeof text,
	    "Bag Attributes\r\n    friendlyName: me\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
	    "-----END EC PARAMETERS-----\n%s\nthe end",
	    key);
	opens(text, NULL, p256);
}

static void pass_phrases_are_asked_for_and_compared(void **state)
{
	(void)state;
	char text[TEXT_MAX];
	for (int traditional = 0; traditional < 2; traditional++) {
		if (traditional)
			write_traditional(p256, EVP_aes_128_cbc(), text);
		else
			write_pkcs8(p256, EVP_aes_128_cbc(), text);
		is_refused(R_NONE, text, NULL, "pass phrase is missing");
		is_refused(R_DENIED, text, "", "pass phrase is wrong");
		is_refused(R_DENIED, text, "incorrect", "pass phrase is wrong");
		is_refused(R_DENIED, text, PASSPHRASE " ", "pass phrase is wrong");
	}
}

static void kinds_that_are_not_served_are_refused(void **state)
{
	(void)state;
	char text[TEXT_MAX];
	EVP_PKEY *const keys[] = {EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), EVP_RSA_gen(1024),
	    EVP_RSA_gen(4104), EVP_EC_gen("P-521"), EVP_EC_gen("secp256k1"),
	    EVP_PKEY_Q_keygen(NULL, NULL, "X25519")};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		write_pkcs8(keys[i], NULL, text);
		is_refused(R_INVALID, text, NULL, "RSA from 2,048 to 4,096 bits, P-256 or P-384");
		EVP_PKEY_free(keys[i]);
	}
}

static void what_is_no_key_is_told(void **state)
{
	(void)state;
	static const char cut[] = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA";
	static const char junk[] = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
	static const char certificate[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	static const char header[] = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
				     "ROT13,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
	char key[TEXT_MAX], two[2 * TEXT_MAX];
	is_refused(R_INVALID, "", NULL, "no private key in PEM form");
	is_refused(R_INVALID, "MIGHAgEAMBMGByqGSM49", NULL, "openssl pkcs12");
	is_refused(R_INVALID, certificate, NULL, "no private key in PEM form");
	is_refused(R_INVALID, cut, NULL, "damaged or cut off");
	is_refused(R_INVALID, junk, NULL, "cannot be decoded");
	is_refused(R_INVALID, header, PASSPHRASE, "cipher that is not known");
	write_pkcs8(p256, NULL, key);
	snprintf(two, sizeof two, "%s%s", key, key);
	is_refused(R_INVALID, two, NULL, "two private keys");
	key[40] = '\0';
	refused(R_INVALID, key, 200, NULL, "no private key in PEM form");
	unsigned char *der = NULL;
	int size = i2d_PrivateKey(p256, &der);
	refused(R_INVALID, (const char *)der, (size_t)size, NULL, "no private key in PEM form");
	OPENSSL_free(der);
	char *long_text = calloc(1, PRIVATE_KEY_PEM_MAX + 2);
	memset(long_text, 'a', PRIVATE_KEY_PEM_MAX + 1);
	is_refused(R_INVALID, long_text, NULL, "longer than 64 KiB");
	free(long_text);
}

/* An encrypted key in which one number was written over by another of the same size. */
static void write_patched(X509_ALGOR *algorithm, const char *from, const char *to, char text[TEXT_MAX])
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(p256);
	X509_SIG *encrypted = PKCS8_set0_pbe(PASSPHRASE, (int)strlen(PASSPHRASE), info, algorithm);
	unsigned char *der = NULL;
	assert_non_null(encrypted);
	int size = i2d_X509_SIG(encrypted, &der);
	unsigned char *at = memmem(der, (size_t)size, from, 5);
	assert_non_null(at);
	memcpy(at, to, 5);
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio(bio, "ENCRYPTED PRIVATE KEY", "", der, size);
	take_text(bio, text);
	OPENSSL_free(der);
	X509_SIG_free(encrypted);
	PKCS8_PRIV_KEY_INFO_free(info);
}

static void a_file_cannot_ask_for_any_amount_of_work(void **state)
{
	(void)state;
	char text[TEXT_MAX];
	struct timespec before, after;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
	/* 100,000 iterations become 8,388,607. */
	write_patched(PKCS5_pbe2_set_iv(EVP_aes_128_cbc(), 100000, NULL, 0, NULL, NID_hmacWithSHA256),
	    "\x02\x03\x01\x86\xa0", "\x02\x03\x7f\xff\xff", text);
	is_refused(R_INVALID, text, PASSPHRASE, "takes too long");
	/* They become -8,388,608. */
	write_patched(PKCS5_pbe2_set_iv(EVP_aes_128_cbc(), 100000, NULL, 0, NULL, NID_hmacWithSHA256),
	    "\x02\x03\x01\x86\xa0", "\x02\x03\x80\x00\x00", text);
	is_refused(R_INVALID, text, PASSPHRASE, "takes too long");
	write_patched(PKCS5_pbe_set(NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 100000, NULL, 0),
	    "\x02\x03\x01\x86\xa0", "\x02\x03\x7f\xff\xff", text);
	is_refused(R_INVALID, text, PASSPHRASE, "takes too long");
	/* scrypt: 65,536 becomes 4,194,304, which would want a gigabyte of memory. */
	write_patched(PKCS5_pbe2_set_scrypt(EVP_aes_128_cbc(), NULL, 0, NULL, 65536, 2, 1),
	    "\x02\x03\x01\x00\x00", "\x02\x03\x40\x00\x00", text);
	is_refused(R_INVALID, text, PASSPHRASE, "takes too long");
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
	assert_true(after.tv_sec - before.tv_sec < 20);
	write_patched(PKCS5_pbe2_set_iv(EVP_aes_128_cbc(), 100000, NULL, 0, NULL, NID_hmacWithSHA256),
	    "\x02\x03\x01\x86\xa0", "\x02\x03\x01\x86\xa0", text);
	opens(text, PASSPHRASE, p256);
	write_patched(PKCS5_pbe2_set_scrypt(EVP_aes_128_cbc(), NULL, 0, NULL, 65536, 2, 1),
	    "\x02\x03\x01\x00\x00", "\x02\x03\x01\x00\x00", text);
	opens(text, PASSPHRASE, p256);
}

static void a_key_is_known_by_what_it_signs(void **state)
{
	(void)state;
	EVP_PKEY *other = EVP_EC_gen("P-256");
	assert_true(private_key_is_of(p256, p256));
	assert_true(private_key_is_of(rsa, rsa));
	assert_false(private_key_is_of(other, p256));
	assert_false(private_key_is_of(rsa, p256));
	EVP_PKEY_free(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_form_opens),
	    cmocka_unit_test(what_stands_around_a_key_is_passed_over),
	    cmocka_unit_test(pass_phrases_are_asked_for_and_compared),
	    cmocka_unit_test(kinds_that_are_not_served_are_refused),
	    cmocka_unit_test(what_is_no_key_is_told),
	    cmocka_unit_test(a_file_cannot_ask_for_any_amount_of_work),
	    cmocka_unit_test(a_key_is_known_by_what_it_signs),
	};
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
