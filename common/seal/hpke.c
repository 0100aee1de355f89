#include "common/seal/hpke.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

enum { HASH_SIZE = 32, NONCE_SIZE = 12, SUITE_MAX = 10, LABELED_MAX = 512, MODE_BASE = 0 };

/* RFC 9180 section 7: the numbers of the algorithms, as they go into the suite ids. */
enum { KEM_X25519_HKDF_SHA256 = 0x0020, KDF_HKDF_SHA256 = 0x0001 };

static const unsigned char kem_suite[] = {'K', 'E', 'M', 0, KEM_X25519_HKDF_SHA256};

struct schedule {
	unsigned char key[32];
	unsigned char nonce[NONCE_SIZE];
};

static size_t key_size(enum hpke_aead aead)
{
	return aead == HPKE_AES_128_GCM ? 16 : 32;
}

static const EVP_CIPHER *cipher_of(enum hpke_aead aead)
{
	return aead == HPKE_AES_128_GCM ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
}

/* A concatenation of what is at most a few short parts; the sizes are this file's own. */
struct labeled {
	unsigned char bytes[LABELED_MAX];
	size_t size;
	bool overflow;
};

static void labeled_add(struct labeled *labeled, const void *bytes, size_t size)
{
	if (size > sizeof labeled->bytes - labeled->size) {
		labeled->overflow = true;
		return;
	}
	if (size > 0)
		memcpy(labeled->bytes + labeled->size, bytes, size);
	labeled->size += size;
}

static bool hkdf(int mode, const void *key, size_t key_bytes, const void *salt_or_info, size_t size,
    unsigned char *out, size_t out_size)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	char digest[] = "SHA256";
	const char *which =
	    mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY ? OSSL_KDF_PARAM_SALT : OSSL_KDF_PARAM_INFO;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key, key_bytes),
	    size ? OSSL_PARAM_construct_octet_string(which, (void *)salt_or_info, size)
		 : OSSL_PARAM_construct_end(),
	    OSSL_PARAM_construct_end(),
	};
	bool ok = ctx && EVP_KDF_derive(ctx, out, out_size, params) == 1;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok;
}

/* RFC 9180 section 4: LabeledExtract and LabeledExpand. */
static bool labeled_extract(struct hpke_bytes suite, struct hpke_bytes salt, const char *label,
    struct hpke_bytes ikm, unsigned char out[HASH_SIZE])
{
	struct labeled labeled = {.size = 0};
	labeled_add(&labeled, "HPKE-v1", 7);
	labeled_add(&labeled, suite.data, suite.size);
	labeled_add(&labeled, label, strlen(label));
	labeled_add(&labeled, ikm.data, ikm.size);
	bool ok = !labeled.overflow && hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, labeled.bytes, labeled.size,
					   salt.data, salt.size, out, HASH_SIZE);
	OPENSSL_cleanse(&labeled, sizeof labeled);
	return ok;
}

static bool labeled_expand(struct hpke_bytes suite, const unsigned char prk[HASH_SIZE], const char *label,
    struct hpke_bytes info, unsigned char *out, size_t out_size)
{
	struct labeled labeled = {.size = 0};
	const unsigned char size[] = {(unsigned char)(out_size >> 8), (unsigned char)out_size};
	labeled_add(&labeled, size, sizeof size);
	labeled_add(&labeled, "HPKE-v1", 7);
	labeled_add(&labeled, suite.data, suite.size);
	labeled_add(&labeled, label, strlen(label));
	labeled_add(&labeled, info.data, info.size);
	return !labeled.overflow && hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, prk, HASH_SIZE, labeled.bytes,
					labeled.size, out, out_size);
}

/* Fails for a public key of small order: OpenSSL refuses an all-zero result (RFC 7748 section 6.1). */
static bool x25519(const unsigned char secret[HPKE_KEY_SIZE], const unsigned char public[HPKE_KEY_SIZE],
    unsigned char out[HPKE_KEY_SIZE])
{
	EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, HPKE_KEY_SIZE);
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public, HPKE_KEY_SIZE);
	EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
	size_t size = HPKE_KEY_SIZE;
	bool ok = ctx && peer && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
		  EVP_PKEY_derive(ctx, out, &size) == 1 && size == HPKE_KEY_SIZE;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
	return ok;
}

