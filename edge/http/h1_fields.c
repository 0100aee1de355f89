#include "edge/http/h1_fields.h"

#include <string.h>

#include "edge/http/http_chars.h"

enum { CODINGS_MAX = 8 };

enum result h1_scan_head(struct h1_scan *scan, const char *bytes, size_t size, size_t max)
{
	while (scan->at < size) {
		const char *feed = memchr(bytes + scan->at, '\n', size - scan->at);
		size_t end = feed ? (size_t)(feed - bytes) : size;

		if (end - scan->start >= max)
			return R_LIMIT;
		scan->at = end;
		if (!feed)
			return R_AGAIN;
		if (end == scan->line || bytes[end - 1] != '\r')
			return R_INVALID;
		scan->at = end + 1;
		if (end - scan->line == 1)
			return R_OK;
		scan->line = scan->at;
	}
	/* Full to the last byte without its end: whoever waits for more has no room for it. */
	return scan->at - scan->start < max ? R_AGAIN : R_LIMIT;
}

/* Is there a byte below 0x20 or a DEL among these eight? May say yes for a tab, never no for a forbidden
 * byte. */
static bool may_hold_control(const char *bytes)
{
	const uint64_t ones = 0x0101010101010101ULL;
	const uint64_t tops = ones << 7;
	uint64_t word;

	memcpy(&word, bytes, sizeof word);
	uint64_t below = (word - ones * 0x20) & ~word;
	uint64_t del = word ^ ones * 0x7f;
	return ((below | ((del - ones) & ~del)) & tops) != 0;
}

/* The first byte that no field value may hold. */
static const char *skip_value(const char *at, const char *end)
{
	for (;;) {
		while (end - at >= 8 && !may_hold_control(at))
			at += 8;
		for (int i = 0; i < 8; i++, at++)
			if (at == end || !http_char_is(*at, HTTP_CHAR_VALUE))
				return at;
	}
}

/* Returns where the next line starts, NULL for a malformed line. */
static const char *read_field(struct http_head *head, const char *at, const char *end, enum h1_side side)
{
	const char *name = at;

	while (http_char_is(*at, HTTP_CHAR_TOKEN))
		at++;
	struct http_slice name_slice = {name, (size_t)(at - name)};
	while (side == H1_RESPONSE && http_char_is_space(*at))
		at++;
	if (name_slice.size == 0 || *at != ':')
		return NULL;
	at++;
	while (http_char_is_space(*at))
		at++;
	const char *value = at;
	at = skip_value(at, end);
	if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
		return NULL;
	const char *value_end = at;
	while (value_end > value && http_char_is_space(value_end[-1]))
		value_end--;
	http_head_add(head, name_slice, (struct http_slice){value, (size_t)(value_end - value)},
	    http_name_of(name_slice));
	return at + 2;
}

enum result h1_read_fields(struct http_head *head, const char *at, const char *end, enum h1_side side)
{
	while (at < end) {
		if (head->field_count == HTTP_FIELDS_MAX)
			return R_LIMIT;
		at = read_field(head, at, end, side);
		if (!at)
			return R_INVALID;
	}
	return R_OK;
}

enum result h1_read_trailers(struct http_head *trailers, struct http_slice section, enum h1_side side)
{
	http_head_clear(trailers);
	return h1_read_fields(trailers, section.bytes, section.bytes + section.size - 2, side);
}

static enum result read_length(struct http_head *head, struct http_slice value)
{
	uint64_t length = 0;

	if (value.size == 0 || value.size > 19)
		return R_INVALID;
	for (size_t i = 0; i < value.size; i++) {
		if (!http_char_is(value.bytes[i], HTTP_CHAR_DIGIT))
			return R_INVALID;
		length = length * 10 + (uint64_t)(value.bytes[i] - '0');
	}
	if (length > INT64_MAX)
		return R_INVALID;
	head->body = HTTP_BODY_LENGTH;
	head->content_length = length;
	return R_OK;
}

/* RFC 9112 section 6.1: codings that we do not know, and chunks around them that tell the end: 501. */
static enum result read_coding(struct http_head *head, struct http_slice list)
{
	struct http_slice member = {.size = 0};
	size_t before = 0;

	if (head->version == HTTP_1_0)
		return R_INVALID;
	if (http_slice_is(list, "chunked")) {
		head->body = HTTP_BODY_CHUNKED;
		return R_OK;
	}
	while (http_list_next(&list, &member) && !http_slice_is(member, "chunked"))
		if (!http_slice_is_token(member) || ++before > CODINGS_MAX)
			return R_INVALID;
	return before > 0 && http_slice_is(member, "chunked") && list.size == 0 ? R_DENIED : R_INVALID;
}

enum result h1_read_framing(struct http_head *head)
{
	const struct http_field *length = NULL;
	const struct http_field *coding = NULL;

	head->body = HTTP_BODY_NONE;
	for (size_t i = 0; i < head->field_count; i++) {
		const struct http_field *field = &head->fields[i];

		if (field->id == HTTP_FRAMING_TWIN)
			return R_INVALID;
		if (field->id != HTTP_CONTENT_LENGTH && field->id != HTTP_TRANSFER_ENCODING)
			continue;
		if (length || coding)
			return R_INVALID;
		if (field->id == HTTP_CONTENT_LENGTH)
			length = field;
		else
			coding = field;
	}
	if (length)
		return read_length(head, length->value);
	return coding ? read_coding(head, coding->value) : R_OK;
}

/* Who lists Host or the framing wants the next hop to read another message than we did. */
static bool may_be_listed(struct http_slice member)
{
	enum http_name id = http_name_of(member);

	return id != HTTP_HOST && id != HTTP_CONTENT_LENGTH && id != HTTP_TRANSFER_ENCODING &&
	       id != HTTP_FRAMING_TWIN;
}

enum result h1_read_connection(struct http_head *head)
{
	bool close = false;
	bool keep_alive = false;
	size_t members = 0;

	for (size_t i = 0; i < head->field_count; i++) {
		struct http_slice list = head->fields[i].value;
		struct http_slice member;

		if (head->fields[i].id != HTTP_CONNECTION)
			continue;
		while (http_list_next(&list, &member)) {
			if (!http_slice_is_token(member) || !may_be_listed(member) ||
			    ++members > H1_CONNECTION_MAX)
				return R_INVALID;
			close = close || http_slice_is(member, "close");
			keep_alive = keep_alive || http_slice_is(member, "keep-alive");
			head->lists_upgrade = head->lists_upgrade || http_slice_is(member, "upgrade");
		}
	}
	head->keep_alive = !close && (head->version > HTTP_1_0 || keep_alive);
	return R_OK;
}
