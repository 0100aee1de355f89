#include "edge/upstream/upstream_h2_head.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "edge/http/h1_fields.h"

static nghttp2_nv field_of(struct http_slice name, struct http_slice value, uint8_t flags)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name.bytes, (uint8_t *)(uintptr_t)value.bytes, name.size,
	    value.size, flags};
}

static void add(struct upstream_h2_request *out, struct http_slice name, struct http_slice value)
{
	assert(out->count < UPSTREAM_H2_FIELDS_SENT_MAX);
	out->fields[out->count++] = field_of(name, value, NGHTTP2_NV_FLAG_NONE);
}

static struct http_slice cut_until(const char **at, const char *end, char last)
{
	const char *found = memchr(*at, last, (size_t)(end - *at));

	assert(found);
	struct http_slice slice = {*at, (size_t)(found - *at)};
	*at = found + 1;
	return slice;
}

/* False: the empty line. */
static bool cut_line(const char **at, const char *end, struct http_slice *name, struct http_slice *value)
{
	if (**at == '\r') {
		*at += 2;
		return false;
	}
	*name = cut_until(at, end, ':');
	(*at)++;
	*value = cut_until(at, end, '\n');
	value->size--;
	return true;
}

/* What is another one with each request would only push others out of the table that all requests on a
 * connection share, and what is secret must not be compared there with what others send (RFC 7541
 * section 7.1.3). */
static bool is_never_indexed(struct http_slice name)
{
	static const char *const names[] = {
	    "authorization", "cookie", "x-request-id", "x-forwarded-for", "x-real-ip", "forwarded"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (http_slice_is(name, names[i]))
			return true;
	return false;
}

/* Host becomes :authority; TE passes without the Connection that names it, which is of HTTP/1.1 alone. */
static void add_line(struct upstream_h2_request *out, struct http_slice name, struct http_slice value)
{
	switch (http_name_of(name)) {
	case HTTP_CONNECTION:
	case HTTP_TRANSFER_ENCODING: return;
	case HTTP_HOST: out->fields[2] = field_of(http_slice_of(":authority"), value, 0); return;
	case HTTP_CONTENT_LENGTH: out->content_length = strtoull(value.bytes, NULL, 10); break;
	default: break;
	}
	add(out, name, value);
	if (is_never_indexed(name))
		out->fields[out->count - 1].flags = NGHTTP2_NV_FLAG_NO_INDEX;
}

void upstream_h2_head_read_request(struct upstream_h2_request *out, const char *bytes, size_t size, bool tls)
{
	const char *at = bytes;
	const char *end = bytes + size;
	struct http_slice name;
	struct http_slice value;

	out->count = 0;
	out->content_length = 0;
	add(out, http_slice_of(":method"), cut_until(&at, end, ' '));
	add(out, http_slice_of(":scheme"), http_slice_of(tls ? "https" : "http"));
	add(out, http_slice_of(":authority"), http_slice_of(""));
	add(out, http_slice_of(":path"), cut_until(&at, end, ' '));
	cut_until(&at, end, '\n');
	while (cut_line(&at, end, &name, &value))
		add_line(out, name, value);
	out->size = (size_t)(at - bytes);
}

size_t upstream_h2_head_read_lines(nghttp2_nv *out, const char *bytes, size_t size)
{
	const char *at = bytes;
	struct http_slice name;
	struct http_slice value;
	size_t count = 0;

	while (cut_line(&at, bytes + size, &name, &value)) {
		assert(count < UPSTREAM_H2_FIELDS_SENT_MAX);
		out[count++] = field_of(name, value, NGHTTP2_NV_FLAG_NONE);
	}
	return count;
}

/* ---- responses */

void upstream_h2_fields_begin(struct upstream_h2_fields *fields)
{
	upstream_h2_fields_drop(fields);
	http_head_clear(&fields->head);
	fields->head.version = HTTP_2;
	fields->head.keep_alive = true;
	fields->head.reason = http_slice_of("");
}

static struct http_slice slice_of(nghttp2_rcbuf *bytes)
{
	nghttp2_vec vec = nghttp2_rcbuf_get_buf(bytes);

	return (struct http_slice){(const char *)vec.base, vec.len};
}

static void hold(struct upstream_h2_fields *fields, nghttp2_rcbuf *bytes)
{
	nghttp2_rcbuf_incref(bytes);
	fields->held[fields->held_count++] = bytes;
}

/* As HTTP/1.1 would count them: with a colon, a space and the line's end. */
bool upstream_h2_fields_add(struct upstream_h2_fields *fields, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
	struct http_slice name_slice = slice_of(name);
	struct http_slice value_slice = slice_of(value);

	if (http_slice_equal(name_slice, ":status")) {
		fields->head.status = atoi(value_slice.bytes);
		return true;
	}
	fields->bytes += name_slice.size + value_slice.size + 4;
	if (fields->bytes > HTTP_HEAD_MAX || fields->head.field_count == HTTP_FIELDS_MAX)
		return false;
	hold(fields, name);
	hold(fields, value);
	http_head_add(&fields->head, name_slice, value_slice, http_name_of(name_slice));
	return true;
}

void upstream_h2_fields_drop(struct upstream_h2_fields *fields)
{
	for (size_t i = 0; i < fields->held_count; i++)
		nghttp2_rcbuf_decref(fields->held[i]);
	fields->held_count = 0;
	fields->bytes = 0;
}

enum result upstream_h2_head_judge_response(struct http_head *head, bool to_head, bool is_last)
{
	bool never_has_one = head->status < 200 || head->status == 204 || head->status == 304 || to_head;

	if (head->status < 100 || head->status > 599 || head->status == 101 || h1_read_framing(head) != R_OK)
		return R_INVALID;
	if (never_has_one) {
		head->body = HTTP_BODY_NONE;
	} else if (is_last && head->body == HTTP_BODY_NONE) {
		head->body = HTTP_BODY_LENGTH;
		head->content_length = 0;
	} else if (head->body == HTTP_BODY_NONE) {
		head->body = HTTP_BODY_CHUNKED;
	}
	return R_OK;
}
