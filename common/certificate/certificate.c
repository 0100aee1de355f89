#include "common/certificate/certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/buf.h"
#include "common/base/mem.h"

/* A CA's clock may be ahead of ours; a certificate from the next minute is not worth a failed issuance. */
enum { EARLY_SECONDS = 300, SECURITY_BITS_MIN = 112 };

/* The certificates of a PEM text, in its order; taken out of it one by one into the chain. */
struct pile {
	X509 *certificates[CERTIFICATE_CHAIN_MAX];
	size_t count;
};

static void pile_fini(struct pile *pile)
{
	for (size_t i = 0; i < pile->count; i++)
		X509_free(pile->certificates[i]);
	pile->count = 0;
}

static X509 *pile_take(struct pile *pile, size_t index)
{
	X509 *taken = pile->certificates[index];
	pile->count--;
	memmove(&pile->certificates[index], &pile->certificates[index + 1],
	    (pile->count - index) * sizeof *pile->certificates);
	return taken;
}

static enum result invalid(struct error *error, const char *why)
{
	ERR_clear_error();
	error_set(error, "%s", why);
	return R_INVALID;
}

static const char *subject_text(const X509 *certificate, char text[256])
{
	X509_NAME_oneline(X509_get_subject_name(certificate), text, 256);
	return text;
}

static enum result add_block(
    struct pile *pile, const unsigned char *der, long size, OSSL_LIB_CTX *libctx, struct error *error)
{
	const unsigned char *at = der;
	X509 *certificate = X509_new_ex(libctx, NULL);
	if (!certificate || !d2i_X509(&certificate, &at, size) || at != der + size) {
		X509_free(certificate);
		ERR_clear_error();
		error_set(error, "certificate %zu in the chain cannot be decoded", pile->count + 1);
		return R_INVALID;
	}
	for (size_t i = 0; i < pile->count; i++) {
		if (X509_cmp(pile->certificates[i], certificate) == 0) {
			X509_free(certificate);
			return R_OK;
		}
	}
	if (pile->count == CERTIFICATE_CHAIN_MAX) {
		X509_free(certificate);
		return invalid(error, "the chain has more than 10 certificates");
	}
	pile->certificates[pile->count++] = certificate;
	return R_OK;
}

/* R_NONE: no block is left. Text between blocks is passed over (RFC 7468 section 2). */
static enum result read_block(BIO *pem, struct pile *pile, OSSL_LIB_CTX *libctx, struct error *error)
{
	enum result result = R_INVALID;
	char *label = NULL;
	char *header = NULL;
	unsigned char *der = NULL;
	long size = 0;
	ERR_clear_error();
	if (PEM_read_bio(pem, &label, &header, &der, &size) != 1) {
		bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
		ERR_clear_error();
		error_set(error, "PEM block %zu is damaged or cut off", pile->count + 1);
		return at_end ? R_NONE : R_INVALID;
	}
	if (strstr(label, "PRIVATE KEY"))
		error_set(error,
		    "the chain holds a private key, which belongs elsewhere and must not be stored here");
	else if (strcmp(label, "CERTIFICATE") != 0)
		error_set(error, "the chain holds a block `%.60s`; only CERTIFICATE may be there", label);
	else if (*header)
		error_set(error, "PEM block %zu has a header, which a certificate has not", pile->count + 1);
	else
		result = add_block(pile, der, size, libctx, error);
	OPENSSL_clear_free(der, (size_t)size);
	OPENSSL_free(label);
	OPENSSL_free(header);
	return result;
}

static enum result read_pem(
    struct pile *pile, const char *pem, size_t size, OSSL_LIB_CTX *libctx, struct error *error)
{
	if (size > CERTIFICATE_PEM_MAX)
		return invalid(error, "the chain is longer than 128 KiB");
	if (memchr(pem, 0, size))
		return invalid(error, "the chain holds a NUL byte: it is not PEM text");
	BIO *bio = BIO_new_mem_buf(pem, (int)size);
	enum result result = bio ? R_OK : R_ERROR;
	while (result == R_OK)
		result = read_block(bio, pile, libctx, error);
	BIO_free(bio);
	if (result == R_NONE && pile->count == 0)
		return invalid(error, "the chain holds no certificate");
	return result == R_NONE ? R_OK : result;
}

