/* What the CA reads: base64url, ES256, JWK and thumbprint, against the vectors of RFC 7515 and RFC 7638. */
#include "acme/ca/jws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "common/certificate/certificate.h"

/* RFC 7515 appendix A.3.1. */
static const char rfc_x[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
static const char rfc_y[] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
static const char rfc_d[] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";

static EVP_PKEY *rfc_key(void)
{
	struct buf scalar;
	EVP_PKEY *key = NULL;
	buf_init(&scalar, 64);
	assert_int_equal(base64url_decode(&scalar, rfc_d, strlen(rfc_d)), R_OK);
	assert_int_equal(
	    certificate_key_import(&key, buf_bytes(&scalar), buf_size(&scalar), NULL, NULL), R_OK);
	buf_fini(&scalar);
	return key;
}

static bool signature_holds(EVP_PKEY *key, const unsigned char *raw, const char *input, size_t size)
{
	unsigned char *der = NULL;
	ECDSA_SIG *signature = ECDSA_SIG_new();
	ECDSA_SIG_set0(signature, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
	int der_size = i2d_ECDSA_SIG(signature, &der);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key);
	int verdict = EVP_DigestVerify(context, der, (size_t)der_size, (const unsigned char *)input, size);
	EVP_MD_CTX_free(context);
	OPENSSL_free(der);
	ECDSA_SIG_free(signature);
	return verdict == 1;
}

static json_t *decoded(const json_t *document, const char *member)
{
	struct buf text;
	const char *value = json_string_value(json_object_get(document, member));
	assert_non_null(value);
	buf_init(&text, 4096);
	assert_int_equal(base64url_decode(&text, value, strlen(value)), R_OK);
	json_t *parsed = json_loadb(buf_bytes(&text), buf_size(&text), JSON_DECODE_ANY, NULL);
	buf_fini(&text);
	return parsed;
}

static void base64url_is_as_in_rfc_4648_without_padding(void **state)
{
	(void)state;
	static const struct {
		const char *plain, *text;
	} vectors[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
	    {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfb", "__77"}};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct buf out;
		buf_init(&out, 100);
		assert_int_equal(base64url_encode(&out, vectors[i].plain, strlen(vectors[i].plain)), R_OK);
		assert_string_equal(buf_string(&out), vectors[i].text);
		buf_consume(&out, buf_size(&out));
		assert_int_equal(base64url_decode(&out, vectors[i].text, strlen(vectors[i].text)), R_OK);
		assert_string_equal(buf_string(&out), vectors[i].plain);
		buf_fini(&out);
	}
}

static void what_is_no_base64url_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "Z", "Zg=", "Zg==", "Zm9v\n", "Zm 9v", "+/+/", "Zm9vY", "Zh", "Zm9", "\xc3\xa4"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf out;
		buf_init(&out, 100);
		if (base64url_decode(&out, bad[i], strlen(bad[i])) != R_INVALID)
			fail_msg("accepted: %s", bad[i]);
		buf_fini(&out);
	}
}

static void encoding_stops_at_the_buffers_maximum(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 7);
	assert_int_equal(base64url_encode(&out, "foobar", 6), R_LIMIT);
	assert_int_equal(buf_size(&out), 0);
	buf_fini(&out);
}

static void a_token_is_1_to_256_characters_of_the_alphabet(void **state)
{
	(void)state;
	char longest[JWS_TOKEN_MAX + 2];
	memset(longest, 'a', sizeof longest);
	longest[JWS_TOKEN_MAX + 1] = '\0';
	assert_false(base64url_is_token(longest));
	longest[JWS_TOKEN_MAX] = '\0';
	assert_true(base64url_is_token(longest));
	assert_true(base64url_is_token("a-_9Z"));
	static const char *const bad[] = {"", "a/b", "../../etc/passwd", "a.b", "a\r\nb", "a=", "a b", "%00"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(base64url_is_token(bad[i]));
	assert_false(base64url_is_token(NULL));
}

static void the_jwk_of_rfc_7515s_key_has_its_coordinates(void **state)
{
	(void)state;
	struct buf jwk;
	EVP_PKEY *key = rfc_key();
	buf_init(&jwk, 512);
	assert_int_equal(jws_append_jwk(&jwk, key, NULL), R_OK);
	json_t *parsed = json_loads(buf_string(&jwk), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(parsed, "x")), rfc_x);
	assert_string_equal(json_string_value(json_object_get(parsed, "y")), rfc_y);
	assert_string_equal(json_string_value(json_object_get(parsed, "kty")), "EC");
	assert_string_equal(json_string_value(json_object_get(parsed, "crv")), "P-256");
	assert_int_equal(json_object_size(parsed), 4);
	json_decref(parsed);
	buf_fini(&jwk);
	EVP_PKEY_free(key);
}

