#include "edge/http/h1_body.h"

#include <assert.h>
#include <string.h>

#include "edge/http/http_chars.h"

void h1_body_init(struct h1_body *body, const struct http_head *head)
{
	*body = (struct h1_body){.kind = head->body};
	if (head->body == HTTP_BODY_LENGTH)
		body->left = head->content_length;
	if (head->body == HTTP_BODY_CHUNKED)
		body->state = H1_BODY_CHUNK_SIZE;
	if (head->body == HTTP_BODY_NONE || (head->body == HTTP_BODY_LENGTH && body->left == 0))
		body->state = H1_BODY_DONE;
}

bool h1_body_is_done(const struct h1_body *body)
{
	return body->state == H1_BODY_DONE;
}

static const char *skip_space(const char *at)
{
	while (http_char_is_space(*at))
		at++;
	return at;
}

static const char *skip_token(const char *at)
{
	while (http_char_is(*at, HTTP_CHAR_TOKEN))
		at++;
	return at;
}

/* Past the closing quote, NULL where there is none before the line's end. */
static const char *skip_quoted(const char *at)
{
	for (at++; *at != '"'; at++) {
		if (*at == '\\')
			at++;
		if (!http_char_is(*at, HTTP_CHAR_VALUE))
			return NULL;
	}
	return at + 1;
}

/* *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) CR, and nothing else. */
static bool extensions_are_valid(const char *at)
{
	while (*at != '\r') {
		at = skip_space(at);
		if (*at != ';')
			return false;
		const char *name = skip_space(at + 1);
		at = skip_token(name);
		if (at == name)
			return false;
		const char *equals = skip_space(at);
		if (*equals != '=')
			continue;
		const char *value = skip_space(equals + 1);
		at = *value == '"' ? skip_quoted(value) : skip_token(value);
		if (!at || at == value)
			return false;
	}
	return at[1] == '\n';
}

static unsigned hex_digit(char digit)
{
	return http_char_is(digit, HTTP_CHAR_DIGIT) ? (unsigned)(digit - '0')
						    : (unsigned)(http_char_lower(digit) - 'a') + 10;
}

static enum result read_size(struct h1_body *body, const char *line)
{
	uint64_t size = 0;
	int digits = 0;

	for (; http_char_is(line[digits], HTTP_CHAR_HEX); digits++) {
		if (digits == H1_CHUNK_DIGITS_MAX)
			return R_INVALID;
		size = size << 4 | hex_digit(line[digits]);
	}
	if (digits == 0 || size > INT64_MAX || !extensions_are_valid(line + digits))
		return R_INVALID;
	body->left = size;
	body->state = size > 0 ? H1_BODY_DATA : H1_BODY_TRAILERS;
	return R_OK;
}

static enum result next_size(struct h1_body *body, const char *bytes, size_t size, size_t *framing)
{
	enum { LINE_MAX_SIZE = H1_CHUNK_DIGITS_MAX + H1_CHUNK_EXTENSION_MAX + 2 };
	const char *feed = memchr(bytes, '\n', size < LINE_MAX_SIZE ? size : LINE_MAX_SIZE);

	if (!feed)
		return size < LINE_MAX_SIZE ? R_AGAIN : R_INVALID;
	if (feed == bytes || feed[-1] != '\r' || read_size(body, bytes) != R_OK)
		return R_INVALID;
	*framing += (size_t)(feed + 1 - bytes);
	return R_OK;
}

static enum result next_chunk_end(struct h1_body *body, const char *bytes, size_t size, size_t *framing)
{
	if ((size > 0 && bytes[0] != '\r') || (size > 1 && bytes[1] != '\n'))
		return R_INVALID;
	if (size < 2)
		return R_AGAIN;
	*framing += 2;
	body->state = H1_BODY_CHUNK_SIZE;
	return R_OK;
}

static enum result next_trailers(struct h1_body *body, const char *bytes, size_t size, size_t *framing)
{
	enum result result = h1_scan_head(&body->scan, bytes, size, H1_TRAILERS_MAX);

	if (result != R_OK)
		return result == R_AGAIN ? R_AGAIN : R_INVALID;
	*framing += body->scan.at;
	if (body->scan.at > 2)
		body->trailers = (struct http_slice){bytes, body->scan.at};
	body->state = H1_BODY_DONE;
	return R_EOF;
}

static bool is_endless(const struct h1_body *body)
{
	return body->kind == HTTP_BODY_UNTIL_CLOSE || body->kind == HTTP_BODY_TUNNEL;
}

static enum result next_data(const struct h1_body *body, size_t size, size_t *data)
{
	*data = size;
	if (!is_endless(body) && size > body->left)
		*data = (size_t)body->left;
	return *data > 0 ? R_OK : R_AGAIN;
}

enum result h1_body_next(struct h1_body *body, const char *bytes, size_t size, size_t *framing, size_t *data)
{
	*framing = *data = 0;
	for (;;) {
		const char *at = bytes + *framing;
		size_t left = size - *framing;
		enum result result = R_OK;

		switch (body->state) {
		case H1_BODY_DONE: return R_EOF;
		case H1_BODY_DATA: return next_data(body, left, data);
		case H1_BODY_TRAILERS: return next_trailers(body, at, left, framing);
		case H1_BODY_CHUNK_SIZE: result = next_size(body, at, left, framing); break;
		case H1_BODY_CHUNK_END: result = next_chunk_end(body, at, left, framing); break;
		}
		if (result != R_OK)
			return result;
	}
}

void h1_body_take(struct h1_body *body, size_t size)
{
	assert(body->state == H1_BODY_DATA);
	if (is_endless(body))
		return;
	assert(size <= body->left);
	body->left -= size;
	if (body->left == 0)
		body->state = body->kind == HTTP_BODY_CHUNKED ? H1_BODY_CHUNK_END : H1_BODY_DONE;
}
