#include "verifier/http/bearer.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

const char *bearer_token(const char *authorization)
{
	static const char scheme[] = "Bearer ";
	if (!authorization || strncasecmp(authorization, scheme, strlen(scheme)) != 0)
		return NULL;
	const char *token = authorization + strlen(scheme);
	return token + strspn(token, " ");
}

bool bearer_is(const char *token, const unsigned char hash[CONFIG_HASH])
{
	unsigned char presented[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)token, strlen(token), presented);
	return CRYPTO_memcmp(presented, hash, sizeof presented) == 0;
}

bool bearer_matches(const struct mhd_request *request, const unsigned char hash[CONFIG_HASH])
{
	const char *token = bearer_token(mhd_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION));
	return token && bearer_is(token, hash);
}
