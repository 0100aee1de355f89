#include "edge/http/h1_parse.h"

#include <string.h>

#include "edge/http/http_chars.h"
#include "edge/http/http_target.h"
#include "edge/http/upgrade.h"

enum { METHOD_MAX = 32 };

static enum result refuse(int *status, int code)
{
	*status = code;
	return R_INVALID;
}

/* One empty line before a request is ignored: old clients send it after a body (RFC 9112 section 2.2). */
static bool skips_empty_line(struct h1_scan *scan, const char *bytes, size_t size)
{
	if (scan->start > 0 || size < 2 || bytes[0] != '\r' || bytes[1] != '\n')
		return false;
	scan->start = scan->line = scan->at = 2;
	return true;
}

/* What can be refused before the head is complete, so that a stranger's protocol is not waited for. */
static enum result scan_request(struct h1_scan *scan, const char *bytes, size_t size, int *status)
{
	if (skips_empty_line(scan, bytes, size) && size == 2)
		return R_AGAIN;
	bool maybe_empty_line = scan->start == 0 && size == 1 && bytes[0] == '\r';
	if (size > scan->start && !maybe_empty_line && !http_char_is(bytes[scan->start], HTTP_CHAR_TOKEN))
		return refuse(status, 400);

	bool in_first_line = scan->line == scan->start;
	enum result result = R_AGAIN;
	if (in_first_line) {
		const char *feed = memchr(bytes + scan->at, '\n', size - scan->at);
		size_t line_size = (feed ? (size_t)(feed - bytes) : size) - scan->start;
		if (line_size > H1_FIRST_LINE_MAX)
			return refuse(status, 414);
	}
	result = h1_scan_head(scan, bytes, size, HTTP_HEAD_MAX);
	if (result == R_LIMIT)
		return refuse(status, 431);
	if (result == R_INVALID)
		return refuse(status, 400);
	return result;
}

/* Returns 0 or 1, what we read HTTP/1.x as (RFC 9110 section 2.5: a later minor version as the latest we
 * know); -1 for another version of HTTP, -2 for none. */
static int read_version(const char *at)
{
	if (memcmp(at, "HTTP/", 5) != 0 || !http_char_is(at[5], HTTP_CHAR_DIGIT) || at[6] != '.' ||
	    !http_char_is(at[7], HTTP_CHAR_DIGIT))
		return -2;
	if (at[5] != '1')
		return -1;
	return at[7] > '0' ? 1 : 0;
}

static const char *skip(const char *at, int kind)
{
	while (http_char_is(*at, kind))
		at++;
	return at;
}

/* Each stop byte is looked at before the next is, so nothing is read past the line's CR LF. */
static enum result read_request_line(struct http_head *head, const char **line, const char *end, int *status)
{
	const char *method = *line;
	const char *method_end = skip(method, HTTP_CHAR_TOKEN);

	if (method_end == method || *method_end != ' ')
		return refuse(status, 400);
	if (method_end - method > METHOD_MAX)
		return refuse(status, 501);
	const char *target = method_end + 1;
	const char *target_end = skip(target, HTTP_CHAR_TARGET);
	if (target_end == target || *target_end != ' ')
		return refuse(status, 400);
	if (target_end - target > HTTP_TARGET_MAX)
		return refuse(status, 414);
	const char *version = target_end + 1;
	if (end - version < 10 || version[8] != '\r' || version[9] != '\n')
		return refuse(status, 400);
	head->version = read_version(version);
	if (head->version < 0)
		return refuse(status, head->version == -1 ? 505 : 400);
	head->method = (struct http_slice){method, (size_t)(method_end - method)};
	head->target = (struct http_slice){target, (size_t)(target_end - target)};
	*line = version + 10;
	return R_OK;
}

/* At most one Host, exactly one in HTTP/1.1, and the same as the authority of an absolute-form. */
static enum result read_host(struct http_head *head)
{
	const struct http_field *host = NULL;

