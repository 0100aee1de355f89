#include "edge/upstream/proxy_protocol_write.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static const unsigned char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

enum {
	VERSION_LOCAL = 0x20,
	VERSION_PROXY = 0x21,
	TCP_V4 = 0x11,
	TCP_V6 = 0x21,
	HEADER = 16,
	TYPE_AUTHORITY = 0x02
};

/* Any address as IPv6, mapped where it is IPv4; port in network order. */
struct wide {
	struct in6_addr ip;
	in_port_t port;
};

static struct wide widen(const struct net_address *address)
{
	struct wide wide = {.port = 0};

	if (address->storage.ss_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, &address->storage, sizeof v6);
		return (struct wide){.ip = v6.sin6_addr, .port = v6.sin6_port};
	}
	wide.ip.s6_addr[10] = wide.ip.s6_addr[11] = 0xff;
	if (address->storage.ss_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, &address->storage, sizeof v4);
		memcpy(&wide.ip.s6_addr[12], &v4.sin_addr, 4);
		wide.port = v4.sin_port;
	}
	return wide;
}

static size_t put(unsigned char *out, size_t at, const void *bytes, size_t size)
{
	memcpy(out + at, bytes, size);
	return at + size;
}

static size_t write_addresses(unsigned char *out, const struct wide *from, const struct wide *to)
{
	bool is_v4 = IN6_IS_ADDR_V4MAPPED(&from->ip) && IN6_IS_ADDR_V4MAPPED(&to->ip);
	size_t skipped = is_v4 ? 12 : 0;
	size_t at = HEADER;

	out[13] = is_v4 ? TCP_V4 : TCP_V6;
	at = put(out, at, from->ip.s6_addr + skipped, sizeof from->ip - skipped);
	at = put(out, at, to->ip.s6_addr + skipped, sizeof to->ip - skipped);
	at = put(out, at, &from->port, sizeof from->port);
	return put(out, at, &to->port, sizeof to->port);
}

size_t proxy_v2_write(
    unsigned char out[PROXY_V2_MAX], const struct net_address *client, const struct net_address *local)
{
	size_t size = HEADER;

	memset(out, 0, PROXY_V2_MAX);
	memcpy(out, signature, sizeof signature);
	out[12] = client ? VERSION_PROXY : VERSION_LOCAL;
	if (client) {
		struct wide from = widen(client);
		struct wide to = widen(local);

		size = write_addresses(out, &from, &to);
	}
	out[15] = (unsigned char)(size - HEADER);
	return size;
}

size_t proxy_v2_add_authority(unsigned char *out, size_t size, const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > PROXY_V2_AUTHORITY_MAX - 3)
		return size;
	const unsigned char head[] = {TYPE_AUTHORITY, 0, (unsigned char)length};
	size = put(out, size, head, sizeof head);
	size = put(out, size, name, length);
	out[14] = (unsigned char)((size - HEADER) >> 8);
	out[15] = (unsigned char)(size - HEADER);
	return size;
}
