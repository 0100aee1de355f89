#include "common/domain/delegation.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "common/net/hostname.h"

void delegation_label(char out[DELEGATION_LABEL + 1], const char *name)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	const char *base = hostname_base(name);
	SHA256((const unsigned char *)base, strlen(base), hash);
	for (int i = 0; i < DELEGATION_LABEL / 2; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}
