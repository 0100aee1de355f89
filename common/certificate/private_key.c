#include "common/certificate/private_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <string.h>

#include "common/certificate/private_key_cost.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 4096, SIGNATURE_MAX = 1024 };

/* One block of the text; all of it is wiped. */
struct block {
	char *label, *header;
	unsigned char *der;
	long size;
};

static void block_fini(struct block *block)
{
	OPENSSL_secure_free(block->label);
	OPENSSL_secure_free(block->header);
	OPENSSL_secure_clear_free(block->der, (size_t)block->size);
	*block = (struct block){.label = NULL};
}

static enum result fail(struct error *error, enum result result, const char *why)
{
	ERR_clear_error();
	error_set(error, "%s", why);
	return result;
}

/* R_NONE: there is none left. */
static enum result next_block(BIO *bio, struct block *block, struct error *error)
{
	ERR_clear_error();
	*block = (struct block){.label = NULL};
	if (PEM_read_bio_ex(bio, &block->label, &block->header, &block->der, &block->size,
		PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) == 1)
		return R_OK;
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	*block = (struct block){.label = NULL};
	return fail(error, at_end ? R_NONE : R_INVALID, "the key's PEM block is damaged or cut off");
}

static const char hint[] =
    "there is no private key in PEM form, which begins with a line like -----BEGIN PRIVATE "
    "KEY-----; out of PKCS #12 it comes by `openssl pkcs12 -in FILE -nodes`, out of DER by "
    "`openssl pkey -inform DER -in FILE`";

/* The one private key among the blocks. */
static enum result find_block(BIO *bio, struct block *found, struct error *error)
{
	struct block block;
	enum result result = R_OK;
	while ((result = next_block(bio, &block, error)) == R_OK) {
		if (!strstr(block.label, "PRIVATE KEY")) {
			block_fini(&block);
		} else if (found->label) {
			block_fini(&block);
			return fail(
			    error, R_INVALID, "there are two private keys: send the one of the certificate");
		} else {
			*found = block;
		}
	}
	if (result != R_NONE)
		return result;
	return found->label ? R_OK : fail(error, R_INVALID, hint);
}

static enum result wrong_passphrase(struct error *error, const char *passphrase)
{
	if (!passphrase)
		return fail(error, R_NONE, "the key is encrypted, and its pass phrase is missing");
	return fail(error, R_DENIED,
	    "the key cannot be decrypted: the pass phrase is wrong, or the cipher is one that nobody should "
	    "use");
}

