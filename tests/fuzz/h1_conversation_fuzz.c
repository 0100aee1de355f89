/*
 * A client and an app that say whatever they like to an edge between them, in any order. The app never gets a
 * request that the client did not send, nor another body; the client gets answers that can be read, and no
 * more of them than it has asked for.
 */
#include "edge/http/h1_body.h"
#include "edge/http/h1_parse.h"
#include "tests/fuzz/conversation.h"

enum { REQUESTS_MAX = 64, ROUNDS = 6 };
enum step { CLIENT_SAYS, ORIGIN_SAYS, CLIENT_ENDS, ORIGIN_ENDS, STEPS };

static struct buf said; /* by the client */

static void say_some(struct seen *side, const uint8_t *bytes, size_t size)
{
	if (side->fd < 0 || side->reset)
		return;
	ssize_t put = send(side->fd, bytes, size, MSG_NOSIGNAL);

	if (put > 0 && side == &rig.client)
		fuzz_check(buf_append(&said, bytes, (size_t)put) == R_OK);
}

static void play(uint8_t step, const uint8_t *bytes, size_t size)
{
	struct seen *origin = latest_origin();

	switch ((enum step)(step % STEPS)) {
	case CLIENT_SAYS: say_some(&rig.client, bytes, size); break;
	case ORIGIN_SAYS:
		if (origin)
			say_some(origin, bytes, size);
		break;
	case CLIENT_ENDS: shutdown(rig.client.fd, SHUT_WR); break;
	case ORIGIN_ENDS:
		if (origin && origin->fd >= 0)
			shutdown(origin->fd, SHUT_RDWR);
		break;
	case STEPS: break;
	}
	rounds(ROUNDS);
}

/* ---- what was said, read again */

struct request {
	char method[40];
	char target[128];
	struct buf body;
	bool is_whole;
	bool is_tunnel; /* if it is granted */
};

static void take_body(struct request *message, const struct http_head *head, const char **at, const char *end)
{
	struct h1_body body;
	enum result result = R_OK;

	h1_body_init(&body, head);
	while (result == R_OK) {
		size_t framing = 0;
		size_t data = 0;

		result = h1_body_next(&body, *at, (size_t)(end - *at), &framing, &data);
		*at += framing;
		buf_append(&message->body, *at, data);
		*at += data;
		if (data > 0)
			h1_body_take(&body, data);
	}
	message->is_whole = result == R_EOF;
}

/* Up to the first that cannot be read on, or that asks for a tunnel, behind which no request comes on that
 * connection.
 * `*is_valid`: what stops it is only that bytes are missing; `*at`: where it stopped. */
static size_t read_requests(
    struct request *out, const char **from, size_t size, bool *is_valid, bool stops_at_tunnel)
{
	const char *at = *from;
	static struct http_head head;
	const char *end = at + size;
	size_t count = 0;

	*is_valid = true;
	while (at < end && count < REQUESTS_MAX) {
		struct h1_scan scan = {0};
		size_t used = 0;
		int status = 0;
		enum result result = h1_parse_request(&head, &scan, at, (size_t)(end - at), &used, &status);
		struct request *message = &out[count];

		*is_valid = result != R_INVALID;
		if (result != R_OK)
			break;
		at += used;
		*message = (struct request){.is_whole = false, .is_tunnel = head.upgrade.size > 0};
		buf_init(&message->body, size + 1);
		snprintf(message->method, sizeof message->method, "%.*s", (int)head.method.size,
		    head.method.bytes);
		snprintf(message->target, sizeof message->target, "%s%.*s",
		    head.target.bytes[0] == '?' ? "/" : "", (int)head.target.size, head.target.bytes);
		take_body(message, &head, &at, end);
		count++;
		if (!message->is_whole || (stops_at_tunnel && head.upgrade.size > 0))
			break;
	}
	*from = at;
	return count;
}

static void forget_requests(struct request *messages, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_fini(&messages[i].body);
}

static bool is_sent_as(const struct request *sent, const struct request *got)
{
	const char *body = buf_bytes(&got->body);
	size_t size = buf_size(&got->body);

	if (strcmp(sent->method, got->method) != 0 || strcmp(sent->target, got->target) != 0)
		return false;
	return size <= buf_size(&sent->body) && memcmp(buf_bytes(&sent->body), body, size) == 0 &&
	       (!got->is_whole || (sent->is_whole && size == buf_size(&sent->body)));
}

static void check_origin(const struct seen *origin, const struct request *sent, size_t sent_count)
{
	static struct request got[REQUESTS_MAX];
	bool is_valid = false;
	const char *at = origin->bytes;
	size_t count = read_requests(got, &at, origin->size, &is_valid, true);
	size_t rest = (size_t)(origin->bytes + origin->size - at);

	fuzz_check(is_valid);
	/* A tunnel's bytes are the client's, as they came. */
	bool is_tunnel = count > 0 && got[count - 1].is_tunnel;
	fuzz_check(!is_tunnel || rest == 0 || memmem(buf_bytes(&said), buf_size(&said), at, rest));
	for (size_t i = 0; i < count; i++) {
		bool is_known = false;

		for (size_t j = 0; j < sent_count && !is_known; j++)
			is_known = is_sent_as(&sent[j], &got[i]);
		fuzz_check(is_known);
	}
	forget_requests(got, count);
}

/* Returns false at the end of what came. */
static bool take_answer(const char **at, const char *end, bool to_head, bool *is_final)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	size_t used = 0;
	struct request message = {.is_whole = false};
	enum result result = h1_parse_response(&head, &scan, *at, (size_t)(end - *at), to_head, &used);

	fuzz_check(result != R_INVALID);
	if (result != R_OK)
		return false;
	*at += used;
	*is_final = head.status >= 200;
	if (head.status == 101)
		return false;
	buf_init(&message.body, SEEN_MAX);
	take_body(&message, &head, at, end);
	buf_fini(&message.body);
	return message.is_whole;
}

static void check_client(const struct request *sent, size_t sent_count)
{
	const char *at = rig.client.bytes;
	const char *end = at + rig.client.size;
	size_t finals = 0;
	bool goes_on = true;

	while (at < end && goes_on) {
		bool is_final = false;
		bool to_head = finals < sent_count && strcmp(sent[finals].method, "HEAD") == 0;

		goes_on = take_answer(&at, end, to_head, &is_final);
		finals += is_final;
	}
	fuzz_check(finals <= sent_count + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct request sent[REQUESTS_MAX];
	bool is_valid = false;

	begin(false);
	buf_init(&said, SEEN_MAX);
	play_all(data, size, play);
	const char *at = buf_bytes(&said);
	size_t count = read_requests(sent, &at, buf_size(&said), &is_valid, false);
	for (size_t i = 0; i < origin_count; i++)
		check_origin(&origins[i], sent, count);
	check_client(sent, count);
	forget_requests(sent, count);
	end();
	buf_fini(&said);
	return 0;
}