static bool signs(X509 *issuer, X509 *certificate)
{
	bool signs = X509_check_issued(issuer, certificate) == X509_V_OK &&
		     X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
	ERR_clear_error();
	return signs;
}

/* SHA-1 and MD5 count for less than half: clients refuse them, and OpenSSL to serve them. A root signs
 * itself, and nobody looks at that. */
static enum result check_signatures(const struct pile *chain, struct error *error)
{
	char subject[256];
	for (size_t i = 0; i < chain->count; i++) {
		X509 *certificate = chain->certificates[i];
		int bits = -1;
		if (X509_get_extension_flags(certificate) & EXFLAG_SS)
			continue;
		if (X509_get_signature_info(certificate, NULL, NULL, &bits, NULL) == 1 &&
		    bits >= SECURITY_BITS_MIN)
			continue;
		ERR_clear_error();
		error_set(error, "a certificate of the chain has too weak a signature (SHA-1?): %.200s",
		    subject_text(certificate, subject));
		return R_INVALID;
	}
	return R_OK;
}

/* Moves what belongs together from the pile into `chain`, leaf first. */
static enum result order_chain(
    struct pile *pile, struct pile *chain, const EVP_PKEY *key, struct error *error)
{
	for (size_t i = 0; i < pile->count && chain->count == 0; i++) {
		EVP_PKEY *public = X509_get0_pubkey(pile->certificates[i]);
		if (public && EVP_PKEY_eq(public, key) == 1)
			chain->certificates[chain->count++] = pile_take(pile, i);
	}
	if (chain->count == 0)
		return invalid(error, "no certificate in the chain is for this private key");
	for (size_t i = 0; i < pile->count;) {
		X509 *last = chain->certificates[chain->count - 1];
		if (signs(pile->certificates[i], last)) {
			chain->certificates[chain->count++] = pile_take(pile, i);
			i = 0;
		} else {
			i++;
		}
	}
	if (pile->count > 0) {
		char subject[256];
		error_set(error, "the chain holds a certificate that signs nothing in it: %.200s",
		    subject_text(pile->certificates[0], subject));
		return R_INVALID;
	}
	return R_OK;
}

static bool seconds_of(const ASN1_TIME *time, int64_t *seconds)
{
	struct tm parts;
	if (ASN1_TIME_to_tm(time, &parts) != 1)
		return false;
	*seconds = timegm(&parts);
	return true;
}

static void describe_time(int64_t seconds, char text[32])
{
	time_t at = (time_t)seconds;
	struct tm parts;
	if (!gmtime_r(&at, &parts) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &parts))
		snprintf(text, 32, "an impossible time");
}

static enum result check_validity(struct certificate *out, X509 *leaf, int64_t now, struct error *error)
{
	char when[32];
	if (!seconds_of(X509_get0_notBefore(leaf), &out->not_before) ||
	    !seconds_of(X509_get0_notAfter(leaf), &out->not_after))
		return invalid(error, "the certificate's validity cannot be decoded");
	if (out->not_before > now + EARLY_SECONDS) {
		describe_time(out->not_before, when);
		error_set(error, "the certificate is not valid before %s", when);
		return R_INVALID;
	}
	/* As all who keep it reckon: in its last second it is served no more. */
	if (out->not_after <= now) {
		describe_time(out->not_after, when);
		error_set(error, "the certificate expired at %s", when);
		return R_INVALID;
	}
	return R_OK;
}

static enum result check_leaf(X509 *leaf, const char *name, struct error *error)
{
	/* What X509_get_extension_flags says also fills in the usages below: UINT32_MAX where there is none.
	 */
	uint32_t flags = X509_get_extension_flags(leaf);
	if (flags & EXFLAG_INVALID)
		return invalid(error, "the certificate has an extension that cannot be decoded");
	if (flags & EXFLAG_CA)
		return invalid(error, "the certificate is a CA's, not a server's");
	if (flags & EXFLAG_CRITICAL)
		return invalid(error, "the certificate has a critical extension that nobody here knows");
	if (!(X509_get_extended_key_usage(leaf) & (XKU_SSL_SERVER | XKU_ANYEKU)))
		return invalid(error, "the certificate's extended key usage lacks serverAuth");
	if (!(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE))
		return invalid(error, "the certificate's key usage lacks digitalSignature");
	if (EVP_PKEY_get_security_bits(X509_get0_pubkey(leaf)) < SECURITY_BITS_MIN)
		return invalid(error, "the certificate's key is too short: RSA wants 2,048 bits, ECDSA 256");
	if (name && !certificate_covers(leaf, name)) {
		error_set(error, "the certificate is not for %.253s: no DNS name in it matches", name);
		return R_INVALID;
	}
	return R_OK;
}