	for (size_t i = 0; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_HOST)
			continue;
		if (host)
			return R_INVALID;
		host = &head->fields[i];
	}
	if (!host)
		return head->version == HTTP_1_0 ? R_OK : R_INVALID;
	if (!http_host_is_valid(host->value))
		return R_INVALID;
	if (head->host.size > 0 && !http_slice_same(head->host, host->value))
		return R_INVALID;
	head->host = host->value;
	return R_OK;
}

static enum result read_expect(struct http_head *head, int *status)
{
	for (size_t i = 0; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_EXPECT || head->version == HTTP_1_0)
			continue;
		if (!http_slice_is(head->fields[i].value, "100-continue"))
			return refuse(status, 417);
		head->expects_continue = true;
	}
	return R_OK;
}

enum result h1_parse_request(
    struct http_head *head, struct h1_scan *scan, const char *bytes, size_t size, size_t *used, int *status)
{
	enum result result = scan_request(scan, bytes, size, status);

	if (result != R_OK)
		return result;
	const char *at = bytes + scan->start;
	const char *end = bytes + scan->at - 2;
	http_head_clear(head);
	if (read_request_line(head, &at, end, status) != R_OK)
		return R_INVALID;
	result = h1_read_fields(head, at, end, H1_REQUEST);
	if (result != R_OK)
		return refuse(status, result == R_LIMIT ? 431 : 400);
	if (http_slice_equal(head->method, "CONNECT"))
		return refuse(status, 501);
	if (http_target_read(head) != R_OK || read_host(head) != R_OK || h1_read_connection(head) != R_OK)
		return refuse(status, 400);
	result = h1_read_framing(head);
	if (result != R_OK)
		return refuse(status, result == R_DENIED ? 501 : 400);
	upgrade_read(head);
	*used = scan->at;
	return read_expect(head, status);
}

/* A server that leaves the reason out often leaves its space out, too; nobody reads anything else into that.
 */
static enum result read_status_line(struct http_head *head, const char **line, const char *end)
{
	const char *at = *line;

	if (end - at < 14)
		return R_INVALID;
	head->version = read_version(at);
	if (head->version < 0 || at[8] != ' ')
		return R_INVALID;
	for (int i = 9; i < 12; i++) {
		if (!http_char_is(at[i], HTTP_CHAR_DIGIT))
			return R_INVALID;
		head->status = head->status * 10 + (at[i] - '0');
	}
	if (head->status < 100 || head->status > 599)
		return R_INVALID;
	if (at[12] != ' ' && at[12] != '\r')
		return R_INVALID;
	const char *reason = at[12] == ' ' ? at + 13 : at + 12;
	const char *reason_end = skip(reason, HTTP_CHAR_VALUE);
	if (reason_end[0] != '\r' || reason_end[1] != '\n')
		return R_INVALID;
	head->reason = (struct http_slice){reason, (size_t)(reason_end - reason)};
	*line = reason_end + 2;
	return R_OK;
}

static enum result judge_response_body(struct http_head *head, bool to_head)
{
	bool never_has_one = head->status < 200 || head->status == 204;

	if (never_has_one && head->body == HTTP_BODY_CHUNKED)
		return R_INVALID;
	if (never_has_one || head->status == 304 || to_head)
		head->body = HTTP_BODY_NONE;
	else if (head->body == HTTP_BODY_NONE)
		head->body = HTTP_BODY_UNTIL_CLOSE;
	if (head->body == HTTP_BODY_UNTIL_CLOSE)
		head->keep_alive = false;
	return R_OK;
}

enum result h1_parse_response(
    struct http_head *head, struct h1_scan *scan, const char *bytes, size_t size, bool to_head, size_t *used)
{
	enum result result = h1_scan_head(scan, bytes, size, HTTP_HEAD_MAX);

	if (result != R_OK)
		return result == R_AGAIN ? R_AGAIN : R_INVALID;
	const char *at = bytes;
	const char *end = bytes + scan->at - 2;
	http_head_clear(head);
	if (read_status_line(head, &at, end) != R_OK || h1_read_fields(head, at, end, H1_RESPONSE) != R_OK ||
	    h1_read_framing(head) != R_OK || h1_read_connection(head) != R_OK)
		return R_INVALID;
	*used = scan->at;
	return judge_response_body(head, to_head);
}
