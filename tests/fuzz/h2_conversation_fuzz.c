/*
 * A client that says whatever it likes in HTTP/2, and an app that answers in HTTP/1.1, to an edge between
 * them. What reaches the app can be read as requests; the edge ends with no stream, no upstream connection
 * and no memory left, whatever was said.
 *
 * The preface and an empty SETTINGS come first, unless the first byte of the input says otherwise.
 */
#include "edge/http/h1_body.h"
#include "edge/http/h1_parse.h"
#include "tests/fuzz/conversation.h"

enum { ROUNDS = 4, PASSES_MS = 700 };
enum step { CLIENT_SAYS, ORIGIN_ANSWERS, ORIGIN_SAYS, CLIENT_ENDS, ORIGIN_ENDS, TIME_PASSES, STEPS };

static void say_some(struct seen *side, const void *bytes, size_t size)
{
	if (side->fd >= 0 && !side->reset)
		fuzz_check(send(side->fd, bytes, size, MSG_NOSIGNAL) != 0 || size == 0);
}

static void play(uint8_t step, const uint8_t *bytes, size_t size)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	struct seen *origin = latest_origin();

	switch ((enum step)(step % STEPS)) {
	case CLIENT_SAYS: say_some(&rig.client, bytes, size); break;
	case ORIGIN_ANSWERS:
		for (size_t i = 0; i < origin_count; i++)
			say_some(&origins[i], answer, sizeof answer - 1);
		break;
	case ORIGIN_SAYS:
		if (origin)
			say_some(origin, bytes, size);
		break;
	case CLIENT_ENDS: shutdown(rig.client.fd, SHUT_WR); break;
	case ORIGIN_ENDS:
		if (origin && origin->fd >= 0)
			shutdown(origin->fd, SHUT_RDWR);
		break;
	case TIME_PASSES: skew_us += PASSES_MS * 1000; break;
	case STEPS: break;
	}
	rounds(ROUNDS);
}

/* What came to the app is requests, one after the other, the last perhaps cut. */
static void check_origin(const struct seen *origin)
{
	static struct http_head head;
	const char *at = origin->bytes;
	const char *end = at + origin->size;

	while (at < end) {
		struct h1_scan scan = {0};
		struct h1_body body;
		size_t used = 0;
		int status = 0;
		enum result result = h1_parse_request(&head, &scan, at, (size_t)(end - at), &used, &status);

		fuzz_check(result != R_INVALID);
		if (result != R_OK)
			return;
		at += used;
		h1_body_init(&body, &head);
		for (result = R_OK; result == R_OK;) {
			size_t framing = 0;
			size_t data = 0;

			result = h1_body_next(&body, at, (size_t)(end - at), &framing, &data);
			at += framing + data;
			if (data > 0)
				h1_body_take(&body, data);
		}
		fuzz_check(result != R_INVALID);
		if (result != R_EOF)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

	begin(true);
	if (size > 0 && data[0] != 'X')
		say_some(&rig.client, preface, sizeof preface - 1);
	play_all(data, size, play);
	for (size_t i = 0; i < origin_count; i++)
		check_origin(&origins[i]);
	end();
	return 0;
}
