#include "edge/upstream/upstream_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
static const char digits[] = "0123456789";

static bool copy_part(char *out, size_t room, const char *from, size_t size)
{
	if (size == 0 || size >= room)
		return false;
	memcpy(out, from, size);
	out[size] = '\0';
	return true;
}

static bool read_port(struct upstream_url *url, const char *text, size_t size)
{
	if (size == 0)
		return copy_part(url->port, sizeof url->port, url->tls ? "443" : "80", url->tls ? 3 : 2);
	if (text[0] != ':' || !copy_part(url->port, sizeof url->port, text + 1, size - 1))
		return false;
	unsigned long port = strtoul(url->port, NULL, 10);
	return strspn(url->port, digits) == size - 1 && port > 0 && port <= UINT16_MAX;
}

static bool is_host(const struct upstream_url *url, bool bracketed)
{
	struct in6_addr v6;

	if (bracketed)
		return inet_pton(AF_INET6, url->host, &v6) == 1;
	return url->host[strspn(url->host, name_bytes)] == '\0';
}

static bool split_authority(struct upstream_url *url, const char *text, size_t size)
{
	bool bracketed = size > 0 && text[0] == '[';
	const char *host = bracketed ? text + 1 : text;
	const char *host_end = bracketed ? memchr(text, ']', size) : memchr(text, ':', size);

	if (bracketed && !host_end)
		return false;
	size_t host_size = host_end ? (size_t)(host_end - host) : size;
	const char *rest = host + host_size + (bracketed ? 1 : 0);
	return copy_part(url->host, sizeof url->host, host, host_size) && is_host(url, bracketed) &&
	       read_port(url, rest, size - (size_t)(rest - text)) &&
	       copy_part(url->authority, sizeof url->authority, text, size);
}

enum result upstream_url_parse(struct upstream_url *out, const char *text, struct error *error)
{
	bool tls = strncmp(text, "https://", 8) == 0;
	bool plain = strncmp(text, "http://", 7) == 0;
	const char *authority = text + (tls ? 8 : 7);

	*out = (struct upstream_url){.tls = tls};
	size_t size = tls || plain ? strcspn(authority, "/?#") : 0;
	bool has_path = size > 0 && authority[size] != '\0' && strcmp(authority + size, "/") != 0;
	if (size > 0 && !has_path && split_authority(out, authority, size))
		return R_OK;
	error_set(
	    error, "`%s` is no upstream: write http://host:port or https://host:port, without a path", text);
	return R_INVALID;
}

bool upstream_url_address(const struct upstream_url *url, struct net_address *out)
{
	in_port_t port = htons((uint16_t)strtoul(url->port, NULL, 10));
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, url->host, &v4.sin_addr) == 1) {
		out->size = sizeof v4;
		memcpy(&out->storage, &v4, sizeof v4);
		return true;
	}
	if (inet_pton(AF_INET6, url->host, &v6.sin6_addr) != 1)
		return false;
	out->size = sizeof v6;
	memcpy(&out->storage, &v6, sizeof v6);
	return true;
}
