#include "edge/http/upgrade.h"

/* In the tunnel nobody takes out what a client claims to be: it must not be HTTP, nor TLS with HTTP in it
 * (RFC 2817), nor HTTP/2 (RFC 9113 section 3.1 has done away with h2c). */
static bool is_http_again(struct http_slice name)
{
	return http_slice_is(name, "h2c") || http_slice_is(name, "h2") || http_slice_is(name, "h3") ||
	       http_slice_is(name, "http") || http_slice_is(name, "https") || http_slice_is(name, "tls");
}

/* protocol-name [ "/" protocol-version ] */
static bool read_protocol(struct http_slice protocol, struct http_slice *name)
{
	size_t size = 0;

	while (size < protocol.size && protocol.bytes[size] != '/')
		size++;
	*name = (struct http_slice){protocol.bytes, size};
	if (size == protocol.size)
		return http_slice_is_token(*name);
	const struct http_slice version = {protocol.bytes + size + 1, protocol.size - size - 1};
	return http_slice_is_token(*name) && http_slice_is_token(version);
}

/* The value of the only Upgrade field; empty where there is none, or more than one. */
static struct http_slice only_value(const struct http_head *head)
{
	struct http_slice value = {.size = 0};
	size_t count = 0;

	for (size_t i = 0; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_UPGRADE)
			continue;
		value = head->fields[i].value;
		count++;
	}
	return count == 1 && value.size <= UPGRADE_MAX ? value : (struct http_slice){.size = 0};
}

static bool may_be_asked_for(struct http_slice list)
{
	struct http_slice protocol;
	struct http_slice name;
	size_t count = 0;

	while (http_list_next(&list, &protocol))
		if (!read_protocol(protocol, &name) || is_http_again(name) || ++count > UPGRADE_PROTOCOLS_MAX)
			return false;
	return count > 0;
}

void upgrade_read(struct http_head *head)
{
	bool has_body = head->body == HTTP_BODY_CHUNKED || head->content_length > 0;

	if (!head->lists_upgrade || head->version == HTTP_1_0 || has_body)
		return;
	const struct http_slice value = only_value(head);
	if (!may_be_asked_for(value))
		return;
	head->upgrade = value;
}

static bool is_listed(struct http_slice protocol, struct http_slice list)
{
	struct http_slice member;

	while (http_list_next(&list, &member))
		if (http_slice_same(member, protocol))
			return true;
	return false;
}

bool upgrade_accept(struct http_head *answer, const char *asked)
{
	const struct http_slice value = only_value(answer);
	struct http_slice list = value;
	struct http_slice protocol;
	size_t count = 0;

	while (http_list_next(&list, &protocol)) {
		if (!is_listed(protocol, http_slice_of(asked)))
			return false;
		count++;
	}
	if (count == 0 || answer->content_length > 0)
		return false;
	answer->upgrade = value;
	answer->body = HTTP_BODY_TUNNEL;
	return true;
}
