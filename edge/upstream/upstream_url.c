#include "edge/upstream/upstream_url.h"

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
	struct net_address address;

	if (bracketed)
		return net_read_host(&address, url->host, 0) && address.storage.ss_family == AF_INET6;
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

const char *upstream_url_scheme(const struct upstream_url *url)
{
	return url->tls ? "https" : url->h2c ? "h2c" : "http";
}

/* How long its `scheme://` is; 0: none that we speak. */
static size_t read_scheme(struct upstream_url *out, const char *text)
{
	static const struct upstream_url schemes[] = {{.tls = false}, {.tls = true}, {.h2c = true}};

	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
		const char *scheme = upstream_url_scheme(&schemes[i]);
		size_t size = strlen(scheme);

		*out = schemes[i];
		if (strncmp(text, scheme, size) == 0 && strncmp(text + size, "://", 3) == 0)
			return size + 3;
	}
	return 0;
}

enum result upstream_url_parse(struct upstream_url *out, const char *text, struct error *error)
{
	size_t scheme = read_scheme(out, text);
	const char *authority = text + scheme;
	size_t size = scheme > 0 ? strcspn(authority, "/?#") : 0;
	bool has_path = size > 0 && authority[size] != '\0' && strcmp(authority + size, "/") != 0;
	if (size > 0 && !has_path && split_authority(out, authority, size))
		return R_OK;
	error_set(error,
	    "`%s` is no upstream: write http://host:port, https://host:port or h2c://host:port, without a "
	    "path",
	    text);
	return R_INVALID;
}

bool upstream_url_address(const struct upstream_url *url, struct net_address *out)
{
	return net_read_host(out, url->host, (uint16_t)strtoul(url->port, NULL, 10));
}
