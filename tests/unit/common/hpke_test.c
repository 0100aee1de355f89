/* HPKE against the vectors that were published with RFC 9180: base mode, KEM 0x0020, KDF 0x0001. */
#include "common/seal/hpke.h"

#include <openssl/crypto.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { PLAIN_SIZE = 29, SEALED_SIZE = PLAIN_SIZE + HPKE_OVERHEAD };

struct vector {
	enum hpke_aead aead;
	const char *recipient_secret;
	const char *recipient_public;
	const char *ephemeral_secret;
	const char *enc;
	const char *ciphertext; /* of the first message, whose associated data is "Count-0" */
};

static const struct vector vectors[] = {
    {HPKE_AES_128_GCM, "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
	"3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
	"52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736",
	"37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
	"f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"},
    {HPKE_AES_256_GCM, "497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d",
	"430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c",
	"179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11",
	"6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256",
	"e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a"},
};

static const struct hpke_bytes info = {"Ode on a Grecian Urn", 20};
static const struct hpke_bytes aad = {"Count-0", 7};
static const struct hpke_bytes plain = {"Beauty is truth, truth beauty", PLAIN_SIZE};

static void unhex(unsigned char *out, size_t size, const char *hex)
{
	size_t got = 0;
	assert_int_equal(OPENSSL_hexstr2buf_ex(out, size, &got, hex, 0), 1);
	assert_int_equal(got, size);
}

static void published_messages_come_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned char ephemeral[HPKE_KEY_SIZE];
		unsigned char public[HPKE_KEY_SIZE];
		unsigned char expected[SEALED_SIZE];
		unsigned char sealed[SEALED_SIZE];
		unhex(ephemeral, sizeof ephemeral, vectors[i].ephemeral_secret);
		unhex(public, sizeof public, vectors[i].recipient_public);
		unhex(expected, HPKE_KEY_SIZE, vectors[i].enc);
		unhex(expected + HPKE_KEY_SIZE, SEALED_SIZE - HPKE_KEY_SIZE, vectors[i].ciphertext);
		assert_true(
		    hpke_seal_with_ephemeral(vectors[i].aead, ephemeral, public, info, aad, plain, sealed));
		assert_memory_equal(sealed, expected, sizeof expected);
	}
}

static void published_messages_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned char secret[HPKE_KEY_SIZE];
		unsigned char sealed[SEALED_SIZE];
		unsigned char opened[PLAIN_SIZE];
		unhex(secret, sizeof secret, vectors[i].recipient_secret);
		unhex(sealed, HPKE_KEY_SIZE, vectors[i].enc);
		unhex(sealed + HPKE_KEY_SIZE, SEALED_SIZE - HPKE_KEY_SIZE, vectors[i].ciphertext);
		const struct hpke_bytes all = {sealed, sizeof sealed};
		assert_true(hpke_open(vectors[i].aead, secret, info, aad, all, opened));
		assert_memory_equal(opened, plain.data, PLAIN_SIZE);
	}
}

static void public_key_follows_from_the_secret(void **state)
{
	(void)state;
	unsigned char secret[HPKE_KEY_SIZE];
	unsigned char expected[HPKE_KEY_SIZE];
	unsigned char public[HPKE_KEY_SIZE];
	unhex(secret, sizeof secret, vectors[1].recipient_secret);
	unhex(expected, sizeof expected, vectors[1].recipient_public);
	assert_true(hpke_public_of(secret, public));
	assert_memory_equal(public, expected, sizeof expected);
}

static void two_seals_of_one_text_differ(void **state)
{
	(void)state;
	unsigned char secret[HPKE_KEY_SIZE];
	unsigned char public[HPKE_KEY_SIZE];
	unsigned char first[SEALED_SIZE];
	unsigned char second[SEALED_SIZE];
	assert_true(hpke_generate(secret, public));
	assert_true(hpke_seal(HPKE_AES_256_GCM, public, info, aad, plain, first));
	assert_true(hpke_seal(HPKE_AES_256_GCM, public, info, aad, plain, second));
	assert_memory_not_equal(first, second, HPKE_KEY_SIZE);
}

static void any_changed_byte_is_refused_and_nothing_is_given_out(void **state)
{
	(void)state;
	unsigned char secret[HPKE_KEY_SIZE];
	unsigned char public[HPKE_KEY_SIZE];
	unsigned char sealed[SEALED_SIZE];
	unsigned char opened[PLAIN_SIZE];
	const unsigned char nothing[PLAIN_SIZE] = {0};
	assert_true(hpke_generate(secret, public));
	assert_true(hpke_seal(HPKE_AES_256_GCM, public, info, aad, plain, sealed));
	const struct hpke_bytes all = {sealed, sizeof sealed};
	for (size_t i = 0; i < sizeof sealed; i++) {
		memset(opened, 0, sizeof opened);
		sealed[i] ^= 1;
		assert_false(hpke_open(HPKE_AES_256_GCM, secret, info, aad, all, opened));
		assert_memory_equal(opened, nothing, sizeof nothing);
		sealed[i] ^= 1;
	}
	assert_true(hpke_open(HPKE_AES_256_GCM, secret, info, aad, all, opened));
}

static void short_input_is_refused(void **state)
{
	(void)state;
	unsigned char secret[HPKE_KEY_SIZE];
	unsigned char public[HPKE_KEY_SIZE];
	unsigned char sealed[SEALED_SIZE] = {0};
	unsigned char opened[PLAIN_SIZE];
	assert_true(hpke_generate(secret, public));
	for (size_t size = 0; size < HPKE_OVERHEAD; size++)
		assert_false(hpke_open(
		    HPKE_AES_256_GCM, secret, info, aad, (struct hpke_bytes){sealed, size}, opened));
}

static void empty_text_seals_and_opens(void **state)
{
	(void)state;
	unsigned char secret[HPKE_KEY_SIZE];
	unsigned char public[HPKE_KEY_SIZE];
	unsigned char sealed[HPKE_OVERHEAD];
	unsigned char opened[1];
	const struct hpke_bytes none = {NULL, 0};
	assert_true(hpke_generate(secret, public));
	assert_true(hpke_seal(HPKE_AES_256_GCM, public, info, none, none, sealed));
	assert_true(hpke_open(
	    HPKE_AES_256_GCM, secret, info, none, (struct hpke_bytes){sealed, sizeof sealed}, opened));
}

/* RFC 7748 section 6.1: a public key of small order would make the shared secret everybody's. */
static void public_key_of_small_order_is_refused(void **state)
{
	(void)state;
	const unsigned char zero[HPKE_KEY_SIZE] = {0};
	const unsigned char one[HPKE_KEY_SIZE] = {1};
	unsigned char sealed[SEALED_SIZE];
	assert_false(hpke_seal(HPKE_AES_256_GCM, zero, info, aad, plain, sealed));
	assert_false(hpke_seal(HPKE_AES_256_GCM, one, info, aad, plain, sealed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(published_messages_come_out),
	    cmocka_unit_test(published_messages_open),
	    cmocka_unit_test(public_key_follows_from_the_secret),
	    cmocka_unit_test(two_seals_of_one_text_differ),
	    cmocka_unit_test(any_changed_byte_is_refused_and_nothing_is_given_out),
	    cmocka_unit_test(short_input_is_refused),
	    cmocka_unit_test(empty_text_seals_and_opens),
	    cmocka_unit_test(public_key_of_small_order_is_refused),
	};
	return cmocka_run_group_tests_name("hpke", tests, NULL, NULL);
}
