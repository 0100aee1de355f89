#include "edge/http/h2_head.h"

#include <string.h>

#include "edge/http/http_chars.h"
#include "edge/http/http_target.h"

enum { METHOD_MAX = 32 };

enum pseudo { METHOD = 1, SCHEME = 2, PATH = 4, AUTHORITY = 8, PROTOCOL = 16 };

/* Before each field's bytes, name then value. */
struct item {
	uint32_t name_size;
	uint32_t value_size;
	enum http_name id;
};

/* A block holds what HTTP_HEAD_MAX lets in, once in each buffer, and the items' own bytes. */
enum { FIELDS_SIZE = 2 * HTTP_HEAD_MAX + (HTTP_FIELDS_MAX + 8) * sizeof(struct item) };

void h2_head_init(struct h2_head *head)
{
	*head = (struct h2_head){.block = H2_BLOCK_REQUEST};
	buf_init(&head->fields, FIELDS_SIZE);
	buf_init(&head->cookies, HTTP_HEAD_MAX);
}

void h2_head_fini(struct h2_head *head)
{
	buf_fini(&head->fields);
	buf_fini(&head->cookies);
}

void h2_head_begin(struct h2_head *head, enum h2_block block)
{
	struct buf fields = head->fields;
	struct buf cookies = head->cookies;

	buf_consume(&fields, buf_size(&fields));
	buf_consume(&cookies, buf_size(&cookies));
	*head = (struct h2_head){.block = block, .fields = fields, .cookies = cookies};
}

/* ---- what came of a field */

static void malformed(struct h2_head *head)
{
	head->is_malformed = true;
}

static void refuse(struct h2_head *head, int status)
{
	if (head->status == 0)
		head->status = status;
}

/* Returns where the value stands in `fields`. */
static size_t keep(struct h2_head *head, struct http_slice name, struct http_slice value, enum http_name id)
{
	const struct item item = {(uint32_t)name.size, (uint32_t)value.size, id};
	size_t size = sizeof item + name.size + value.size;
	char *at = NULL;

	if (buf_reserve(&head->fields, size, &at) < size) {
		head->status = 431;
		return 0;
	}
	memcpy(at, &item, sizeof item);
	memcpy(at + sizeof item, name.bytes, name.size);
	memcpy(at + sizeof item + name.size, value.bytes, value.size);
	buf_commit(&head->fields, size);
	return buf_size(&head->fields) - value.size;
}

/* ---- names and values (section 8.2.1) */

static bool is_name(struct http_slice name)
{
	for (size_t i = 0; i < name.size; i++)
		if (!http_char_is(name.bytes[i], HTTP_CHAR_TOKEN) ||
		    http_char_lower(name.bytes[i]) != name.bytes[i])
			return false;
	return name.size > 0;
}

static bool is_all(struct http_slice slice, int kind)
{
	for (size_t i = 0; i < slice.size; i++)
		if (!http_char_is(slice.bytes[i], kind))
			return false;
	return true;
}

static bool is_value(struct http_slice value)
{
	bool has_space = value.size > 0 && (http_char_is_space(value.bytes[0]) ||
					       http_char_is_space(value.bytes[value.size - 1]));

	return !has_space && is_all(value, HTTP_CHAR_VALUE);
}

/* ---- pseudo-header fields (section 8.3.1) */

static void add_method(struct h2_head *head, struct http_slice value)
{
	if (!http_slice_is_token(value))
		malformed(head);
	else if (value.size > METHOD_MAX)
		refuse(head, 501);
	head->is_connect = http_slice_equal(value, "CONNECT");
	head->is_head = http_slice_equal(value, "HEAD");
	head->takes_body = http_slice_equal(value, "POST") || http_slice_equal(value, "PUT") ||
			   http_slice_equal(value, "PATCH");
}

/* A gateway speaks for http as well: the target says so, and the connection is what it is. */
static void add_scheme(struct h2_head *head, struct http_slice value)
{
	if (value.size == 0 || !is_value(value))
		malformed(head);
	else if (!http_slice_is(value, "https") && !http_slice_is(value, "http"))
		refuse(head, 400);
}

/* `*` is for OPTIONS alone, which may come later. */
static void add_path(struct h2_head *head, struct http_slice value)
{
	if (value.size == 0 || (value.bytes[0] != '/' && !http_slice_equal(value, "*")) ||
	    !is_all(value, HTTP_CHAR_TARGET))
		malformed(head);
	else if (value.size > HTTP_TARGET_MAX)
		refuse(head, 414);
}

/* User information never travels, and is no valid host either. */
static void add_authority(struct h2_head *head, struct http_slice value)
{
	if (value.size == 0 || !is_value(value) || memchr(value.bytes, '@', value.size))
		malformed(head);
	else if (!http_host_is_valid(value))
		refuse(head, 400);
}

static void add_protocol(struct h2_head *head, struct http_slice value)
{
	if (!http_slice_is_token(value))
		malformed(head);
	else if (!http_slice_equal(value, "websocket"))
		refuse(head, 501);
}

