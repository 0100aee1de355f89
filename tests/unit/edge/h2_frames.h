/*
 * Frames of HTTP/2 as a client of these tests writes and finds them, and heads that need no table: GET or
 * POST, https, / and a.example.
 */
#ifndef TESTS_H2_FRAMES_H
#define TESTS_H2_FRAMES_H

#include <stddef.h>
#include <string.h>

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PING = 6, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };
enum { H2_FRAME_MAX = 9 + 16384 };

/* Static table and one literal. */
#define GET_HEAD "\x82\x87\x84\x01\x09"
#define POST_HEAD "\x83\x87\x84\x01\x09"
#define NAME "a.example"
/* The preface and empty SETTINGS. */
#define H2_HELLO "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"

/* `out` has room for H2_FRAME_MAX; returns how much it is. */
static inline size_t h2_frame_write(
    char *out, int kind, int flags, int stream, const void *bytes, size_t size)
{
	const char header[9] = {(char)(size >> 16), (char)(size >> 8), (char)size, (char)kind, (char)flags, 0,
	    0, (char)(stream >> 8), (char)stream};

	memcpy(out, header, sizeof header);
	memcpy(out + sizeof header, bytes, size);
	return sizeof header + size;
}

/* The `nth` frame of that kind and stream in what has come so far; NULL: none. */
static inline const unsigned char *h2_frame_find(
    const char *bytes, size_t have, int kind, int stream, int nth)
{
	size_t at = 0;

	while (at + 9 <= have) {
		const unsigned char *frame = (const unsigned char *)bytes + at;
		size_t size = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];

		if (at + 9 + size > have)
			return NULL;
		if (frame[3] == kind && (frame[7] << 8 | frame[8]) == stream && nth-- == 0)
			return frame;
		at += 9 + size;
	}
	return NULL;
}

#endif
