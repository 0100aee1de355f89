/*
 * One request type and one response type behind every front end (HTTP/1.1, HTTP/2) and in front of
 * every upstream. Fields keep their order and their bytes; names compare without case.
 */
#ifndef EDGE_HTTP_MSG_H
#define EDGE_HTTP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/result.h"

enum {
	HTTP_HEAD_MAX = 64 * 1024, /* bytes of start line and fields together */
	HTTP_FIELDS_MAX = 128,     /* that a peer may send */
	HTTP_FIELDS_OWN = 24,      /* room on top for what we add: identity, or what its domain wants */
	HTTP_TARGET_MAX = 32 * 1024,
};

/* A borrowed string, in the memory that the head was read from. */
struct http_slice {
	const char *bytes;
	size_t size;
};

/* The names that mean something to an intermediary; all others pass through. Found once, when the field is
 * read. */
enum http_name {
	HTTP_OTHER,
	HTTP_HOST,
	HTTP_CONTENT_LENGTH,
	HTTP_TRANSFER_ENCODING,
	HTTP_FRAMING_TWIN, /* content_length, transfer_encoding: the same to a CGI-like application */
	HTTP_CONNECTION,
	HTTP_UPGRADE,
	HTTP_HOP_BY_HOP, /* Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization */
	HTTP_TE,
	HTTP_TRAILER,
	HTTP_EXPECT,
	HTTP_IDENTITY,   /* Forwarded, X-Real-IP, X-Forwarded-*, and the same with underscores */
	HTTP_REQUEST_ID, /* X-Request-Id */
	HTTP_VIA,
	HTTP_DATE,
	HTTP_MAX_FORWARDS,
	HTTP_NOT_IN_TRAILERS, /* Authorization, Cookie, Content-Type, …: mean something only ahead of the body
			       */
};

struct http_field {
	struct http_slice name;
	struct http_slice value;
	enum http_name id;
};

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2, HTTP_VERSIONS };

enum http_body {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_CLOSE,
	HTTP_BODY_TUNNEL, /* behind a 101: bytes of another protocol, each way until its sender ends it */
};

struct http_head {
	/* request */
	struct http_slice method;
	struct http_slice
	    target; /* origin-form or `*`; out of an absolute-form without a path it begins with `?` */
	struct http_slice
	    host; /* the Host field's value byte for byte, or the authority; empty where neither */
	/* response */
	int status;
	struct http_slice reason;
	/* both */
	int version; /* enum http_version */
	enum http_body body;
	uint64_t content_length; /* with HTTP_BODY_LENGTH */
	bool keep_alive;         /* as the head itself says */
	bool expects_continue;
	bool lists_upgrade;        /* in Connection */
	struct http_slice upgrade; /* the protocols that a request asks for, or that a 101 changes to; empty:
				      the connection stays what it is */
	size_t field_count;
	struct http_field fields[HTTP_FIELDS_MAX + HTTP_FIELDS_OWN];
};

/* A local head whose fields are set before they are read: to zero its six kibibytes, as the compiler is told
 * to do with locals, costs as much as to parse a request. Whoever fills it begins with http_head_clear. */
#define HTTP_HEAD_UNSET __attribute__((uninitialized))

bool http_slice_same(struct http_slice one, struct http_slice other); /* without case */

/* Inline, so that the length of a literal is known when it is compiled. */
static inline struct http_slice http_slice_of(const char *string)
{
	return (struct http_slice){string, strlen(string)};
}

/* Without case. */
static inline bool http_slice_is(struct http_slice slice, const char *lower_case)
{
	struct http_slice other = http_slice_of(lower_case);

	return slice.size == other.size && http_slice_same(slice, other);
}

static inline bool http_slice_equal(struct http_slice slice, const char *exact)
{
	return slice.size == strlen(exact) && memcmp(slice.bytes, exact, slice.size) == 0;
}

bool http_slice_is_token(struct http_slice slice);

enum http_name http_name_of(struct http_slice name);

/* Everything but the fields' memory. */
void http_head_clear(struct http_head *head);
/* Asserts that there is room. */
void http_head_add(
    struct http_head *head, struct http_slice name, struct http_slice value, enum http_name id);
/* All fields of that name. */
void http_head_remove(struct http_head *head, const char *lower_case_name);
/* The first field of that name; NULL where none. `*count`, if given, is how many there are. */
const struct http_field *http_head_find(
    const struct http_head *head, const char *lower_case_name, size_t *count);
/* Takes the first member off a comma-separated list, optional whitespace cut; false at the end. Empty members
 * are skipped (RFC 9110 section 5.6.1). */
bool http_list_next(struct http_slice *list, struct http_slice *member);

#endif
