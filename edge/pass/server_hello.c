#include "edge/pass/server_hello.h"

#include <stdbool.h>
#include <string.h>

enum {
	RECORD_MAX = 1 << 14,
	CONTENT_HANDSHAKE = 22,
	SERVER_HELLO = 2,
	AT_ID_SIZE = 4 + 2 + 32,
};

void server_hello_init(struct server_hello *hello)
{
	*hello = (struct server_hello){.result = R_AGAIN};
}

static bool is_record(const uint8_t header[5], size_t *length)
{
	*length = (size_t)header[3] << 8 | header[4];
	return header[0] == CONTENT_HANDSHAKE && header[1] == 3 && *length > 0 && *length <= RECORD_MAX;
}

/* The message as far as it is there. */
static enum result judge(const struct server_hello *hello)
{
	const uint8_t *message = hello->message;
	size_t have = hello->message_size;

	if (have > 0 && message[0] != SERVER_HELLO)
		return R_NONE;
	if (have <= AT_ID_SIZE)
		return R_AGAIN;
	size_t id_size = message[AT_ID_SIZE];
	size_t total = (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
	if (id_size == 0 || id_size > SERVER_HELLO_SESSION_MAX || total + 4 < AT_ID_SIZE + 1 + id_size)
		return R_NONE;
	return have < AT_ID_SIZE + 1 + id_size ? R_AGAIN : R_OK;
}

/* Takes some of the bytes, at least one. */
static size_t take(struct server_hello *hello, const uint8_t *bytes, size_t count)
{
	if (hello->record_left == 0) {
		hello->record[hello->record_size++] = bytes[0];
		if (hello->record_size < sizeof hello->record)
			return 1;
		hello->record_size = 0;
		if (!is_record(hello->record, &hello->record_left))
			hello->result = R_NONE;
		return 1;
	}
	size_t room = sizeof hello->message - hello->message_size;
	size_t some = count < hello->record_left ? count : hello->record_left;
	if (some > room)
		some = room;
	memcpy(hello->message + hello->message_size, bytes, some);
	hello->message_size += some;
	hello->record_left -= some;
	hello->result = judge(hello);
	return some;
}

/* With SERVER_HELLO_NEEDED bytes the judgement is final, so there is always room for one more. */
enum result server_hello_feed(
    struct server_hello *hello, const void *bytes, size_t count, const uint8_t **id, size_t *size)
{
	const uint8_t *at = bytes;

	while (count > 0 && hello->result == R_AGAIN) {
		size_t taken = take(hello, at, count);

		at += taken;
		count -= taken;
	}
	if (hello->result == R_OK) {
		*id = hello->message + AT_ID_SIZE + 1;
		*size = hello->message[AT_ID_SIZE];
	}
	return hello->result;
}