bool hpke_public_of(const unsigned char secret[HPKE_KEY_SIZE], unsigned char public[HPKE_KEY_SIZE])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, HPKE_KEY_SIZE);
	size_t size = HPKE_KEY_SIZE;
	bool ok = key && EVP_PKEY_get_raw_public_key(key, public, &size) == 1 && size == HPKE_KEY_SIZE;
	EVP_PKEY_free(key);
	return ok;
}

bool hpke_generate(unsigned char secret[HPKE_KEY_SIZE], unsigned char public[HPKE_KEY_SIZE])
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	size_t secret_size = HPKE_KEY_SIZE;
	size_t public_size = HPKE_KEY_SIZE;
	bool ok = key && EVP_PKEY_get_raw_private_key(key, secret, &secret_size) == 1 &&
		  EVP_PKEY_get_raw_public_key(key, public, &public_size) == 1;
	EVP_PKEY_free(key);
	return ok;
}

/* Section 4.1, ExtractAndExpand over the key agreement of `secret` and `peer`. */
static bool kem_shared_secret(const unsigned char secret[HPKE_KEY_SIZE],
    const unsigned char peer[HPKE_KEY_SIZE], const unsigned char enc[HPKE_KEY_SIZE],
    const unsigned char recipient[HPKE_KEY_SIZE], unsigned char out[HASH_SIZE])
{
	const struct hpke_bytes suite = {kem_suite, sizeof kem_suite};
	unsigned char dh[HPKE_KEY_SIZE];
	unsigned char prk[HASH_SIZE];
	unsigned char context[2 * HPKE_KEY_SIZE];
	memcpy(context, enc, HPKE_KEY_SIZE);
	memcpy(context + HPKE_KEY_SIZE, recipient, HPKE_KEY_SIZE);
	bool ok = x25519(secret, peer, dh) &&
		  labeled_extract(suite, (struct hpke_bytes){NULL, 0}, "eae_prk",
		      (struct hpke_bytes){dh, sizeof dh}, prk) &&
		  labeled_expand(suite, prk, "shared_secret", (struct hpke_bytes){context, sizeof context},
		      out, HASH_SIZE);
	OPENSSL_cleanse(dh, sizeof dh);
	OPENSSL_cleanse(prk, sizeof prk);
	return ok;
}

/* Section 5.1, KeySchedule in base mode: neither psk nor psk_id. */
static bool key_schedule(
    enum hpke_aead aead, const unsigned char shared[HASH_SIZE], struct hpke_bytes info, struct schedule *out)
{
	const unsigned char id[SUITE_MAX] = {
	    'H', 'P', 'K', 'E', 0, KEM_X25519_HKDF_SHA256, 0, KDF_HKDF_SHA256, 0, (unsigned char)aead};
	const struct hpke_bytes suite = {id, sizeof id};
	const struct hpke_bytes none = {NULL, 0};
	unsigned char context[1 + 2 * HASH_SIZE] = {MODE_BASE};
	unsigned char secret[HASH_SIZE];
	const struct hpke_bytes all = {context, sizeof context};
	bool ok = labeled_extract(suite, none, "psk_id_hash", none, context + 1) &&
		  labeled_extract(suite, none, "info_hash", info, context + 1 + HASH_SIZE) &&
		  labeled_extract(suite, (struct hpke_bytes){shared, HASH_SIZE}, "secret", none, secret) &&
		  labeled_expand(suite, secret, "key", all, out->key, key_size(aead)) &&
		  labeled_expand(suite, secret, "base_nonce", all, out->nonce, sizeof out->nonce);
	OPENSSL_cleanse(secret, sizeof secret);
	return ok;
}