static const struct {
	const char *name;
	enum pseudo bit;
	void (*add)(struct h2_head *head, struct http_slice value);
} pseudo_fields[] = {
    {":method", METHOD, add_method},
    {":scheme", SCHEME, add_scheme},
    {":path", PATH, add_path},
    {":authority", AUTHORITY, add_authority},
    {":protocol", PROTOCOL, add_protocol},
};

static void add_pseudo(struct h2_head *head, struct http_slice name, struct http_slice value)
{
	for (size_t i = 0; i < sizeof pseudo_fields / sizeof *pseudo_fields; i++) {
		if (!http_slice_equal(name, pseudo_fields[i].name))
			continue;
		if (head->has_regular || head->pseudo & pseudo_fields[i].bit)
			break;
		head->pseudo |= pseudo_fields[i].bit;
		pseudo_fields[i].add(head, value);
		size_t at = keep(head, name, value, HTTP_OTHER);
		if (pseudo_fields[i].bit == AUTHORITY) {
			head->authority_at = at;
			head->authority_size = value.size;
		}
		return;
	}
	malformed(head);
}

/* ---- fields */

static void add_length(struct h2_head *head, struct http_slice value)
{
	uint64_t length = 0;

	if (head->has_length || value.size == 0 || value.size > 19 || !is_all(value, HTTP_CHAR_DIGIT)) {
		malformed(head);
		return;
	}
	for (size_t i = 0; i < value.size; i++)
		length = length * 10 + (uint64_t)(value.bytes[i] - '0');
	if (length > INT64_MAX)
		malformed(head);
	head->has_length = true;
	head->length = length;
}

static void add_host(struct h2_head *head, struct http_slice value, size_t at)
{
	if (head->host_size > 0 || !http_host_is_valid(value)) {
		refuse(head, 400);
		return;
	}
	head->host_at = at;
	head->host_size = value.size;
}

static void add_expect(struct h2_head *head, struct http_slice value)
{
	if (http_slice_is(value, "100-continue"))
		head->expects_continue = true;
	else
		refuse(head, 417);
}

/* Crumbs are one field again before anyone else reads them. */
static void add_cookie(struct h2_head *head, struct http_slice value)
{
	if (buf_size(&head->cookies) > 0)
		buf_append(&head->cookies, "; ", 2);
	buf_append(&head->cookies, value.bytes, value.size);
}

/* Section 8.2.2. */
static bool is_of_connection(enum http_name id, struct http_slice name, struct http_slice value)
{
	if (id == HTTP_TE)
		return !http_slice_is(value, "trailers");
	return id == HTTP_CONNECTION || id == HTTP_TRANSFER_ENCODING || id == HTTP_UPGRADE ||
	       http_slice_equal(name, "keep-alive") || http_slice_equal(name, "proxy-connection");
}

static void add_regular(struct h2_head *head, struct http_slice name, struct http_slice value)
{
	enum http_name id = http_name_of(name);

	head->has_regular = true;
	if (!is_name(name) || !is_value(value) || is_of_connection(id, name, value)) {
		malformed(head);
		return;
	}
	if (head->block == H2_BLOCK_REQUEST && http_slice_equal(name, "cookie")) {
		add_cookie(head, value);
		return;
	}
	if (++head->count >= HTTP_FIELDS_MAX) {
		refuse(head, 431);
		return;
	}
	size_t at = keep(head, name, value, id);
	if (id == HTTP_FRAMING_TWIN)
		refuse(head, 400);
	else if (id == HTTP_CONTENT_LENGTH)
		add_length(head, value);
	else if (id == HTTP_HOST)
		add_host(head, value, at);
	else if (id == HTTP_EXPECT)
		add_expect(head, value);
}

static size_t most_of(enum h2_block block)
{
	return block == H2_BLOCK_TRAILERS ? H2_TRAILERS_MAX : HTTP_HEAD_MAX;
}

void h2_head_add(struct h2_head *head, struct http_slice name, struct http_slice value)
{
	head->size += name.size + value.size + H2_FIELD_OVERHEAD;
	/* Whatever else is wrong with it: nothing more of it is kept. */
	if (head->size > most_of(head->block))
		head->status = 431;
	if (head->is_malformed || head->status == 431)
		return;
	if (name.size > 0 && name.bytes[0] == ':' && head->block == H2_BLOCK_REQUEST)
		add_pseudo(head, name, value);
	else
		add_regular(head, name, value);
}

/* ---- the whole block */

static struct http_slice kept(const struct h2_head *head, size_t at, size_t size)
{
	return (struct http_slice){buf_bytes(&head->fields) + at, size};
}

static struct http_slice find_pseudo(const struct h2_head *head, const char *name)
{
	struct http_slice none = {"", 0};

	for (const char *at = buf_bytes(&head->fields), *end = at + buf_size(&head->fields); at < end;) {
		struct item item;

		memcpy(&item, at, sizeof item);
		at += sizeof item;
		if (http_slice_equal((struct http_slice){at, item.name_size}, name))
			return (struct http_slice){at + item.name_size, item.value_size};
		at += item.name_size + item.value_size;
	}
	return none;
}

