/*
 * Whatever an HTTP/2 upstream says: each request ends once, by a whole response that is what it says of
 * itself, or by a failure; no field passes that HTTP/2 forbids; nothing is held beyond the windows.
 *
 * The first byte: how many requests wait, whether one is HEAD, whether one sends a body, whether their
 * clients are slow. The second: the size of the pieces.
 */
#include "common/base/tally.h"
#include "edge/http/http_chars.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/h2_upstream.h"

enum { MEMORY_MAX = 4 * (UPSTREAM_H2_WINDOW_FAST + 1024 * 1024) };

/* RFC 9113 section 8.2.2. Proxy-Authenticate is not of the connection in HTTP/2: whoever sends the response
 * on leaves it out. */
static bool is_forbidden(const struct http_field *field)
{
	return field->id == HTTP_CONNECTION || field->id == HTTP_TRANSFER_ENCODING ||
	       field->id == HTTP_UPGRADE || http_slice_is(field->name, "keep-alive") ||
	       http_slice_is(field->name, "proxy-connection");
}

static void check_head(const struct http_head *head)
{
	fuzz_check(head->status >= 100 && head->status <= 599 && head->status != 101);
	fuzz_check(head->field_count <= HTTP_FIELDS_MAX);
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];

		fuzz_check(!is_forbidden(field));
		fuzz_check(field->name.size > 0 && http_slice_is_token(field->name));
		for (size_t j = 0; j < field->value.size; j++)
			fuzz_check(http_char_is(field->value.bytes[j], HTTP_CHAR_VALUE));
	}
}

static void ask_for(const uint8_t options)
{
	static const struct upstream_request get = {.is_whole = true};
	static const struct upstream_request head = {.is_whole = true, .to_head = true};
	static const struct upstream_request post = {.body = HTTP_BODY_CHUNKED};
	int count = 1 + (options & 3);

	for (int i = 0; i < count; i++) {
		struct ask *ask = NULL;

		if (i == 0 && (options & 4))
			ask = h2_rig_ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &head);
		else if (i == 1 && (options & 8))
			ask = h2_rig_ask(
			    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &post);
		else
			ask = h2_rig_ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", &get);
		if (options & 16)
			ask->appetite = 10;
	}
	if (count > 1 && (options & 8))
		upstream_call_send(h2_rig.asks[1].call, "body", 4);
}

static void check_ended(const struct ask *ask)
{
	bool has_none = ask->to_head || ask->status == 204 || ask->status == 304;

	fuzz_check(!ask->failed && ask->status >= 200);
	fuzz_check(ask->interims <= UPSTREAM_INTERIM_MAX);
	fuzz_check(!has_none || ask->taken == 0);
	fuzz_check(has_none || !ask->has_length || ask->taken == ask->content_length);
}

static void check_over(struct ask *ask)
{
	if (!ask->call && !ask->ended)
		return;
	ask->appetite = SIZE_MAX;
	if (ask->call && !ask->failed)
		upstream_call_resume(ask->call);
	fuzz_check(ask->ended != ask->failed);
	if (ask->ended)
		check_ended(ask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	size_t piece = 1 + data[1] * 16U;
	h2_rig.check_head = check_head;
	h2_rig_begin();
	int64_t before = tally_sum(TALLY_BUFFER_BYTES);
	ask_for(data[0]);
	h2_rig_rounds(2);
	for (size_t at = 2; at < size; at += piece) {
		h2_rig_say(data + at, size - at < piece ? size - at : piece);
		fuzz_check(tally_sum(TALLY_BUFFER_BYTES) - before < MEMORY_MAX);
	}
	h2_rig_hang_up();
	for (size_t i = 0; i < ASKS_MAX; i++)
		check_over(&h2_rig.asks[i]);
	h2_rig_end();
	fuzz_check(tally_sum(TALLY_BUFFER_BYTES) <= before);
	return 0;
}
