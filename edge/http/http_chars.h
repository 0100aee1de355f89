/*
 * Which bytes may stand where in HTTP (RFC 9110 section 5.6, RFC 9112), as one table look-up each.
 */
#ifndef EDGE_HTTP_CHARS_H
#define EDGE_HTTP_CHARS_H

#include <stdbool.h>

enum {
	HTTP_CHAR_TOKEN = 1,
	HTTP_CHAR_VALUE = 2,  /* field values and reasons: VCHAR, obs-text, space, tab */
	HTTP_CHAR_TARGET = 4, /* VCHAR but `#`: a fragment never travels */
	HTTP_CHAR_HOST = 8,   /* letters, digits, `-`, `.`, `_` */
	HTTP_CHAR_HEX = 16,
	HTTP_CHAR_DIGIT = 32,
	HTTP_CHAR_BASE64URL = 64,
};

extern const unsigned char http_chars[256];

static inline bool http_char_is(char byte, int kind)
{
	return (http_chars[(unsigned char)byte] & kind) != 0;
}

static inline bool http_char_is_space(char byte)
{
	return byte == ' ' || byte == '\t';
}

static inline char http_char_lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

#endif
