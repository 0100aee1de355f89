/*
 * Heads of requests. Cut anywhere they mean the same; what is accepted has one reading only, by a reader that
 * shares no code with ours; and what we write upstream means what we read.
 */
#include "common/base/buf.h"
#include "edge/http/forward.h"
#include "edge/http/h1_parse.h"
#include "edge/http/h1_write.h"
#include "tests/fuzz/fuzz.h"

enum { CUTS_MAX = 400 };

struct outcome {
	enum result result;
	int status;
	size_t used;
};

/* Every piece in a block of its own: nothing may be kept from the block before. */
static struct outcome parse_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	struct outcome outcome = {.result = R_AGAIN};

	for (size_t have = 0; have < size && outcome.result == R_AGAIN;) {
		have = size - have < piece ? size : have + piece;
		char *copy = fuzz_copy(data, have);
		outcome.result = h1_parse_request(&head, &scan, copy, have, &outcome.used, &outcome.status);
		free(copy);
	}
	return outcome;
}

static void check_same(struct outcome one, struct outcome other)
{
	fuzz_check(one.result == other.result);
	fuzz_check(one.result != R_INVALID || one.status == other.status);
	fuzz_check(one.result != R_OK || one.used == other.used);
}

/* ---- another reader: lenient about everything but what the edge promises to have refused */

static bool line_is_named(const char *line, size_t size, const char *name)
{
	size_t length = strlen(name);

	if (size <= length || line[length] != ':')
		return false;
	for (size_t i = 0; i < length; i++) {
		char letter = line[i] == '_' ? '-' : line[i];

		if (letter >= 'A' && letter <= 'Z')
			letter = (char)(letter + 32);
		if (letter != name[i])
			return false;
	}
	return true;
}

static void check_line(const char *line, size_t size, int *framings, int *hosts)
{
	for (size_t i = 0; i < size; i++)
		fuzz_check(line[i] == '\t' || ((unsigned char)line[i] >= 0x20 && line[i] != 0x7f));
	fuzz_check(line[0] != ' ' && line[0] != '\t' && line[0] != ':');
	const char *colon = memchr(line, ':', size);
	fuzz_check(colon && colon[-1] != ' ' && colon[-1] != '\t');
	*framings +=
	    line_is_named(line, size, "content-length") || line_is_named(line, size, "transfer-encoding");
	*hosts += line_is_named(line, size, "host");
}

static void check_has_one_reading(const struct http_head *head, const char *bytes, size_t used)
{
	const char *end = bytes + used;
	int framings = 0;
	int hosts = 0;

	if (bytes[0] == '\r')
		bytes += 2;
	fuzz_check(used >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0);
	const char *feed = memchr(bytes, '\n', (size_t)(end - bytes));
	for (const char *line = feed + 1; line < end - 2; line = feed + 1) {
		feed = memchr(line, '\n', (size_t)(end - line));
		fuzz_check(feed > line + 1 && feed[-1] == '\r');
		check_line(line, (size_t)(feed - line) - 1, &framings, &hosts);
	}
	fuzz_check(framings == (head->body == HTTP_BODY_NONE ? 0 : 1));
	fuzz_check(hosts == 1 || (hosts == 0 && head->version == HTTP_1_0));
	fuzz_check(head->body != HTTP_BODY_UNTIL_CLOSE);
	fuzz_check(head->body != HTTP_BODY_CHUNKED || head->version == 1);
}

/* ---- what goes upstream */

static bool same(struct http_slice one, struct http_slice other)
{
	return one.size == other.size && (one.size == 0 || memcmp(one.bytes, other.bytes, one.size) == 0);
}

static bool is_in(const struct http_head *head, const struct http_field *field)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (same(head->fields[i].name, field->name) && same(head->fields[i].value, field->value))
			return true;
	return false;
}

/* Nobody's word but ours about who the client is, nor about the connection. */
static void check_fields(const struct http_head *sent, const struct http_head *read)
{
	for (size_t i = 0; i < read->field_count; i++) {
		const struct http_field *field = &read->fields[i];
		bool is_framing = field->id == HTTP_CONTENT_LENGTH || field->id == HTTP_TRANSFER_ENCODING;

		fuzz_check(field->id != HTTP_HOP_BY_HOP && field->id != HTTP_FRAMING_TWIN);
		fuzz_check(is_framing || is_in(sent, field));
	}
	for (size_t i = 0; i < sent->field_count; i++)
		fuzz_check(is_in(read, &sent->fields[i]));
}

static void check_meaning(const struct http_head *sent, const struct http_head *read)
{
	fuzz_check(same(sent->method, read->method));
	fuzz_check(sent->target.bytes[0] == '?' ? read->target.size == sent->target.size + 1
						: same(sent->target, read->target));
	fuzz_check(same(sent->host, read->host));
	fuzz_check(sent->body == read->body);
	fuzz_check(sent->body != HTTP_BODY_LENGTH || sent->content_length == read->content_length);
	fuzz_check(sent->expects_continue == read->expects_continue);
	fuzz_check(same(sent->upgrade, read->upgrade));
	fuzz_check(read->version == 1 && read->keep_alive);
	check_fields(sent, read);
}

static void check_round_trip(struct http_head *head)
{
	static struct http_head again;
	const struct forward_identity identity = {.client = "192.0.2.7",
	    .sni = "a.example",
	    .port = "443",
	    .forwarded = "for=192.0.2.7;proto=https",
	    .request_id = "0123456789abcdef",
	    .via = "1.1 postern",
	    .tls = true};
	struct h1_scan scan = {0};
	struct buf out;
	size_t used = 0;
	int status = 0;

	buf_init(&out, H1_HEAD_ROOM);
	forward_request(head, &identity);
	h1_write_request(&out, head);
	/* What we add may pass the bounds of what we take. */
	if (head->field_count + 1 < HTTP_FIELDS_MAX && buf_size(&out) < HTTP_HEAD_MAX) {
		char *copy = fuzz_copy(buf_bytes(&out), buf_size(&out));
		enum result result = h1_parse_request(&again, &scan, copy, buf_size(&out), &used, &status);

		fuzz_check(result == R_OK && used == buf_size(&out));
		check_meaning(head, &again);
		free(copy);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head head;
	struct h1_scan scan = {0};
	struct outcome whole = {.result = R_AGAIN};
	char *copy = fuzz_copy(data, size);

	if (size > 0)
		whole.result = h1_parse_request(&head, &scan, copy, size, &whole.used, &whole.status);
	fuzz_check(whole.result != R_INVALID || (whole.status >= 400 && whole.status < 600));
	fuzz_check(whole.result != R_AGAIN || size <= HTTP_HEAD_MAX + 2);
	if (whole.result == R_OK) {
		check_has_one_reading(&head, copy, whole.used);
		check_round_trip(&head);
	}
	for (size_t piece = 1; piece < size; piece += 1 + piece * piece / 4)
		if (size / piece < CUTS_MAX)
			check_same(whole, parse_in_pieces(data, size, piece));
	free(copy);
	return 0;
}