static void the_thumbprint_of_an_ec_key_hashes_its_members_in_order(void **state)
{
	(void)state;
	char thumbprint[JWS_THUMBPRINT_SIZE];
	EVP_PKEY *key = rfc_key();
	assert_int_equal(jws_thumbprint(thumbprint, key, NULL), R_OK);
	assert_string_equal(thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
	EVP_PKEY_free(key);
}

static void a_key_authorization_is_token_dot_thumbprint(void **state)
{
	(void)state;
	char out[JWS_KEY_AUTHORIZATION_SIZE];
	assert_int_equal(jws_key_authorization(out, "tok-en_1", "thumb"), R_OK);
	assert_string_equal(out, "tok-en_1.thumb");
	assert_int_equal(jws_key_authorization(out, "tok/en", "thumb"), R_INVALID);
}

static void rfc_7515s_signature_holds_by_this_tests_own_check(void **state)
{
	(void)state;
	static const char input[] =
	    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGF"
	    "tcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
	static const char text[] =
	    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
	struct buf raw;
	EVP_PKEY *key = rfc_key();
	buf_init(&raw, 64);
	assert_int_equal(base64url_decode(&raw, text, strlen(text)), R_OK);
	assert_true(signature_holds(key, (const unsigned char *)buf_bytes(&raw), input, strlen(input)));
	buf_fini(&raw);
	EVP_PKEY_free(key);
}

/* One signature in 128 has an r or s with a leading zero byte, which DER leaves out and a JWS keeps. */
static void every_signature_has_64_bytes_and_holds(void **state)
{
	(void)state;
	EVP_PKEY *key = rfc_key();
	const struct jws_header header = {
	    .nonce = "n", .url = "https://ca.test/x", .kid = "https://ca.test/acct/1"};
	for (int i = 0; i < 400; i++) {
		struct buf out;
		struct buf raw;
		buf_init(&out, 4096);
		buf_init(&raw, 100);
		assert_int_equal(jws_sign(&out, key, &header, "{}", NULL), R_OK);
		json_t *jws = json_loads(buf_string(&out), 0, NULL);
		const char *protected = json_string_value(json_object_get(jws, "protected"));
		const char *payload = json_string_value(json_object_get(jws, "payload"));
		const char *signature = json_string_value(json_object_get(jws, "signature"));
		char input[1024];
		int size = snprintf(input, sizeof input, "%s.%s", protected, payload);
		assert_int_equal(base64url_decode(&raw, signature, strlen(signature)), R_OK);
		assert_int_equal(buf_size(&raw), 64);
		assert_true(
		    signature_holds(key, (const unsigned char *)buf_bytes(&raw), input, (size_t)size));
		json_decref(jws);
		buf_fini(&raw);
		buf_fini(&out);
	}
	EVP_PKEY_free(key);
}

static void a_request_names_its_account_and_no_key(void **state)
{
	(void)state;
	EVP_PKEY *key = rfc_key();
	struct buf out;
	buf_init(&out, 4096);
	const struct jws_header header = {
	    .nonce = "nonce-1", .url = "https://ca.test/order", .kid = "https://ca.test/1"};
	assert_int_equal(jws_sign(&out, key, &header, "{\"a\":1}", NULL), R_OK);
	json_t *jws = json_loads(buf_string(&out), 0, NULL);
	json_t *protected = decoded(jws, "protected");
	assert_string_equal(json_string_value(json_object_get(protected, "alg")), "ES256");
	assert_string_equal(json_string_value(json_object_get(protected, "nonce")), "nonce-1");
	assert_string_equal(json_string_value(json_object_get(protected, "url")), "https://ca.test/order");
	assert_string_equal(json_string_value(json_object_get(protected, "kid")), "https://ca.test/1");
	assert_null(json_object_get(protected, "jwk"));
	json_t *payload = decoded(jws, "payload");
	assert_int_equal(json_integer_value(json_object_get(payload, "a")), 1);
	json_decref(payload);
	json_decref(protected);
	json_decref(jws);
	buf_fini(&out);
	EVP_PKEY_free(key);
}

static void new_account_carries_its_key_and_no_account(void **state)
{
	(void)state;
	EVP_PKEY *key = rfc_key();
	struct buf out;
	buf_init(&out, 4096);
	const struct jws_header header = {.nonce = "n", .url = "https://ca.test/acct"};
	assert_int_equal(jws_sign(&out, key, &header, "{}", NULL), R_OK);
	json_t *jws = json_loads(buf_string(&out), 0, NULL);
	json_t *protected = decoded(jws, "protected");
	assert_string_equal(
	    json_string_value(json_object_get(json_object_get(protected, "jwk"), "x")), rfc_x);
	assert_null(json_object_get(protected, "kid"));
	json_decref(protected);
	json_decref(jws);
	buf_fini(&out);
	EVP_PKEY_free(key);
}

static void post_as_get_has_an_empty_payload(void **state)
{
	(void)state;
	EVP_PKEY *key = rfc_key();
	struct buf out;
	buf_init(&out, 4096);
	const struct jws_header header = {
	    .nonce = "n", .url = "https://ca.test/o", .kid = "https://ca.test/1"};
	assert_int_equal(jws_sign(&out, key, &header, NULL, NULL), R_OK);
	json_t *jws = json_loads(buf_string(&out), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(jws, "payload")), "");
	json_decref(jws);
	buf_fini(&out);
	EVP_PKEY_free(key);
}

