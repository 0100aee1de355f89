/*
 * Chunked bodies, against a decoder that reads the whole body at once and shares no code with ours. The first
 * byte says how large the pieces are in which it arrives.
 */
#include "common/base/buf.h"
#include "edge/http/h1_body.h"
#include "edge/http/h1_write.h"
#include "tests/fuzz/fuzz.h"

struct decoded {
	enum result result; /* R_EOF: whole */
	char *data;
	size_t size;
	size_t used;
	size_t trailers; /* size of the section, 0 where it is empty */
};

/* ---- ours, fed in pieces */

static struct decoded decode_in_pieces(const uint8_t *bytes, size_t size, size_t piece)
{
	const struct http_head head = {.body = HTTP_BODY_CHUNKED};
	struct decoded out = {.result = R_AGAIN, .data = fuzz_copy("", 0)};
	struct h1_body body;
	size_t have = 0;

	h1_body_init(&body, &head);
	out.data = realloc(out.data, size + 1);
	while (out.result == R_AGAIN && have < size) {
		size_t framing = 0;
		size_t data = 0;

		have = size - have < piece ? size : have + piece;
		do {
			char *copy = fuzz_copy(bytes + out.used, have - out.used);
			out.result = h1_body_next(&body, copy, have - out.used, &framing, &data);
			fuzz_check(framing + data <= have - out.used);
			fuzz_check((out.result == R_OK) == (data > 0));
			memcpy(out.data + out.size, copy + framing, data);
			free(copy);
			out.size += data;
			out.used += framing + data;
			if (data > 0)
				h1_body_take(&body, data);
		} while (out.result == R_OK);
	}
	out.trailers = body.trailers.size;
	return out;
}

/* ---- another, by RFC 9112 section 7.1, with our bounds on what may be long */

static size_t find_line(const char *bytes, size_t size, size_t at)
{
	const char *feed = at < size ? memchr(bytes + at, '\n', size - at) : NULL;

	return feed ? (size_t)(feed - bytes) + 1 : 0;
}

static bool is_token(char byte)
{
	return byte > 0x20 && byte < 0x7f && !strchr("\"(),/:;<=>?@[\\]{}", byte);
}

static size_t past_quoted(const char *line, size_t at, size_t end)
{
	for (at++; at < end && line[at] != '"'; at++) {
		at += line[at] == '\\';
		if (at >= end || (line[at] != '\t' && (unsigned char)line[at] < 0x20) || line[at] == 0x7f)
			return 0;
	}
	return at < end ? at + 1 : 0;
}

static size_t past(const char *line, size_t at, size_t end, bool spaces)
{
	while (at < end && (spaces ? line[at] == ' ' || line[at] == '\t' : is_token(line[at])))
		at++;
	return at;
}

/* line[at, end) is what stands between the size and CR LF. */
static bool extensions_are_fine(const char *line, size_t at, size_t end)
{
	while (at < end) {
		at = past(line, at, end, true);
		if (at == end || line[at] != ';')
			return false;
		size_t name = past(line, at + 1, end, true);
		at = past(line, name, end, false);
		if (at == name)
			return false;
		size_t equals = past(line, at, end, true);
		if (equals == end || line[equals] != '=')
			continue;
		size_t value = past(line, equals + 1, end, true);
		at = value < end && line[value] == '"' ? past_quoted(line, value, end)
						       : past(line, value, end, false);
		if (at <= value)
			return false;
	}
	return true;
}

static enum result model_size(const char *bytes, size_t size, size_t *at, uint64_t *chunk)
{
	enum { LONGEST = H1_CHUNK_DIGITS_MAX + H1_CHUNK_EXTENSION_MAX + 2 };
	size_t end = find_line(bytes, size, *at);
	size_t digits = *at;

	if (end == 0 && size - *at < LONGEST)
		return R_AGAIN;
	if (end == 0 || end - *at > LONGEST || end - *at < 3 || bytes[end - 2] != '\r')
		return R_INVALID;
	*chunk = 0;
	for (; strchr("0123456789abcdefABCDEF", bytes[digits]) && bytes[digits]; digits++)
		*chunk = *chunk * 16 + strtoul((char[]){bytes[digits], '\0'}, NULL, 16);
	if (digits == *at || digits - *at > H1_CHUNK_DIGITS_MAX || *chunk > INT64_MAX ||
	    !extensions_are_fine(bytes, digits, end - 2))
		return R_INVALID;
	*at = end;
	return R_OK;
}

static enum result model_trailers(const char *bytes, size_t size, size_t at, struct decoded *out)
{
	size_t start = at;
	size_t end;

	while ((end = find_line(bytes, size, at)) > 0 && end - start <= H1_TRAILERS_MAX) {
		if (end - at < 2 || bytes[end - 2] != '\r')
			return R_INVALID;
		if (end - at == 2) {
			out->used = end;
			out->trailers = end - start > 2 ? end - start : 0;
			return R_EOF;
		}
		at = end;
	}
	return size - start < H1_TRAILERS_MAX ? R_AGAIN : R_INVALID;
}

static struct decoded decode_by_model(const char *bytes, size_t size)
{
	struct decoded out = {.result = R_AGAIN, .data = malloc(size + 1)};
	uint64_t chunk = 0;
	size_t at = 0;

	for (;;) {
		out.result = model_size(bytes, size, &at, &chunk);
		if (out.result != R_OK)
			return out;
		if (chunk == 0)
			break;
		size_t here = size - at < chunk ? size - at : (size_t)chunk;
		memcpy(out.data + out.size, bytes + at, here);
		out.size += here;
		at += here;
		out.result = R_INVALID;
		if (here == chunk &&
		    ((at < size && bytes[at] != '\r') || (at + 1 < size && bytes[at + 1] != '\n')))
			return out;
		out.result = R_AGAIN;
		if (size - at < 2)
			return out;
		at += 2;
	}
	out.result = model_trailers(bytes, size, at, &out);
	return out;
}

static void check_same(const struct decoded *one, const struct decoded *other)
{
	fuzz_check(one->result == other->result);
	fuzz_check(one->size == other->size && memcmp(one->data, other->data, one->size) == 0);
	fuzz_check(one->result != R_EOF || (one->used == other->used && one->trailers == other->trailers));
}

/* What we write of it is read as the same. */
static void check_round_trip(const struct decoded *decoded)
{
	struct buf out;

	buf_init(&out, decoded->size + 2 * H1_CHUNK_OVERHEAD);
	if (decoded->size > 0)
		h1_write_chunk(&out, decoded->data, decoded->size);
	h1_write_last_chunk(&out, NULL);
	struct decoded again = decode_by_model(buf_bytes(&out), buf_size(&out));
	fuzz_check(again.result == R_EOF && again.used == buf_size(&out) && again.size == decoded->size);
	fuzz_check(memcmp(again.data, decoded->data, again.size) == 0);
	free(again.data);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t piece = (size_t)data[0] + 1;
	struct decoded model = decode_by_model((const char *)data + 1, size - 1);
	struct decoded ours = decode_in_pieces(data + 1, size - 1, piece);
	struct decoded whole = decode_in_pieces(data + 1, size - 1, size);

	check_same(&whole, &model);
	check_same(&ours, &model);
	if (model.result == R_EOF)
		check_round_trip(&model);
	free(model.data);
	free(ours.data);
	free(whole.data);
	return 0;
}
