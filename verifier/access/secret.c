#include "verifier/access/secret.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "common/base/process.h"

void secret_make(const char *prefix, char *text)
{
	unsigned char random[SECRET_RANDOM];
	process_random(random, sizeof random);
	size_t at = strlen(prefix);
	memcpy(text, prefix, at);
	for (size_t i = 0; i < sizeof random; i++, at += 2)
		snprintf(text + at, 3, "%02x", random[i]);
	OPENSSL_cleanse(random, sizeof random);
}

bool secret_is_shaped(const char *prefix, const char *text)
{
	size_t size = strlen(prefix);
	return strncmp(text, prefix, size) == 0 && strlen(text) == size + SECRET_HEX &&
	       strspn(text + size, "0123456789abcdef") == SECRET_HEX;
}
