#include "edge/http/websocket.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>

enum { NONCE_SIZE = 16, SHA1_SIZE = 20, ACCEPT_SIZE = 28 };

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

void websocket_key_make(char out[WEBSOCKET_KEY_SIZE + 1])
{
	unsigned char nonce[NONCE_SIZE];

	if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
		abort();
	EVP_EncodeBlock((unsigned char *)out, nonce, sizeof nonce);
}

bool websocket_is_accepted(const char *key, struct http_slice accept)
{
	char text[WEBSOCKET_KEY_SIZE + sizeof guid];
	unsigned char digest[EVP_MAX_MD_SIZE];
	char expected[ACCEPT_SIZE + 1];
	unsigned size = 0;

	memcpy(text, key, WEBSOCKET_KEY_SIZE);
	memcpy(text + WEBSOCKET_KEY_SIZE, guid, sizeof guid);
	if (!EVP_Digest(text, sizeof text - 1, digest, &size, EVP_sha1(), NULL) || size != SHA1_SIZE)
		return false;
	EVP_EncodeBlock((unsigned char *)expected, digest, SHA1_SIZE);
	return http_slice_equal(accept, expected);
}
