#include "acme/sealed_key.h"

#include "common/certificate/certificate.h"

enum result sealed_key_make(const struct seal_keys *keys, const struct seal_place *place, const EVP_PKEY *key,
    struct buf *out, struct error *error)
{
	struct buf plain;
	buf_init(&plain, SEALED_KEY_MAX - SEAL_OVERHEAD);
	enum result result = certificate_key_export(key, &plain, error);
	if (result == R_OK)
		result = seal_bytes(keys, place, buf_bytes(&plain), buf_size(&plain), out, error);
	buf_wipe(&plain);
	return result;
}

enum result sealed_key_open(const struct seal_keys *keys, const struct seal_place *place, const void *sealed,
    size_t size, EVP_PKEY **out, struct error *error)
{
	struct buf plain;
	buf_init(&plain, SEALED_KEY_MAX);
	*out = NULL;
	enum result result = seal_open(keys, place, sealed, size, &plain, error);
	if (result == R_OK)
		result = certificate_key_import(out, buf_bytes(&plain), buf_size(&plain), NULL, error);
	buf_wipe(&plain);
	return result;
}
