#include "edge/http/http_target.h"

#include <string.h>

#include "edge/http/http_chars.h"

static bool has_prefix(struct http_slice slice, const char *prefix)
{
	size_t size = strlen(prefix);

	return slice.size >= size && http_slice_is((struct http_slice){slice.bytes, size}, prefix);
}

static enum result split_absolute(struct http_head *head, size_t scheme_size)
{
	struct http_slice rest = {head->target.bytes + scheme_size, head->target.size - scheme_size};
	size_t size = 0;

	while (size < rest.size && rest.bytes[size] != '/' && rest.bytes[size] != '?')
		size++;
	head->host = (struct http_slice){rest.bytes, size};
	if (!http_host_is_valid(head->host))
		return R_INVALID;
	head->target = (struct http_slice){rest.bytes + size, rest.size - size};
	if (head->target.size == 0)
		head->target = http_slice_of(http_slice_equal(head->method, "OPTIONS") ? "*" : "/");
	return R_OK;
}

enum result http_target_read(struct http_head *head)
{
	struct http_slice target = head->target;

	if (target.size > 0 && target.bytes[0] == '/')
		return R_OK;
	if (http_slice_equal(target, "*"))
		return http_slice_equal(head->method, "OPTIONS") ? R_OK : R_INVALID;
	if (has_prefix(target, "http://"))
		return split_absolute(head, 7);
	if (has_prefix(target, "https://"))
		return split_absolute(head, 8);
	return R_INVALID;
}

struct http_slice http_host_name(struct http_slice host)
{
	size_t size = 0;

	if (host.size > 0 && host.bytes[0] == '[')
		while (size < host.size && host.bytes[size] != ']')
			size++;
	while (size < host.size && host.bytes[size] != ':')
		size++;
	return (struct http_slice){host.bytes, size};
}

static bool is_port(struct http_slice port)
{
	unsigned number = 0;

	if (port.size > 5)
		return false;
	for (size_t i = 0; i < port.size; i++) {
		if (!http_char_is(port.bytes[i], HTTP_CHAR_DIGIT))
			return false;
		number = number * 10 + (unsigned)(port.bytes[i] - '0');
	}
	return number <= 65535;
}

static bool is_bracketed_address(struct http_slice name)
{
	if (name.size < 4 || name.bytes[name.size - 1] != ']')
		return false;
	for (size_t i = 1; i < name.size - 1; i++)
		if (!http_char_is(name.bytes[i], HTTP_CHAR_HEX) && name.bytes[i] != ':' &&
		    name.bytes[i] != '.')
			return false;
	return true;
}

bool http_host_is_valid(struct http_slice host)
{
	struct http_slice name = http_host_name(host);

	if (name.size == 0 || name.size > HTTP_HOST_MAX)
		return false;
	if (name.size < host.size &&
	    !is_port((struct http_slice){name.bytes + name.size + 1, host.size - name.size - 1}))
		return false;
	if (name.bytes[0] == '[')
		return is_bracketed_address(name);
	for (size_t i = 0; i < name.size; i++)
		if (!http_char_is(name.bytes[i], HTTP_CHAR_HOST))
			return false;
	return true;
}

enum result http_host_normalise(struct hostname *out, struct http_slice host)
{
	struct http_slice name = http_host_name(host);

	return hostname_parse_sni(out, name.bytes, name.size) == HOSTNAME_OK ? R_OK : R_INVALID;
}
