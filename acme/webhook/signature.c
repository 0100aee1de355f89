#include "acme/webhook/signature.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

void signature_make(char out[SIGNATURE_SIZE], const void *secret, size_t size, const char *id,
    int64_t timestamp, const char *body)
{
	unsigned char digest[32];
	char *content = mem_format("%s.%" PRId64 ".%s", id, timestamp, body);
	if (!HMAC(EVP_sha256(), secret, (int)size, (unsigned char *)content, strlen(content), digest, NULL))
		abort(); /* out of memory, as in common/base/mem.h */
	memcpy(out, "v1,", 3);
	EVP_EncodeBlock((unsigned char *)out + 3, digest, sizeof digest);
	free(content);
}
