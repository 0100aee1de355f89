#include "edge/http/http_msg.h"

#include <assert.h>
#include <string.h>

#include "edge/http/http_chars.h"

bool http_slice_same(struct http_slice one, struct http_slice other)
{
	if (one.size != other.size)
		return false;
	/* Mostly not even the case differs. */
	if (one.size > 0 && memcmp(one.bytes, other.bytes, one.size) == 0)
		return true;
	for (size_t i = 0; i < one.size; i++)
		if (http_char_lower(one.bytes[i]) != http_char_lower(other.bytes[i]))
			return false;
	return true;
}

bool http_slice_is_token(struct http_slice slice)
{
	for (size_t i = 0; i < slice.size; i++)
		if (!http_char_is(slice.bytes[i], HTTP_CHAR_TOKEN))
			return false;
	return slice.size > 0;
}

struct known_name {
	const char *text; /* lower case, with hyphens */
	enum http_name id;
	enum http_name twin; /* what the name is when an underscore replaces a hyphen */
};

/* By length, so that a name is compared with three others at most. */
enum { NAME_LONGEST = 19, NAMES_PER_LENGTH = 3 };
static const struct known_name known_names[NAME_LONGEST + 1][NAMES_PER_LENGTH] = {
    [2] = {{"te", HTTP_TE, HTTP_OTHER}},
    [3] = {{"via", HTTP_VIA, HTTP_OTHER}},
    [4] = {{"host", HTTP_HOST, HTTP_OTHER}, {"date", HTTP_DATE, HTTP_OTHER}},
    [6] = {{"expect", HTTP_EXPECT, HTTP_OTHER}, {"cookie", HTTP_NOT_IN_TRAILERS, HTTP_OTHER}},
    [7] = {{"upgrade", HTTP_UPGRADE, HTTP_OTHER}, {"trailer", HTTP_TRAILER, HTTP_OTHER}},
    [9] = {{"forwarded", HTTP_IDENTITY, HTTP_IDENTITY}, {"x-real-ip", HTTP_IDENTITY, HTTP_IDENTITY}},
    [10] = {{"connection", HTTP_CONNECTION, HTTP_OTHER}, {"keep-alive", HTTP_HOP_BY_HOP, HTTP_OTHER},
	{"set-cookie", HTTP_NOT_IN_TRAILERS, HTTP_OTHER}},
    [12] = {{"content-type", HTTP_NOT_IN_TRAILERS, HTTP_OTHER},
	{"x-request-id", HTTP_REQUEST_ID, HTTP_IDENTITY}, {"max-forwards", HTTP_MAX_FORWARDS, HTTP_OTHER}},
    [13] = {{"authorization", HTTP_NOT_IN_TRAILERS, HTTP_OTHER},
	{"content-range", HTTP_NOT_IN_TRAILERS, HTTP_OTHER}},
    [14] = {{"content-length", HTTP_CONTENT_LENGTH, HTTP_FRAMING_TWIN}},
    [16] = {{"proxy-connection", HTTP_HOP_BY_HOP, HTTP_OTHER},
	{"content-encoding", HTTP_NOT_IN_TRAILERS, HTTP_OTHER}},
    [17] = {{"transfer-encoding", HTTP_TRANSFER_ENCODING, HTTP_FRAMING_TWIN}},
    [18] = {{"proxy-authenticate", HTTP_HOP_BY_HOP, HTTP_OTHER}},
    [19] = {{"proxy-authorization", HTTP_HOP_BY_HOP, HTTP_OTHER}},
};

/* Equal but for case, and for `_` in the place of `-`; *twin tells that there was one. */
static bool matches(const char *name, const char *known, size_t size, bool *twin)
{
	*twin = false;
	for (size_t i = 0; i < size; i++) {
		if (http_char_lower(name[i]) == known[i])
			continue;
		if (known[i] != '-' || name[i] != '_')
			return false;
		*twin = true;
	}
	return true;
}

enum http_name http_name_of(struct http_slice name)
{
	static const char family[] = "x-forwarded-";
	bool twin;

	if (name.size >= sizeof family && matches(name.bytes, family, sizeof family - 1, &twin))
		return HTTP_IDENTITY;
	if (name.size > NAME_LONGEST)
		return HTTP_OTHER;
	const struct known_name *known = known_names[name.size];
	for (int i = 0; i < NAMES_PER_LENGTH && known[i].text; i++)
		if (matches(name.bytes, known[i].text, name.size, &twin))
			return twin ? known[i].twin : known[i].id;
	return HTTP_OTHER;
}

void http_head_clear(struct http_head *head)
{
	memset(head, 0, offsetof(struct http_head, fields));
}

void http_head_add(struct http_head *head, struct http_slice name, struct http_slice value, enum http_name id)
{
	assert(head->field_count < HTTP_FIELDS_MAX + HTTP_FIELDS_OWN);
	head->fields[head->field_count++] = (struct http_field){name, value, id};
}

void http_head_remove(struct http_head *head, const char *lower_case_name)
{
	size_t kept = 0;

	for (size_t i = 0; i < head->field_count; i++)
		if (!http_slice_is(head->fields[i].name, lower_case_name))
			head->fields[kept++] = head->fields[i];
	head->field_count = kept;
}

const struct http_field *http_head_find(
    const struct http_head *head, const char *lower_case_name, size_t *count)
{
	struct http_slice wanted = http_slice_of(lower_case_name);
	const struct http_field *first = NULL;
	size_t found = 0;

	for (size_t i = 0; i < head->field_count; i++) {
		if (!http_slice_same(head->fields[i].name, wanted))
			continue;
		if (!first)
			first = &head->fields[i];
		found++;
	}
	if (count)
		*count = found;
	return first;
}

static struct http_slice trimmed(struct http_slice slice)
{
	while (slice.size > 0 && http_char_is_space(slice.bytes[0])) {
		slice.bytes++;
		slice.size--;
	}
	while (slice.size > 0 && http_char_is_space(slice.bytes[slice.size - 1]))
		slice.size--;
	return slice;
}

bool http_list_next(struct http_slice *list, struct http_slice *member)
{
	while (list->size > 0) {
		const char *comma = memchr(list->bytes, ',', list->size);
		size_t size = comma ? (size_t)(comma - list->bytes) : list->size;
		size_t used = comma ? size + 1 : size;

		*member = trimmed((struct http_slice){list->bytes, size});
		list->bytes += used;
		list->size -= used;
		if (member->size > 0)
			return true;
	}
	return false;
}
