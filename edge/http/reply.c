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
	case 308: return "Permanent Redirect";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 408: return "Request Timeout";
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

void reply_write(struct buf *out, const struct reply *reply)
{
	struct http_head head;
	char page[64];
	char retry_after[16];
	struct http_slice body = reply->body;

	if (!reply->content_type) {
		int size = snprintf(page, sizeof page, "%d %s\n", reply->status, reason_of(reply->status));

		body = (struct http_slice){page, (size_t)size};
	}
	snprintf(retry_after, sizeof retry_after, "%d", reply->retry_after);
	http_head_clear(&head);
	head.status = reply->status;
	head.reason = http_slice_of(reason_of(reply->status));
	head.content_length = body.size;
	http_head_add(&head, http_slice_of("Date"), http_slice_of(http_date_now()), HTTP_OTHER);
	http_head_add(&head, http_slice_of("Content-Type"),
	    http_slice_of(reply->content_type ? reply->content_type : "text/plain"), HTTP_OTHER);
	if (reply->location)
		http_head_add(&head, http_slice_of("Location"), http_slice_of(reply->location), HTTP_OTHER);
	if (reply->retry_after > 0)
		http_head_add(&head, http_slice_of("Retry-After"), http_slice_of(retry_after), HTTP_OTHER);
	if (reply->status == 503)
		http_head_add(&head, http_slice_of("Cache-Control"), http_slice_of("no-store"), HTTP_OTHER);
	if (reply->request_id)
		http_head_add(
		    &head, http_slice_of("X-Request-Id"), http_slice_of(reply->request_id), HTTP_REQUEST_ID);
	h1_write_response(out, &head, HTTP_BODY_LENGTH, reply->connection);
	enum result result = reply->to_head ? R_OK : buf_append(out, body.bytes, body.size);
	assert(result == R_OK);
	(void)result;
}
