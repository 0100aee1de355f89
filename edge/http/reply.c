#include "edge/http/reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "edge/http/h1_write.h"
#include "edge/http/http_date.h"

static const char *reason_of(int status)
{
	switch (status) {
	case 200: return "OK";
	case 301: return "Moved Permanently";
	case 308: return "Permanent Redirect";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 408: return "Request Timeout";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 417: return "Expectation Failed";
	case 421: return "Misdirected Request";
	case 431: return "Request Header Fields Too Large";
	case 501: return "Not Implemented";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	case 508: return "Loop Detected";
	case 505: return "HTTP Version Not Supported";
	}
	return "Error";
}

static void add(struct http_head *head, const char *name, const char *value, enum http_name id)
{
	http_head_add(head, http_slice_of(name), http_slice_of(value), id);
}

struct http_slice reply_head(struct http_head *head, struct reply_text *text, const struct reply *reply)
{
	const char *reason = reason_of(reply->status);
	struct http_slice body = reply->body;

	if (!reply->content_type) {
		int size = snprintf(text->page, sizeof text->page, "%d %s\n", reply->status, reason);

		body = (struct http_slice){text->page, (size_t)size};
	}
	http_head_clear(head);
	head->status = reply->status;
	head->reason = http_slice_of(reason);
	head->body = HTTP_BODY_LENGTH;
	head->content_length = body.size;
	add(head, "Date", http_date_now(), HTTP_DATE);
	add(head, "Content-Type", reply->content_type ? reply->content_type : "text/plain", HTTP_OTHER);
	if (reply->location)
		add(head, "Location", reply->location, HTTP_OTHER);
	if (reply->retry_after > 0) {
		snprintf(text->retry_after, sizeof text->retry_after, "%d", reply->retry_after);
		add(head, "Retry-After", text->retry_after, HTTP_OTHER);
	}
	if (reply->status == 503)
		add(head, "Cache-Control", "no-store", HTTP_OTHER);
	if (reply->request_id)
		add(head, "X-Request-Id", reply->request_id, HTTP_REQUEST_ID);
	return body;
}

void reply_write(
    struct buf *out, const struct reply *reply, const struct http_head *head, struct http_slice body)
{
	h1_write_response(out, head, HTTP_BODY_LENGTH, reply->connection);
	enum result result = reply->to_head ? R_OK : buf_append(out, body.bytes, body.size);
	assert(result == R_OK);
	(void)result;
}