/* Cut at a character's boundary: the database takes nothing but whole UTF-8. */
static void copy_utf8(char *to, size_t size, const unsigned char *from, size_t length)
{
	if (length >= size) {
		length = size - 1;
		while (length > 0 && (from[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(to, from, length);
	to[length] = 0;
}

static void copy_issuer(struct certificate *out, X509 *leaf)
{
	X509_NAME *issuer = X509_get_issuer_name(leaf);
	int index = X509_NAME_get_index_by_NID(issuer, NID_commonName, -1);
	if (index < 0)
		index = X509_NAME_get_index_by_NID(issuer, NID_organizationName, -1);
	X509_NAME_ENTRY *entry = index < 0 ? NULL : X509_NAME_get_entry(issuer, index);
	unsigned char *text = NULL;
	int size = entry ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry)) : -1;
	if (size > 0)
		copy_utf8(out->issuer, sizeof out->issuer, text, strnlen((const char *)text, (size_t)size));
	OPENSSL_free(text);
	ERR_clear_error();
}

static enum result copy_serial(struct certificate *out, X509 *leaf, struct error *error)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf), NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;
	bool ok = hex && strlen(hex) < sizeof out->serial;
	if (ok)
		snprintf(out->serial, sizeof out->serial, "%s", hex);
	OPENSSL_free(hex);
	BN_free(number);
	return ok ? R_OK : invalid(error, "the certificate's serial number is too long");
}

static enum result copy_chain(struct certificate *out, const struct pile *chain, struct error *error)
{
	size_t total = 0;
	for (size_t i = 0; i < chain->count; i++) {
		int size = i2d_X509(chain->certificates[i], NULL);
		if (size <= 0)
			return invalid(error, "a certificate of the chain cannot be encoded");
		out->chain_size[i] = (size_t)size;
		total += (size_t)size;
	}
	unsigned char *at = mem_alloc(total);
	for (size_t i = 0; i < chain->count; i++) {
		out->chain[i] = at;
		i2d_X509(chain->certificates[i], &at); /* advances `at` */
	}
	out->chain_count = chain->count;
	return R_OK;
}

enum result certificate_parse(struct certificate *out, const char *pem, size_t pem_size, const EVP_PKEY *key,
    const char *name, int64_t now, OSSL_LIB_CTX *libctx, struct error *error)
{
	struct pile pile = {.count = 0};
	struct pile chain = {.count = 0};
	memset(out, 0, sizeof *out);
	enum result result = read_pem(&pile, pem, pem_size, libctx, error);
	if (result == R_OK)
		result = order_chain(&pile, &chain, key, error);
	if (result == R_OK)
		result = check_signatures(&chain, error);
	if (result == R_OK)
		result = check_leaf(chain.certificates[0], name, error);
	if (result == R_OK)
		result = check_validity(out, chain.certificates[0], now, error);
	if (result == R_OK)
		result = copy_serial(out, chain.certificates[0], error);
	if (result == R_OK)
		result = copy_chain(out, &chain, error);
	if (result == R_OK)
		copy_issuer(out, chain.certificates[0]);
	pile_fini(&pile);
	pile_fini(&chain);
	if (result != R_OK)
		certificate_fini(out);
	return result;
}

void certificate_fini(struct certificate *certificate)
{
	free(certificate->chain[0]);
	memset(certificate, 0, sizeof *certificate);
}

enum result certificate_to_pem(const struct certificate *certificate, struct buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());
	enum result result = bio ? R_OK : R_ERROR;
	for (size_t i = 0; result == R_OK && i < certificate->chain_count; i++) {
		if (PEM_write_bio(
			bio, "CERTIFICATE", "", certificate->chain[i], (long)certificate->chain_size[i]) <= 0)
			result = R_ERROR;
	}
	char *text = NULL;
	long size = result == R_OK ? BIO_get_mem_data(bio, &text) : 0;
	if (result == R_OK)
		result = buf_append(out, text, (size_t)size);
	BIO_free(bio);
	return result;
}
