/*
 * The part that request heads, response heads and trailers share: finding the end of a head that arrives in
 * pieces, and reading its field lines (RFC 9112 section 5). Strict: nothing is repaired but what a proxy has
 * to.
 */
#ifndef EDGE_H1_FIELDS_H
#define EDGE_H1_FIELDS_H

#include "edge/http/http_msg.h"

/* How far an incomplete head has been looked at, so that feeding it byte by byte costs no more. Zero it to
 * begin. */
struct h1_scan {
	size_t start; /* of the head proper, after an ignored empty line */
	size_t line;  /* start of the current line */
	size_t at;
};

enum {
	H1_FIRST_LINE_MAX = HTTP_TARGET_MAX + 64,
	H1_TRAILERS_MAX = 8 * 1024,
	H1_CONNECTION_MAX = 32, /* members of Connection: each is compared with each field */
};

/* Finds the empty line. R_OK: the head is bytes[scan->start, scan->at). R_AGAIN: incomplete. R_INVALID: a
 * line feed without carriage return. R_LIMIT: longer than `max`. `bytes` may have moved since the last call,
 * grown at the end. */
enum result h1_scan_head(struct h1_scan *scan, const char *bytes, size_t size, size_t max);

/* Whose message it is. RFC 9112 section 5.1: white space before a colon is refused in a request, and taken
 * out of a response. */
enum h1_side { H1_REQUEST, H1_RESPONSE };

/* Reads field lines up to `end` (the empty line is not among them) into `head`. R_INVALID; R_LIMIT: more than
 * HTTP_FIELDS_MAX. Bytes must end in CR LF, as h1_scan_head makes sure. */
enum result h1_read_fields(struct http_head *head, const char *at, const char *end, enum h1_side side);

/* Reads a trailer section, empty line included, into a cleared head. */
enum result h1_read_trailers(struct http_head *trailers, struct http_slice section, enum h1_side side);

/* The framing that the fields declare (RFC 9112 section 6.3), before the method or status has its say:
 * LENGTH, CHUNKED or NONE. R_INVALID: two readings are possible. R_DENIED: there is one, by a transfer coding
 * that we do not speak. */
enum result h1_read_framing(struct http_head *head);
/* keep_alive by version and Connection, lists_upgrade. R_INVALID: too many members, or one that is no token
 * or names what no hop may drop. */
enum result h1_read_connection(struct http_head *head);

#endif
