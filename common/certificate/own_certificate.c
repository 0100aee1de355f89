#include "common/certificate/own_certificate.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>

/* The chain was found by its public half; that the private one belongs to it is seen by its signature. */
static enum result check_halves(struct own_certificate *own, struct error *error)
{
	const unsigned char *at = own->certificate.chain[0];
	X509 *leaf = d2i_X509(NULL, &at, (long)own->certificate.chain_size[0]);
	bool fits = leaf && private_key_is_of(own->key, X509_get0_pubkey(leaf));
	X509_free(leaf);
	if (fits)
		return R_OK;
	own->wrong = OWN_KEY;
	error_set(error, "the key's private half is not that of its public half: it signs nothing that the "
			 "certificate would verify");
	return R_INVALID;
}

enum result own_certificate_read(struct own_certificate *own, const struct own_certificate_text *text,
    const char *name, int64_t now, struct error *error)
{
	*own = (struct own_certificate){.wrong = OWN_KEY};
	enum result result = private_key_read(&own->key, text->key, text->key_size, text->passphrase, error);
	if (result == R_NONE || result == R_DENIED)
		own->wrong = OWN_PASSPHRASE;
	if (result != R_OK)
		return result;
	own->wrong = OWN_CHAIN;
	result = certificate_parse(
	    &own->certificate, text->chain, text->chain_size, own->key, name, now, NULL, error);
	return result == R_OK ? check_halves(own, error) : result;
}

void own_certificate_fini(struct own_certificate *own)
{
	certificate_fini(&own->certificate);
	EVP_PKEY_free(own->key);
	own->key = NULL;
}

enum result own_certificate_seal(const struct own_certificate *own, const struct seal_keys *keys,
    const char *name, int64_t version, struct buf *sealed, struct error *error)
{
	const struct seal_place place = {.kind = "certificate_key", .name = name, .version = version};
	struct buf plain;
	buf_init(&plain, SEAL_PLAINTEXT_MAX);
	enum result result = certificate_key_export(own->key, &plain, error);
	if (result == R_OK)
		result = seal_bytes(keys, &place, buf_bytes(&plain), buf_size(&plain), sealed, error);
	buf_wipe(&plain);
	return result;
}
