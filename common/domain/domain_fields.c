/*
 * The option `response_headers` of a domain: which fields a response gets or loses. What frames a message,
 * what holds for one hop or opens a WebSocket, and what says who asks, is the edge's alone.
 */
#include <ctype.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/domain/domain_options.h"

enum { NAME_MAX_SIZE = 64, PART_MAX = 2 * DOMAIN_OPTIONS_MAX };

/* In lower case, hyphens for underscores. What ends in a hyphen is a prefix. The two of content- say how the
 * body's bytes are to be read: without them it is another body. */
static const char *const untouchable[] = {"content-length", "transfer-encoding", "content-encoding",
    "content-range", "connection", "keep-alive", "proxy-", "te", "trailer", "upgrade", "http2-settings",
    "forwarded", "x-forwarded-", "x-real-ip", "x-request-id", "sec-websocket-", "via", "host", "date",
    "status"};

static bool is_token(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
			return false;
	return text[0] != '\0';
}

static void fold(char *out, const char *name, bool hyphens)
{
	for (; *name; name++)
		*out++ = hyphens && *name == '_' ? '-' : (char)tolower((unsigned char)*name);
	*out = '\0';
}

static bool is_untouchable(const char *name)
{
	char folded[NAME_MAX_SIZE + 1];

	fold(folded, name, true);
	for (size_t i = 0; i < sizeof untouchable / sizeof *untouchable; i++) {
		size_t size = strlen(untouchable[i]);
		bool is_prefix = untouchable[i][size - 1] == '-';

		if (is_prefix ? strncmp(folded, untouchable[i], size) == 0
			      : strcmp(folded, untouchable[i]) == 0)
			return true;
	}
	return false;
}

static enum result check_name(const char *name, struct error *error)
{
	if (strlen(name) > NAME_MAX_SIZE || !is_token(name)) {
		error_set(error, "`%.64s` is no field name: write X-Frame-Options or the like", name);
		return R_INVALID;
	}
	if (is_untouchable(name)) {
		error_set(error, "%s is the edge's own: leave it out", name);
		return R_INVALID;
	}
	return R_OK;
}

/* RFC 9110 section 5.5: visible bytes, with spaces and tabs between them only. */
static bool is_value(const char *value)
{
	size_t size = strlen(value);

	for (size_t i = 0; i < size; i++)
		if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
			return false;
	return size > 0 && size <= DOMAIN_VALUE_MAX && !strchr(" \t", value[0]) &&
	       !strchr(" \t", value[size - 1]);
}

static enum result append(struct buf *out, const char *text)
{
	return buf_append(out, text, strlen(text) + 1);
}

static enum result read_added(struct buf *out, const json_t *fields, struct error *error)
{
	const char *name = NULL;
	json_t *value = NULL;
	enum result result = R_OK;

	if (!json_is_object(fields) || json_object_size(fields) > DOMAIN_FIELDS_MAX) {
		error_set(error, "add is an object of at most %d fields, {\"X-Frame-Options\": \"DENY\"}",
		    DOMAIN_FIELDS_MAX);
		return R_INVALID;
	}
	json_object_foreach((json_t *)(uintptr_t)fields, name, value)
	{
		const char *text = json_string_value(value);

		if (check_name(name, error) != R_OK)
			return R_INVALID;
		if (!text || !is_value(text)) {
			error_set(error,
			    "the value of %s is a string of 1 to %d bytes without control characters", name,
			    DOMAIN_VALUE_MAX);
			return R_INVALID;
		}
		if (result == R_OK)
			result = append(out, name);
		if (result == R_OK)
			result = append(out, text);
	}
	return result;
}

static enum result read_removed(struct buf *out, const json_t *names, struct error *error)
{
	char folded[NAME_MAX_SIZE + 1];
	size_t index = 0;
	json_t *value = NULL;
	enum result result = R_OK;

	if (!json_is_array(names) || json_array_size(names) > DOMAIN_FIELDS_MAX) {
		error_set(error, "remove is a list of at most %d names, [\"Server\", \"X-Powered-By\"]",
		    DOMAIN_FIELDS_MAX);
		return R_INVALID;
	}
	json_array_foreach(names, index, value)
	{
		const char *name = json_is_string(value) ? json_string_value(value) : "";

		if (check_name(name, error) != R_OK)
			return R_INVALID;
		fold(folded, name, false);
		if (result == R_OK)
			result = append(out, folded);
	}
	return result;
}

static enum result check_keys(const json_t *value, struct error *error)
{
	const char *key = NULL;
	json_t *member = NULL;

	json_object_foreach((json_t *)(uintptr_t)value, key, member)
	{
		if (strcmp(key, "add") != 0 && strcmp(key, "remove") != 0) {
			error_set(error, "it knows add and remove, not `%.64s`", key);
			return R_INVALID;
		}
	}
	if (json_is_object(value))
		return R_OK;
	error_set(
	    error, "it is an object: {\"add\": {\"X-Frame-Options\": \"DENY\"}, \"remove\": [\"Server\"]}");
	return R_INVALID;
}

static struct domain_part take(const struct buf *bytes)
{
	if (buf_size(bytes) == 0)
		return (struct domain_part){0};
	return (struct domain_part){mem_copy(buf_bytes(bytes), buf_size(bytes)), buf_size(bytes)};
}

enum result domain_fields_read(
    struct domain_part *added, struct domain_part *removed, const json_t *value, struct error *error)
{
	const json_t *add = json_object_get(value, "add");
	const json_t *remove = json_object_get(value, "remove");
	struct buf to_add, to_remove;
	enum result result = check_keys(value, error);

	buf_init(&to_add, PART_MAX);
	buf_init(&to_remove, PART_MAX);
	if (result == R_OK && add)
		result = read_added(&to_add, add, error);
	if (result == R_OK && remove)
		result = read_removed(&to_remove, remove, error);
	if (result == R_OK) {
		*added = take(&to_add);
		*removed = take(&to_remove);
	} else if (result == R_LIMIT) {
		error_set(error, "the fields are too long together");
		result = R_INVALID;
	}
	buf_fini(&to_add);
	buf_fini(&to_remove);
	return result;
}
