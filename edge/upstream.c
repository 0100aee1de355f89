#include "edge/upstream.h"

#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char *const failure_names[UPSTREAM_FAILURE_COUNT] = {
    [UPSTREAM_REFUSED] = "refused",
    [UPSTREAM_CONNECT_TIMEOUT] = "connect_timeout",
    [UPSTREAM_CLOSED] = "closed",
    [UPSTREAM_TIMEOUT] = "timeout",
    [UPSTREAM_MALFORMED] = "malformed",
};

const char *upstream_failure_name(enum upstream_failure failure)
{
	return failure_names[failure];
}

/* host and port of `http://host[:port][/]`, the brackets of an IPv6 address taken off. */
struct place {
	char host[256];
	char port[8];
};

static bool copy_part(char *out, size_t room, const char *from, size_t size)
{
	if (size == 0 || size >= room)
		return false;
	memcpy(out, from, size);
	out[size] = '\0';
	return true;
}

static bool split_authority(struct place *place, const char *text, size_t size)
{
	bool bracketed = size > 0 && text[0] == '[';
	const char *host_end = bracketed ? memchr(text, ']', size) : memchr(text, ':', size);
	const char *host = bracketed ? text + 1 : text;

	if (bracketed && !host_end)
		return false;
	size_t host_size = host_end ? (size_t)(host_end - host) : size;
	const char *rest = host + host_size + (bracketed ? 1 : 0);
	size_t rest_size = size - (size_t)(rest - text);
	if (!copy_part(place->host, sizeof place->host, host, host_size))
		return false;
	if (rest_size == 0)
		return copy_part(place->port, sizeof place->port, "80", 2);
	return rest[0] == ':' && strspn(rest + 1, "0123456789") >= rest_size - 1 &&
	       copy_part(place->port, sizeof place->port, rest + 1, rest_size - 1) &&
	       strtoul(place->port, NULL, 10) <= UINT16_MAX;
}

static enum result split_url(struct place *place, const char *url, struct error *error)
{
	static const char scheme[] = "http://";

	if (strncmp(url, "https://", 8) == 0) {
		error_set(error, "`%s`: upstreams over TLS are not supported; write http://host:port", url);
		return R_INVALID;
	}
	const char *authority = url + sizeof scheme - 1;
	size_t size = strncmp(url, scheme, sizeof scheme - 1) == 0 ? strcspn(authority, "/?#") : 0;
	bool has_path = size > 0 && authority[size] != '\0' && strcmp(authority + size, "/") != 0;
	if (size == 0 || has_path || !split_authority(place, authority, size)) {
		error_set(error, "`%s` is no upstream: write http://host:port, without a path", url);
		return R_INVALID;
	}
	return R_OK;
}

static bool holds(const struct upstream_list *list, const struct addrinfo *found)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->addresses[i].address.size == found->ai_addrlen &&
		    memcmp(&list->addresses[i].address.storage, found->ai_addr, found->ai_addrlen) == 0)
			return true;
	return false;
}

static enum result add_address(
    struct upstream_list *list, const struct addrinfo *found, const char *url, struct error *error)
{
	if (holds(list, found))
		return R_OK;
	if (list->count == UPSTREAM_ADDRESSES_MAX) {
		error_set(
		    error, "`%s`: more than %d addresses in all upstreams", url, UPSTREAM_ADDRESSES_MAX);
		return R_LIMIT;
	}
	struct upstream_address *one = &list->addresses[list->count++];
	memset(one, 0, sizeof *one);
	memcpy(&one->address.storage, found->ai_addr, found->ai_addrlen);
	one->address.size = found->ai_addrlen;
	net_format_address(&one->address, one->text);
	return R_OK;
}

enum result upstream_list_add(struct upstream_list *list, const char *url, struct error *error)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	struct place place;

	if (split_url(&place, url, error) != R_OK)
		return R_INVALID;
	int code = getaddrinfo(place.host, place.port, &hints, &found);
	if (code != 0) {
		error_set(error, "`%s`: cannot look up `%s`: %s", url, place.host, gai_strerror(code));
		return R_INVALID;
	}
	enum result result = R_OK;
	for (const struct addrinfo *one = found; one && result == R_OK; one = one->ai_next)
		result = add_address(list, one, url, error);
	freeaddrinfo(found);
	return result;
}
