/*
 * Whatever a server that TLS is passed on to says first: the session id that is learnt does not depend on how
 * the bytes were cut, and is the one that a second reader, which sees all of them at once, finds there.
 */
#include "edge/pass/server_hello.h"
#include "tests/fuzz/fuzz.h"

enum { CUTS_MAX = 200, HANDSHAKE_MAX = 4096, ID_AT = 38 };

/* The records' contents put together, up to what is no handshake record; whole tells that one was. */
static size_t unwrap(const uint8_t *data, size_t size, uint8_t out[HANDSHAKE_MAX])
{
	size_t have = 0;

	for (size_t at = 0; at + 5 <= size;) {
		size_t length = (size_t)data[at + 3] << 8 | data[at + 4];

		if (data[at] != 22 || data[at + 1] != 3 || length == 0 || length > 16384)
			break;
		at += 5;
		for (size_t i = 0; i < length && at < size && have < HANDSHAKE_MAX; i++)
			out[have++] = data[at++];
	}
	return have;
}

static size_t id_of(const uint8_t *message, size_t size, const uint8_t **id)
{
	if (size <= ID_AT || message[0] != 2)
		return 0;
	size_t length = message[ID_AT];
	size_t total = (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
	*id = message + ID_AT + 1;
	return length <= 32 && size >= ID_AT + 1 + length && total + 4 >= ID_AT + 1 + length ? length : 0;
}

static enum result feed(struct server_hello *hello, const uint8_t *data, size_t size, size_t cut,
    const uint8_t **id, size_t *id_size)
{
	char *first = fuzz_copy(data, cut);
	char *second = fuzz_copy(data + cut, size - cut);

	server_hello_init(hello);
	server_hello_feed(hello, first, cut, id, id_size);
	enum result result = server_hello_feed(hello, second, size - cut, id, id_size);
	free(first);
	free(second);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t message[HANDSHAKE_MAX];
	const uint8_t *expected = NULL, *found = NULL;
	size_t found_size = 0;
	size_t expected_size = id_of(message, unwrap(data, size, message), &expected);

	for (size_t cut = 0; cut <= size; cut += 1 + size / CUTS_MAX) {
		struct server_hello hello;
		enum result result = feed(&hello, data, size, cut, &found, &found_size);

		fuzz_check(result == R_OK || result == R_NONE || result == R_AGAIN);
		fuzz_check((result == R_OK) == (expected_size > 0));
		if (result == R_OK)
			fuzz_check(found_size == expected_size && memcmp(found, expected, found_size) == 0);
	}
	return 0;
}
