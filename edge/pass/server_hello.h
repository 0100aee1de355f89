/*
 * Which session id does a server give in its ServerHello? Read from the first bytes that come from it, in
 * pieces of any size. The server is a stranger as much as the client is: what is no ServerHello ends it.
 *
 * Limits: SERVER_HELLO_NEEDED bytes of handshake are kept, whatever comes.
 */
#ifndef EDGE_SERVER_HELLO_H
#define EDGE_SERVER_HELLO_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"

enum {
	SERVER_HELLO_SESSION_MAX = 32,
	/* Header, version, random, length of the id, id: RFC 5246 section 7.4.1.3. */
	SERVER_HELLO_NEEDED = 4 + 2 + 32 + 1 + SERVER_HELLO_SESSION_MAX,
};

struct server_hello {
	uint8_t message[SERVER_HELLO_NEEDED];
	size_t message_size;
	uint8_t record[5]; /* header of the record that is being read */
	size_t record_size;
	size_t record_left; /* of its content */
	enum result result; /* R_AGAIN until it is known */
};

void server_hello_init(struct server_hello *hello);
/* R_AGAIN: more. R_OK: *id of *size bytes (1 to 32), in `hello`. R_NONE: it gives none, or it is none. */
enum result server_hello_feed(
    struct server_hello *hello, const void *bytes, size_t count, const uint8_t **id, size_t *size);

#endif