static void a_key_of_another_kind_is_refused(void **state)
{
	(void)state;
	char thumbprint[JWS_THUMBPRINT_SIZE];
	struct error error = {0};
	EVP_PKEY *keys[] = {EVP_EC_gen("P-521"), EVP_RSA_gen(1024), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		assert_int_equal(jws_thumbprint(thumbprint, keys[i], &error), R_INVALID);
		assert_non_null(strstr(error.text, "P-256"));
		EVP_PKEY_free(keys[i]);
	}
}

/* The JWK of RFC 7638 section 3.1: its thumbprint is there. */
static void an_rsa_keys_thumbprint_is_the_rfcs(void **state)
{
	(void)state;
	static const char n[] =
	    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_"
	    "BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
	    "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-"
	    "bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
	struct buf modulus;
	char thumbprint[JWS_THUMBPRINT_SIZE];
	buf_init(&modulus, 1024);
	assert_int_equal(base64url_decode(&modulus, n, strlen(n)), R_OK);
	BIGNUM *number = BN_bin2bn((const unsigned char *)buf_bytes(&modulus), (int)buf_size(&modulus), NULL);
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, number), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_ulong(builder, OSSL_PKEY_PARAM_RSA_E, 65537), 1);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
	assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	assert_int_equal(jws_thumbprint(thumbprint, key, NULL), R_OK);
	assert_string_equal(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	BN_free(number);
	buf_fini(&modulus);
}

/* Verifies a JWS of ours with the key itself; returns the protected header. */
static json_t *verified(struct buf *out, EVP_PKEY *key, const EVP_MD *digest, int width)
{
	json_t *jws = json_loads(buf_string(out), 0, NULL);
	const char *protected = json_string_value(json_object_get(jws, "protected"));
	const char *payload = json_string_value(json_object_get(jws, "payload"));
	const char *text = json_string_value(json_object_get(jws, "signature"));
	struct buf input, signature, header;
	buf_init(&input, 8192);
	buf_init(&signature, 1024);
	buf_init(&header, 4096);
	buf_append_format(&input, "%s.%s", protected, payload);
	assert_int_equal(base64url_decode(&signature, text, strlen(text)), R_OK);
	assert_int_equal(base64url_decode(&header, protected, strlen(protected)), R_OK);
	unsigned char *der = NULL;
	const unsigned char *raw = (const unsigned char *)buf_bytes(&signature);
	int size = (int)buf_size(&signature);
	if (width > 0) {
		assert_int_equal(size, 2 * width);
		ECDSA_SIG *pair = ECDSA_SIG_new();
		ECDSA_SIG_set0(pair, BN_bin2bn(raw, width, NULL), BN_bin2bn(raw + width, width, NULL));
		size = i2d_ECDSA_SIG(pair, &der);
		ECDSA_SIG_free(pair);
	}
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(context, NULL, digest, NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(context, der ? der : raw, (size_t)size,
			     (const unsigned char *)buf_bytes(&input), buf_size(&input)),
	    1);
	EVP_MD_CTX_free(context);
	OPENSSL_free(der);
	json_t *parsed = json_loadb(buf_bytes(&header), buf_size(&header), 0, NULL);
	json_decref(jws);
	buf_fini(&input);
	buf_fini(&signature);
	buf_fini(&header);
	return parsed;
}