/* `host` may say again what `:authority` says, never something else. */
static void check_host(struct h2_head *head)
{
	if (head->authority_size == 0 && head->host_size == 0)
		refuse(head, 400);
	if (head->authority_size > 0 && head->host_size > 0 &&
	    !http_slice_same(kept(head, head->authority_at, head->authority_size),
		kept(head, head->host_at, head->host_size)))
		refuse(head, 400);
}

/* CONNECT has neither scheme nor path (section 8.5), everything else has both, and so has a CONNECT with
 * `:protocol` (RFC 8441 section 4), which alone has that. */
static bool has_right_pseudo(const struct h2_head *head)
{
	unsigned needed = METHOD | SCHEME | PATH;
	unsigned possible = needed | AUTHORITY;

	if (head->is_connect && head->pseudo & PROTOCOL)
		needed = possible = METHOD | SCHEME | PATH | AUTHORITY | PROTOCOL;
	else if (head->is_connect)
		needed = possible = METHOD | AUTHORITY;
	return (head->pseudo & needed) == needed && !(head->pseudo & ~possible);
}

/* What a tunnel carries has no length. */
static void check_connect(struct h2_head *head)
{
	if (!(head->pseudo & PROTOCOL))
		refuse(head, 501);
	else if (head->has_length)
		refuse(head, 400);
}

static void check_request(struct h2_head *head)
{
	if (!has_right_pseudo(head)) {
		malformed(head);
		return;
	}
	if (head->is_connect)
		check_connect(head);
	if (http_slice_equal(find_pseudo(head, ":path"), "*") &&
	    !http_slice_equal(find_pseudo(head, ":method"), "OPTIONS"))
		malformed(head);
	check_host(head);
}

static enum http_body framing_of(const struct h2_head *head, bool is_last)
{
	if (head->is_connect)
		return HTTP_BODY_NONE;
	if (head->has_length)
		return HTTP_BODY_LENGTH;
	if (!is_last)
		return HTTP_BODY_CHUNKED;
	/* Without a length applications of HTTP/1.1 would ask for one. */
	return head->takes_body ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
}

enum result h2_head_end(struct h2_head *head, bool is_last, struct h2_fields *out)
{
	static const struct http_slice cookie = {"cookie", 6};
	bool is_cut = head->status == 431;

	if (head->block == H2_BLOCK_TRAILERS && !is_last)
		malformed(head);
	if (head->block == H2_BLOCK_REQUEST && !is_cut && !head->is_malformed)
		check_request(head);
	if (is_last && head->has_length && head->length > 0 && head->block == H2_BLOCK_REQUEST)
		malformed(head);
	if (head->is_malformed)
		return R_INVALID;
	if (head->status > 0)
		return R_DENIED;
	if (buf_size(&head->cookies) > 0)
		keep(head, cookie, (struct http_slice){buf_bytes(&head->cookies), buf_size(&head->cookies)},
		    HTTP_NOT_IN_TRAILERS);
	*out = (struct h2_fields){.body = framing_of(head, is_last),
	    .content_length = head->length,
	    .expects_continue = head->expects_continue && !is_last && !head->is_connect,
	    .asks_websocket = head->is_connect};
	buf_init(&out->bytes, FIELDS_SIZE);
	buf_append(&out->bytes, buf_bytes(&head->fields), buf_size(&head->fields));
	return R_OK;
}

/* ---- a head again */

static void read_pseudo(struct http_head *head, struct http_slice name, struct http_slice value)
{
	if (http_slice_equal(name, ":method"))
		head->method = value;
	else if (http_slice_equal(name, ":path"))
		head->target = value;
	else if (http_slice_equal(name, ":authority")) {
		head->host = value;
		http_head_add(head, http_slice_of("Host"), value, HTTP_HOST);
	}
}

static void read_websocket(struct http_head *head)
{
	head->method = http_slice_of("GET");
	head->upgrade = http_slice_of("websocket");
}

static void read_field(
    struct http_head *head, struct http_slice name, struct http_slice value, enum http_name id)
{
	if (id == HTTP_HOST && head->host.size > 0)
		return;
	if (id == HTTP_HOST)
		head->host = value;
	http_head_add(head, name, value, id);
}

void h2_fields_read(const struct h2_fields *fields, struct http_head *head)
{
	http_head_clear(head);
	head->version = HTTP_2;
	head->keep_alive = true;
	head->body = fields->body;
	head->content_length = fields->content_length;
	head->expects_continue = fields->expects_continue;
	const char *at = buf_bytes(&fields->bytes);
	for (const char *end = at + buf_size(&fields->bytes); at < end;) {
		struct item item;

		memcpy(&item, at, sizeof item);
		struct http_slice name = {at + sizeof item, item.name_size};
		struct http_slice value = {name.bytes + name.size, item.value_size};
		at = value.bytes + value.size;
		if (name.bytes[0] == ':')
			read_pseudo(head, name, value);
		else
			read_field(head, name, value, item.id);
	}
	if (fields->asks_websocket)
		read_websocket(head);
}

void h2_fields_fini(struct h2_fields *fields)
{
	buf_fini(&fields->bytes);
}
