/*
 * One request type and one response type behind every front end (HTTP/1.1 now, HTTP/2 later) and in front of every
 * upstream. Fields keep their order and their bytes; names compare without case.
 */
#ifndef EDGE_HTTP_MSG_H
#define EDGE_HTTP_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

enum {
	HTTP_HEAD_MAX = 64 * 1024, /* bytes of start line and fields together */
	HTTP_FIELDS_MAX = 128,
	HTTP_TARGET_MAX = 32 * 1024,
};

/* A borrowed string in the head's own memory (`base`). */
struct http_slice {
	const char *bytes;
	size_t size;
};

struct http_field {
	struct http_slice name;
	struct http_slice value;
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

struct http_head {
	/* request */
	struct http_slice method;
	struct http_slice target; /* origin-form or `*`; absolute-form is split into authority and target */
	struct http_slice host;   /* the Host field's value byte for byte, or the authority */
	/* response */
	int status;
	struct http_slice reason;
	/* both */
	int minor_version; /* HTTP/1.x */
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t field_count;
	enum http_body body;
	uint64_t content_length; /* with HTTP_BODY_LENGTH */
	bool keep_alive;         /* as the head itself says */
	bool expects_continue;
};

bool http_slice_is(struct http_slice slice, const char *lower_case); /* without case */
bool http_slice_equal(struct http_slice slice, const char *exact);
/* The only field of that name; NULL where none. `*count`, if given, is how many there are. */
const struct http_field *http_head_find(const struct http_head *head, const char *lower_case_name, size_t *count);
/* Is `token` a member of the comma-separated list in any field of that name? */
bool http_head_lists(const struct http_head *head, const char *lower_case_name, const char *token);

#endif
