#include "verifier/webhook/webhook_secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/base/process.h"

enum result webhook_secret_make(const struct seal_keys *keys, int64_t webhook, int64_t version,
    char text[WEBHOOK_SECRET_SIZE], struct buf *sealed, struct error *error)
{
	unsigned char bytes[WEBHOOK_SECRET_BYTES];
	char name[24];
	snprintf(name, sizeof name, "%lld", (long long)webhook);
	const struct seal_place place = {.kind = "webhook_secret", .name = name, .version = version};
	process_random(bytes, sizeof bytes);
	memcpy(text, "whsec_", 6);
	EVP_EncodeBlock((unsigned char *)text + 6, bytes, sizeof bytes);
	enum result result = seal_bytes(keys, &place, bytes, sizeof bytes, sealed, error);
	OPENSSL_cleanse(bytes, sizeof bytes);
	return result;
}
