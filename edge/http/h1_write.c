#include "edge/http/h1_write.h"

#include <assert.h>
#include <string.h>

#include "edge/http/http_number.h"

/* A place to write to whose room was reserved for all that comes. */
struct pen {
	char *at;
	char *end;
};

static struct pen pen_open(struct buf *out, size_t size)
{
	char *space = NULL;
	size_t room = buf_reserve(out, size, &space);

	assert(room >= size);
	return (struct pen){space, space + room};
}

static void pen_close(struct buf *out, const struct pen *pen, const char *from)
{
	assert(pen->at <= pen->end);
	buf_commit(out, (size_t)(pen->at - from));
}

static inline void put(struct pen *pen, const char *bytes, size_t size)
{
	assert((size_t)(pen->end - pen->at) >= size);
	memcpy(pen->at, bytes, size);
	pen->at += size;
}

static inline void put_slice(struct pen *pen, struct http_slice slice)
{
	put(pen, slice.bytes, slice.size);
}

#define put_text(pen, text) put((pen), (text), sizeof(text) - 1)

static void put_number(struct pen *pen, uint64_t number)
{
	char digits[HTTP_NUMBER_DIGITS];

	put_slice(pen, http_number(digits, number));
}

static size_t fields_size(const struct http_head *head)
{
	size_t size = 0;

	for (size_t i = 0; i < head->field_count; i++)
		size += head->fields[i].name.size + head->fields[i].value.size + 4;
	return size;
}

static void put_fields(struct pen *pen, const struct http_head *head)
{
	for (size_t i = 0; i < head->field_count; i++) {
		put_slice(pen, head->fields[i].name);
		put_text(pen, ": ");
		put_slice(pen, head->fields[i].value);
		put_text(pen, "\r\n");
	}
}

static void put_framing(struct pen *pen, enum http_body framing, uint64_t length)
{
	if (framing == HTTP_BODY_CHUNKED)
		put_text(pen, "Transfer-Encoding: chunked\r\n");
	if (framing != HTTP_BODY_LENGTH)
		return;
	put_text(pen, "Content-Length: ");
	put_number(pen, length);
	put_text(pen, "\r\n");
}

/* Start line's fixed parts, framing, Connection and the empty line. */
enum { AROUND = 128 };

void h1_write_request(struct buf *out, const struct http_head *head)
{
	struct pen pen = pen_open(out, head->method.size + head->target.size + fields_size(head) + AROUND);
	const char *from = pen.at;

	put_slice(&pen, head->method);
	put_text(&pen, " ");
	if (head->target.bytes[0] == '?')
		put_text(&pen, "/");
	put_slice(&pen, head->target);
	put_text(&pen, " HTTP/1.1\r\n");
	put_fields(&pen, head);
	put_framing(&pen, head->body, head->content_length);
	put_text(&pen, "\r\n");
	pen_close(out, &pen, from);
}

void h1_write_response(
    struct buf *out, const struct http_head *head, enum http_body framing, const char *connection)
{
	struct pen pen = pen_open(out, head->reason.size + fields_size(head) + AROUND);
	const char *from = pen.at;

	put_text(&pen, "HTTP/1.1 ");
	put_number(&pen, (uint64_t)head->status);
	put_text(&pen, " ");
	put_slice(&pen, head->reason);
	put_text(&pen, "\r\n");
	put_fields(&pen, head);
	put_framing(&pen, framing, head->content_length);
	if (connection) {
		put_text(&pen, "Connection: ");
		put(&pen, connection, strlen(connection));
		put_text(&pen, "\r\n");
	}
	put_text(&pen, "\r\n");
	pen_close(out, &pen, from);
}

static void put_hex(struct pen *pen, size_t number)
{
	char digits[16];
	size_t at = sizeof digits;

	do {
		digits[--at] = "0123456789abcdef"[number & 15];
		number >>= 4;
	} while (number > 0);
	put(pen, digits + at, sizeof digits - at);
}

void h1_write_chunk(struct buf *out, const char *bytes, size_t size)
{
	struct pen pen = pen_open(out, size + H1_CHUNK_OVERHEAD);
	const char *from = pen.at;

	assert(size > 0);
	put_hex(&pen, size);
	put_text(&pen, "\r\n");
	put(&pen, bytes, size);
	put_text(&pen, "\r\n");
	pen_close(out, &pen, from);
}

void h1_write_last_chunk(struct buf *out, const struct http_head *trailers)
{
	struct pen pen = pen_open(out, 5 + (trailers ? fields_size(trailers) : 0));
	const char *from = pen.at;

	put_text(&pen, "0\r\n");
	if (trailers)
		put_fields(&pen, trailers);
	put_text(&pen, "\r\n");
	pen_close(out, &pen, from);
}
