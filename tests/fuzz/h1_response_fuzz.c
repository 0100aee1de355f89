/*
 * Responses as an upstream sends them, head and body. Cut anywhere they mean the same, and what we write to
 * the client means what we read. The first byte: whether the request was HEAD, and the size of the pieces.
 */
#include "common/base/buf.h"
#include "edge/http/forward.h"
#include "edge/http/h1_body.h"
#include "edge/http/h1_parse.h"
#include "edge/http/h1_write.h"
#include "tests/fuzz/fuzz.h"

struct response {
	struct http_head head;
	enum result head_result;
	enum result body_result; /* R_EOF: whole */
	size_t head_size;
	size_t used;
	struct buf body;
};

/* Feeds `piece` bytes at a time; the head stays in `kept`, which outlives it. */
static void read_body(struct response *out, const uint8_t *bytes, size_t size, size_t piece)
{
	struct h1_body body;
	size_t have = out->used;

	h1_body_init(&body, &out->head);
	out->body_result = h1_body_is_done(&body) ? R_EOF : R_AGAIN;
	while (out->body_result == R_AGAIN && have < size) {
		have = size - have < piece ? size : have + piece;
		do {
			size_t framing = 0;
			size_t data = 0;
			char *copy = fuzz_copy(bytes + out->used, have - out->used);

			out->body_result = h1_body_next(&body, copy, have - out->used, &framing, &data);
			fuzz_check(buf_append(&out->body, copy + framing, data) == R_OK);
			free(copy);
			out->used += framing + data;
			if (data > 0)
				h1_body_take(&body, data);
		} while (out->body_result == R_OK);
	}
}

static void read_response(
    struct response *out, const uint8_t *bytes, size_t size, size_t piece, bool to_head, char **kept)
{
	struct h1_scan scan = {0};

	*kept = NULL;
	memset(out, 0, sizeof *out);
	buf_init(&out->body, size + 1);
	out->head_result = R_AGAIN;
	for (size_t have = 0; have < size && out->head_result == R_AGAIN;) {
		have = size - have < piece ? size : have + piece;
		free(*kept);
		*kept = fuzz_copy(bytes, have);
		out->head_result = h1_parse_response(&out->head, &scan, *kept, have, to_head, &out->used);
	}
	out->head_size = out->used;
	if (out->head_result == R_OK)
		read_body(out, bytes, size, piece);
}

static bool same_bytes(const struct buf *one, const struct buf *other)
{
	return buf_size(one) == buf_size(other) &&
	       memcmp(buf_bytes(one), buf_bytes(other), buf_size(one)) == 0;
}

static bool same_body(const struct http_head *one, const struct http_head *other)
{
	return one->status == other->status && one->body == other->body &&
	       (one->body != HTTP_BODY_LENGTH || one->content_length == other->content_length);
}

static void check_same(const struct response *one, const struct response *other)
{
	fuzz_check(one->head_result == other->head_result);
	if (one->head_result != R_OK)
		return;
	fuzz_check(one->head_size == other->head_size && one->used == other->used);
	fuzz_check(same_body(&one->head, &other->head) && one->head.keep_alive == other->head.keep_alive);
	fuzz_check(one->head.field_count == other->head.field_count);
	fuzz_check(one->body_result == other->body_result && same_bytes(&one->body, &other->body));
}

/* RFC 9112 section 6.3, by status and method alone. */
static void check_framing(const struct http_head *head, bool to_head)
{
	bool has_none = to_head || head->status < 200 || head->status == 204 || head->status == 304;
	size_t framings = 0;

	fuzz_check(head->status >= 100 && head->status <= 599);
	fuzz_check(!has_none || head->body == HTTP_BODY_NONE);
	fuzz_check(has_none || head->body != HTTP_BODY_NONE);
	fuzz_check(head->body != HTTP_BODY_UNTIL_CLOSE || !head->keep_alive);
	for (size_t i = 0; i < head->field_count; i++)
		framings +=
		    head->fields[i].id == HTTP_CONTENT_LENGTH || head->fields[i].id == HTTP_TRANSFER_ENCODING;
	fuzz_check(framings <= 1);
}

/* The client's view: the same status, the same body, and never a field that speaks of our connection. */
static void check_passed_on(struct response *response, bool to_head)
{
	static struct http_head again;
	struct h1_scan scan = {0};
	struct buf out;
	size_t used = 0;
	enum http_body framing =
	    response->head.body == HTTP_BODY_UNTIL_CLOSE ? HTTP_BODY_CHUNKED : response->head.body;

	buf_init(&out, H1_HEAD_ROOM);
	forward_response(&response->head);
	h1_write_response(&out, &response->head, framing, NULL);
	if (buf_size(&out) < HTTP_HEAD_MAX && response->head.field_count < HTTP_FIELDS_MAX) {
		char *copy = fuzz_copy(buf_bytes(&out), buf_size(&out));
		enum result result = h1_parse_response(&again, &scan, copy, buf_size(&out), to_head, &used);

		fuzz_check(result == R_OK && used == buf_size(&out));
		fuzz_check(again.status == response->head.status && again.body == framing);
		fuzz_check(
		    framing != HTTP_BODY_LENGTH || again.content_length == response->head.content_length);
		fuzz_check(again.keep_alive);
		for (size_t i = 0; i < again.field_count; i++)
			fuzz_check(again.fields[i].id != HTTP_HOP_BY_HOP &&
				   again.fields[i].id != HTTP_UPGRADE &&
				   again.fields[i].id != HTTP_CONNECTION);
		free(copy);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct response whole;
	static struct response pieces;
	char *kept_whole = NULL;
	char *kept_pieces = NULL;

	if (size < 2)
		return 0;
	bool to_head = data[0] & 1;
	size_t piece = 1 + (data[0] >> 1);
	read_response(&whole, data + 1, size - 1, size, to_head, &kept_whole);
	if (size / piece < 2000) {
		read_response(&pieces, data + 1, size - 1, piece, to_head, &kept_pieces);
		check_same(&whole, &pieces);
		buf_fini(&pieces.body);
	}
	if (whole.head_result == R_OK) {
		check_framing(&whole.head, to_head);
		check_passed_on(&whole, to_head);
	}
	buf_fini(&whole.body);
	free(kept_whole);
	free(kept_pieces);
	return 0;
}