static void a_key_signs_with_its_own_algorithm(void **state)
{
	(void)state;
	const struct {
		EVP_PKEY *key;
		const char *name;
		const EVP_MD *digest;
		int width;
	} cases[] = {{EVP_EC_gen("P-256"), "ES256", EVP_sha256(), 32},
	    {EVP_EC_gen("P-384"), "ES384", EVP_sha384(), 48}, {EVP_RSA_gen(2048), "RS256", EVP_sha256(), 0}};
	const struct jws_header header = {.url = "https://ca.test/key-change"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf out;
		buf_init(&out, 8192);
		assert_int_equal(jws_sign(&out, cases[i].key, &header, "{}", NULL), R_OK);
		json_t *protected = verified(&out, cases[i].key, cases[i].digest, cases[i].width);
		assert_string_equal(json_string_value(json_object_get(protected, "alg")), cases[i].name);
		assert_non_null(json_object_get(protected, "jwk"));
		assert_null(json_object_get(protected, "nonce"));
		json_decref(protected);
		buf_fini(&out);
		EVP_PKEY_free(cases[i].key);
	}
}

static void an_external_account_is_bound_by_its_mac_without_a_nonce(void **state)
{
	(void)state;
	unsigned char secret[] = "a key of the CA";
	const struct jws_external external = {.kid = "kid-1", .key = secret, .key_size = sizeof secret - 1};
	struct buf out, input, mac;
	unsigned char expected[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	buf_init(&out, 4096);
	buf_init(&input, 4096);
	buf_init(&mac, 64);
	assert_int_equal(
	    jws_sign_external(&out, &external, "https://ca.test/new", "{\"kty\":\"EC\"}", NULL), R_OK);
	json_t *jws = json_loads(buf_string(&out), 0, NULL);
	const char *protected = json_string_value(json_object_get(jws, "protected"));
	const char *signature = json_string_value(json_object_get(jws, "signature"));
	buf_append_format(&input, "%s.%s", protected, json_string_value(json_object_get(jws, "payload")));
	HMAC(EVP_sha256(), secret, sizeof secret - 1, (const unsigned char *)buf_bytes(&input),
	    buf_size(&input), expected, &size);
	assert_int_equal(base64url_decode(&mac, signature, strlen(signature)), R_OK);
	assert_int_equal(buf_size(&mac), size);
	assert_memory_equal(buf_bytes(&mac), expected, size);
	struct buf header;
	buf_init(&header, 1024);
	base64url_decode(&header, protected, strlen(protected));
	assert_string_equal(
	    buf_string(&header), "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"https://ca.test/new\"}");
	json_decref(jws);
	buf_fini(&header);
	buf_fini(&out);
	buf_fini(&input);
	buf_fini(&mac);
}

static void a_request_that_does_not_fit_is_no_request(void **state)
{
	(void)state;
	EVP_PKEY *key = rfc_key();
	struct buf out;
	struct error error = {0};
	buf_init(&out, 100);
	const struct jws_header header = {
	    .nonce = "n", .url = "https://ca.test/o", .kid = "https://ca.test/1"};
	assert_int_equal(jws_sign(&out, key, &header, "{}", &error), R_LIMIT);
	assert_non_null(strstr(error.text, "https://ca.test/o"));
	buf_fini(&out);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base64url_is_as_in_rfc_4648_without_padding),
	    cmocka_unit_test(what_is_no_base64url_is_refused),
	    cmocka_unit_test(encoding_stops_at_the_buffers_maximum),
	    cmocka_unit_test(a_token_is_1_to_256_characters_of_the_alphabet),
	    cmocka_unit_test(the_jwk_of_rfc_7515s_key_has_its_coordinates),
	    cmocka_unit_test(the_thumbprint_of_an_ec_key_hashes_its_members_in_order),
	    cmocka_unit_test(a_key_authorization_is_token_dot_thumbprint),
	    cmocka_unit_test(rfc_7515s_signature_holds_by_this_tests_own_check),
	    cmocka_unit_test(every_signature_has_64_bytes_and_holds),
	    cmocka_unit_test(a_request_names_its_account_and_no_key),
	    cmocka_unit_test(new_account_carries_its_key_and_no_account),
	    cmocka_unit_test(post_as_get_has_an_empty_payload),
	    cmocka_unit_test(a_key_of_another_kind_is_refused),
	    cmocka_unit_test(an_rsa_keys_thumbprint_is_the_rfcs),
	    cmocka_unit_test(a_key_signs_with_its_own_algorithm),
	    cmocka_unit_test(an_external_account_is_bound_by_its_mac_without_a_nonce),
	    cmocka_unit_test(a_request_that_does_not_fit_is_no_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