static EVP_PKEY *take_pkcs8(PKCS8_PRIV_KEY_INFO *info)
{
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static enum result open_pkcs8(
    EVP_PKEY **out, const struct block *block, const char *passphrase, struct error *error)
{
	const unsigned char *at = block->der;
	X509_SIG *encrypted = d2i_X509_SIG(NULL, &at, block->size);
	enum result result = R_OK;
	if (!encrypted)
		result = fail(error, R_INVALID, "the encrypted key cannot be decoded");
	else if (!private_key_cost_is_fair(encrypted))
		result = fail(error, R_INVALID,
		    "the encrypted key takes too long to open: encrypt it with at most 1,000,000 iterations, "
		    "as in "
		    "`openssl pkcs8 -topk8 -in FILE -iter 100000`");
	else if (!passphrase ||
		 !(*out = take_pkcs8(PKCS8_decrypt(encrypted, passphrase, (int)strlen(passphrase)))))
		result = wrong_passphrase(error, passphrase);
	X509_SIG_free(encrypted);
	return result;
}

/* OpenSSL's own would ask at the terminal. */
static int give_passphrase(char *to, int size, int writing, void *arg)
{
	const char *passphrase = arg;
	(void)writing;
	if (!passphrase || strlen(passphrase) > (size_t)size)
		return -1;
	memcpy(to, passphrase, strlen(passphrase));
	return (int)strlen(passphrase);
}

/* The form of before PKCS #8, whose header says how it is encrypted, if it is. */
static enum result open_header(struct block *block, const char *passphrase, struct error *error)
{
	EVP_CIPHER_INFO cipher;
	if (PEM_get_EVP_CIPHER_INFO(block->header, &cipher) != 1)
		return fail(error, R_INVALID, "the key's header names a cipher that is not known here");
	if (!cipher.cipher)
		return R_OK;
	if (!passphrase || PEM_do_header(&cipher, block->der, &block->size, give_passphrase,
			       (void *)(uintptr_t)passphrase) != 1)
		return wrong_passphrase(error, passphrase);
	return R_OK;
}

static enum result open_plain(
    EVP_PKEY **out, struct block *block, const char *passphrase, struct error *error)
{
	bool is_encrypted = *block->header;
	long capacity = block->size;
	enum result result = open_header(block, passphrase, error);
	const unsigned char *at = block->der;
	*out = result == R_OK ? d2i_AutoPrivateKey(NULL, &at, block->size) : NULL;
	block->size = capacity; /* all of it is wiped, also what decryption left over */
	if (result != R_OK || *out)
		return result;
	return is_encrypted ? wrong_passphrase(error, passphrase)
			    : fail(error, R_INVALID, "the private key cannot be decoded");
}

static bool is_served(const EVP_PKEY *key)
{
	char group[64] = "";
	int bits = EVP_PKEY_get_bits(key);
	if (EVP_PKEY_is_a(key, "RSA"))
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
	       (!strcmp(group, "prime256v1") || !strcmp(group, "P-256") || !strcmp(group, "secp384r1") ||
		   !strcmp(group, "P-384"));
}

static enum result read_from(BIO *bio, EVP_PKEY **out, const char *passphrase, struct error *error)
{
	struct block block = {.label = NULL};
	enum result result = find_block(bio, &block, error);
	if (result == R_OK && !strcmp(block.label, "ENCRYPTED PRIVATE KEY"))
		result = open_pkcs8(out, &block, passphrase, error);
	else if (result == R_OK)
		result = open_plain(out, &block, passphrase, error);
	block_fini(&block);
	if (result == R_OK && !is_served(*out))
		result = fail(error, R_INVALID,
		    "a key of this kind is not served: it must be RSA from 2,048 to 4,096 bits, P-256 or "
		    "P-384");
	return result;
}

enum result private_key_read(
    EVP_PKEY **out, const char *pem, size_t size, const char *passphrase, struct error *error)
{
	*out = NULL;
	if (size > PRIVATE_KEY_PEM_MAX)
		return fail(error, R_INVALID, "the key is longer than 64 KiB");
	if (memchr(pem, 0, size))
		return fail(error, R_INVALID, hint);
	BIO *bio = BIO_new_mem_buf(pem, (int)size);
	enum result result = bio ? read_from(bio, out, passphrase, error) : R_ERROR;
	BIO_free(bio);
	ERR_clear_error();
	if (result != R_OK) {
		EVP_PKEY_free(*out);
		*out = NULL;
	}
	return result;
}

bool private_key_is_of(EVP_PKEY *key, EVP_PKEY *public_key)
{
	static const unsigned char text[] = "whose key is this?";
	unsigned char signature[SIGNATURE_MAX];
	size_t size = sizeof signature;
	EVP_MD_CTX *signing = EVP_MD_CTX_new();
	EVP_MD_CTX *verifying = EVP_MD_CTX_new();
	bool matches = signing && verifying &&
		       EVP_DigestSignInit(signing, NULL, EVP_sha256(), NULL, key) == 1 &&
		       EVP_DigestSign(signing, signature, &size, text, sizeof text) == 1 &&
		       EVP_DigestVerifyInit(verifying, NULL, EVP_sha256(), NULL, public_key) == 1 &&
		       EVP_DigestVerify(verifying, signature, size, text, sizeof text) == 1;
	EVP_MD_CTX_free(signing);
	EVP_MD_CTX_free(verifying);
	ERR_clear_error();
	return matches;
}
