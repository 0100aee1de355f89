/*
 * Responses that the edge makes itself: small, plain, and never with a byte in the body that the client sent.
 */
#ifndef EDGE_REPLY_H
#define EDGE_REPLY_H

#include "common/base/buf.h"
#include "edge/http/http_msg.h"

struct reply {
	int status;
	const char *content_type; /* NULL: text/plain, and the status as body */
	struct http_slice body;
	const char *location;   /* with 301 and 308: made of checked parts by the caller; NULL: none */
	const char *connection; /* value of Connection; NULL: none */
	const char *request_id; /* NULL: none */
	int retry_after;        /* seconds; 0: no such field */
	bool to_head;           /* the same head, no body */
	bool ends_connection;   /* what else it carries is doubtful, or too much now */
};

/* What a reply's head may borrow. */
struct reply_text {
	char page[64];
	char retry_after[16];
};

/* Makes the head, without framing and Connection, and returns the body. Both borrow from `text` and `reply`.
 */
struct http_slice reply_head(struct http_head *head, struct reply_text *text, const struct reply *reply);
/* Appends the whole response with that head. Asserts that the buffer has room. */
void reply_write(
    struct buf *out, const struct reply *reply, const struct http_head *head, struct http_slice body);

#endif