/* The first message of a context: its nonce is base_nonce itself. */
static bool encrypt(enum hpke_aead aead, const struct schedule *schedule, struct hpke_bytes aad,
    struct hpke_bytes plain, unsigned char *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int size = 0;
	bool ok = ctx &&
		  EVP_EncryptInit_ex2(ctx, cipher_of(aead), schedule->key, schedule->nonce, NULL) == 1 &&
		  (aad.size == 0 || EVP_EncryptUpdate(ctx, NULL, &size, aad.data, (int)aad.size) == 1) &&
		  (plain.size == 0 || EVP_EncryptUpdate(ctx, out, &size, plain.data, (int)plain.size) == 1) &&
		  EVP_EncryptFinal_ex(ctx, out + plain.size, &size) == 1 &&
		  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, HPKE_TAG_SIZE, out + plain.size) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static bool decrypt(enum hpke_aead aead, const struct schedule *schedule, struct hpke_bytes aad,
    struct hpke_bytes sealed, unsigned char *out)
{
	size_t size = sealed.size - HPKE_TAG_SIZE;
	const unsigned char *bytes = sealed.data;
	unsigned char tag[HPKE_TAG_SIZE];
	memcpy(tag, bytes + size, sizeof tag);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done = 0;
	bool ok = ctx &&
		  EVP_DecryptInit_ex2(ctx, cipher_of(aead), schedule->key, schedule->nonce, NULL) == 1 &&
		  (aad.size == 0 || EVP_DecryptUpdate(ctx, NULL, &done, aad.data, (int)aad.size) == 1) &&
		  (size == 0 || EVP_DecryptUpdate(ctx, out, &done, bytes, (int)size) == 1) &&
		  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, HPKE_TAG_SIZE, tag) == 1 &&
		  EVP_DecryptFinal_ex(ctx, out + size, &done) == 1;
	if (!ok)
		OPENSSL_cleanse(out, size);
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

bool hpke_seal_with_ephemeral(enum hpke_aead aead, const unsigned char ephemeral[HPKE_KEY_SIZE],
    const unsigned char public[HPKE_KEY_SIZE], struct hpke_bytes info, struct hpke_bytes aad,
    struct hpke_bytes plain, unsigned char *out)
{
	unsigned char shared[HASH_SIZE];
	struct schedule schedule;
	bool ok = plain.size < INT_MAX && aad.size < INT_MAX && hpke_public_of(ephemeral, out) &&
		  kem_shared_secret(ephemeral, public, out, public, shared) &&
		  key_schedule(aead, shared, info, &schedule) &&
		  encrypt(aead, &schedule, aad, plain, out + HPKE_KEY_SIZE);
	OPENSSL_cleanse(shared, sizeof shared);
	OPENSSL_cleanse(&schedule, sizeof schedule);
	return ok;
}

bool hpke_seal(enum hpke_aead aead, const unsigned char public[HPKE_KEY_SIZE], struct hpke_bytes info,
    struct hpke_bytes aad, struct hpke_bytes plain, unsigned char *out)
{
	unsigned char ephemeral[HPKE_KEY_SIZE];
	unsigned char unused[HPKE_KEY_SIZE];
	bool ok = hpke_generate(ephemeral, unused) &&
		  hpke_seal_with_ephemeral(aead, ephemeral, public, info, aad, plain, out);
	OPENSSL_cleanse(ephemeral, sizeof ephemeral);
	return ok;
}

bool hpke_open(enum hpke_aead aead, const unsigned char secret[HPKE_KEY_SIZE], struct hpke_bytes info,
    struct hpke_bytes aad, struct hpke_bytes sealed, unsigned char *out)
{
	if (sealed.size < HPKE_OVERHEAD || sealed.size >= INT_MAX || aad.size >= INT_MAX)
		return false;
	const unsigned char *enc = sealed.data;
	const struct hpke_bytes text = {enc + HPKE_KEY_SIZE, sealed.size - HPKE_KEY_SIZE};
	unsigned char own[HPKE_KEY_SIZE];
	unsigned char shared[HASH_SIZE];
	struct schedule schedule;
	bool ok = hpke_public_of(secret, own) && kem_shared_secret(secret, enc, enc, own, shared) &&
		  key_schedule(aead, shared, info, &schedule) && decrypt(aead, &schedule, aad, text, out);
	OPENSSL_cleanse(shared, sizeof shared);
	OPENSSL_cleanse(&schedule, sizeof schedule);
	return ok;
}
