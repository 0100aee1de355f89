/*
 * Chains as a CA or a customer gives them. What is accepted is for this key, and written as PEM it is
 * accepted again as the same chain. First byte 0: text; else blocks of DER, each behind two bytes of length,
 * so that fuzzing need not get base64 right.
 */
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "common/base/buf.h"
#include "common/certificate/certificate.h"
#include "tests/fuzz/fuzz.h"

enum { NOW = 1900000000 };

/* The private key that the corpus' certificates are for. */
static const unsigned char scalar[32] = {[30] = 0x47, 0x11};

static EVP_PKEY *key;
static struct error error;

static void put_der(struct buf *pem, const uint8_t *der, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;

	PEM_write_bio(bio, "CERTIFICATE", "", der, (long)size);
	long length = BIO_get_mem_data(bio, &text);
	fuzz_check(buf_append(pem, text, (size_t)length) == R_OK);
	BIO_free(bio);
}

static void read_input(struct buf *pem, const uint8_t *data, size_t size)
{
	if (data[0] == 0) {
		fuzz_check(buf_append(pem, data + 1, size - 1) == R_OK);
		return;
	}
	for (size_t at = 1; at + 2 < size;) {
		size_t length = (size_t)data[at] << 8 | data[at + 1];

		at += 2;
		length = length < size - at ? length : size - at;
		put_der(pem, data + at, length);
		at += length;
	}
}

static void check_same(const struct certificate *one, const struct certificate *other)
{
	fuzz_check(one->chain_count == other->chain_count && strcmp(one->serial, other->serial) == 0);
	for (size_t i = 0; i < one->chain_count; i++)
		fuzz_check(one->chain_size[i] == other->chain_size[i] &&
			   memcmp(one->chain[i], other->chain[i], one->chain_size[i]) == 0);
}

static void check_accepted(const struct certificate *certificate)
{
	struct certificate again;
	struct buf pem;

	fuzz_check(certificate->chain_count >= 1 && certificate->chain_count <= CERTIFICATE_CHAIN_MAX);
	fuzz_check(certificate->not_before <= NOW && certificate->not_after > NOW);
	buf_init(&pem, 4 * CERTIFICATE_PEM_MAX);
	fuzz_check(certificate_to_pem(certificate, &pem) == R_OK);
	fuzz_check(certificate_parse(&again, buf_bytes(&pem), buf_size(&pem), key, "shop.brand.test", NOW,
		       NULL, &error) == R_OK);
	check_same(certificate, &again);
	certificate_fini(&again);
	buf_fini(&pem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct certificate certificate;
	struct buf pem;

	if (size < 2)
		return 0;
	if (!key)
		fuzz_check(certificate_key_import(&key, scalar, sizeof scalar, NULL, &error) == R_OK);
	error.text[0] = '\0';
	buf_init(&pem, 2 * size + 64 * (size / 2 + 2));
	read_input(&pem, data, size);
	enum result result = certificate_parse(
	    &certificate, buf_bytes(&pem), buf_size(&pem), key, "shop.brand.test", NOW, NULL, &error);
	fuzz_check(result == R_OK || error.text[0] != '\0');
	if (result == R_OK) {
		check_accepted(&certificate);
		certificate_fini(&certificate);
	}
	buf_fini(&pem);
	return 0;
}
