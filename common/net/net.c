#include "common/net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOST_MAX = 253, BACKLOG = 4096 };

/* host:port taken apart; `host` is empty for `:port`, and without its brackets for [v6]:port. */
struct parts {
	char host[HOST_MAX + 1];
	uint16_t port;
};

static bool parse_port(uint16_t *port, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return false;
	unsigned long value = strtoul(text, NULL, 10);
	*port = (uint16_t)value;
	return value <= UINT16_MAX;
}

bool net_read_host(struct net_address *out, const char *text, uint16_t port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		out->storage.v4 = v4;
		out->size = sizeof v4;
	} else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		out->storage.v6 = v6;
		out->size = sizeof v6;
	}
	return out->size > 0;
}

static bool is_ipv6(const char *host)
{
	struct net_address address;
	return net_read_host(&address, host, 0) && address.storage.ss_family == AF_INET6;
}

static enum result split(struct parts *out, const char *text, struct error *error)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = text[0] == '[' && colon != NULL && colon > text && colon[-1] == ']';
	const char *host = text + (bracketed ? 1 : 0);
	size_t size = colon == NULL ? 0 : (size_t)(colon - host) - (bracketed ? 1 : 0);
	if (colon == NULL || !parse_port(&out->port, colon + 1)) {
		error_set(error,
		    "`%s` is not an address: write host:port, [IPv6]:port or :port, the port from 0 to 65535",
		    text);
		return R_INVALID;
	}
	if (size > HOST_MAX) {
		error_set(error, "the host is longer than %d bytes", HOST_MAX);
		return R_INVALID;
	}
	memcpy(out->host, host, size);
	out->host[size] = '\0';
	bool needs_brackets = strchr(out->host, ':') != NULL;
	if (bracketed ? !is_ipv6(out->host) : needs_brackets) {
		error_set(error,
		    "`%s` is not an address: an IPv6 address stands in brackets, as in [::1]:443", text);
		return R_INVALID;
	}
	if (!bracketed &&
	    strspn(out->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != size) {
		error_set(error, "`%s` is not an address: its host holds a byte that no host name has", text);
		return R_INVALID;
	}
	return R_OK;
}

enum result net_check_address(const char *text, struct error *error)
{
	struct parts parts;
	return split(&parts, text, error);
}

static void set_all_interfaces(struct net_address *out, uint16_t port)
{
	struct sockaddr_in6 any = {
	    .sin6_family = AF_INET6, .sin6_addr = in6addr_any, .sin6_port = htons(port)};
	memcpy(&out->storage, &any, sizeof any);
	out->size = sizeof any;
}

static enum result look_up(struct net_address *out, const struct parts *parts, struct error *error)
{
	char port[8];
	snprintf(port, sizeof port, "%u", parts->port);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	int code = getaddrinfo(parts->host, port, &hints, &found);
	if (code != 0) {
		error_set(error, "cannot look up `%s`: %s", parts->host,
		    code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
		return code == EAI_AGAIN ? R_DOWN : R_INVALID;
	}
	memcpy(&out->storage, found->ai_addr, found->ai_addrlen);
	out->size = found->ai_addrlen;
	freeaddrinfo(found);
	return R_OK;
}

enum result net_parse_address(struct net_address *out, const char *text, struct error *error)
{
	memset(out, 0, sizeof *out);
	struct parts parts;
	enum result result = split(&parts, text, error);
	if (result != R_OK)
		return result;
	if (parts.host[0] != '\0')
		return look_up(out, &parts, error);
	set_all_interfaces(out, parts.port);
	return R_OK;
}

/* Writes the host, IPv6 in brackets where `brackets`; returns the port, or -1 where it is no IP address. */
static int format_host(const struct net_address *address, bool brackets, char text[NET_ADDRESS_TEXT])
{
	if (address->storage.ss_family == AF_INET) {
		struct sockaddr_in v4;
		memcpy(&v4, &address->storage, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, text, NET_ADDRESS_TEXT);
		return ntohs(v4.sin_port);
	}
	if (address->storage.ss_family != AF_INET6) {
		snprintf(text, NET_ADDRESS_TEXT, "-");
		return -1;
	}
	struct sockaddr_in6 v6;
	memcpy(&v6, &address->storage, sizeof v6);
	char host[INET6_ADDRSTRLEN];
	if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
		inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, NET_ADDRESS_TEXT);
	} else {
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
		snprintf(text, NET_ADDRESS_TEXT, brackets ? "[%s]" : "%s", host);
	}
	return ntohs(v6.sin6_port);
}

const char *net_format_host(const struct net_address *address, char text[NET_ADDRESS_TEXT])
{
	format_host(address, false, text);
	return text;
}

const char *net_format_address(const struct net_address *address, char text[NET_ADDRESS_TEXT])
{
	int port = format_host(address, true, text);
	size_t used = strlen(text);
	if (port >= 0)
		snprintf(text + used, NET_ADDRESS_TEXT - used, ":%d", port);
	return text;
}

int net_port(const struct net_address *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (address->size > 0 ? address->storage.ss_family : AF_UNSPEC) {
	case AF_INET: memcpy(&v4, &address->storage, sizeof v4); return ntohs(v4.sin_port);
	case AF_INET6: memcpy(&v6, &address->storage, sizeof v6); return ntohs(v6.sin6_port);
	}
	return -1;
}

enum result net_local_address(int fd, struct net_address *out, struct error *error)
{
	memset(out, 0, sizeof *out);
	out->size = sizeof out->storage;
	if (getsockname(fd, (struct sockaddr *)&out->storage, &out->size) == 0)
		return R_OK;
	error_set(error, "cannot tell the socket's address: %s", strerror(errno));
	return R_ERROR;
}

static bool is_all_interfaces_v6(const struct net_address *address)
{
	struct sockaddr_in6 v6;
	if (address->storage.ss_family != AF_INET6)
		return false;
	memcpy(&v6, &address->storage, sizeof v6);
	return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

/* A listening socket, or -1 with errno set. */
static int open_listener(const struct net_address *address, bool reuse_port)
{
	int family = address->storage.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	const int on = 1, off = 0;
	bool ready = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
	if (ready && reuse_port)
		ready = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
	if (ready && family == AF_INET6)
		ready = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
	if (ready && bind(fd, (const struct sockaddr *)&address->storage, address->size) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int open_listener_v4_instead(const struct net_address *address, bool reuse_port)
{
	struct sockaddr_in6 v6;
	memcpy(&v6, &address->storage, sizeof v6);
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = v6.sin6_port};
	struct net_address v4 = {.size = sizeof any};
	memcpy(&v4.storage, &any, sizeof any);
	return open_listener(&v4, reuse_port);
}

static const char *mend_of(int code)
{
	switch (code) {
	case EADDRINUSE:
		return "address in use: another program listens there; stop it or choose another port";
	case EACCES:
	case EPERM: return "permission denied: ports below 1024 need root or CAP_NET_BIND_SERVICE";
	case EADDRNOTAVAIL: return "no interface of this machine has that address";
	case EAFNOSUPPORT:
		return "this machine has no such address family; write 0.0.0.0:port for IPv4 alone";
	case EMFILE:
	case ENFILE: return "too many open files; raise the limit (LimitNOFILE, ulimit -n)";
	default: return strerror(code);
	}
}

enum result net_listen(int *fd, const struct net_address *address, bool reuse_port, struct error *error)
{
	*fd = open_listener(address, reuse_port);
	bool no_ipv6 = *fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
	if (no_ipv6 && is_all_interfaces_v6(address))
		*fd = open_listener_v4_instead(address, reuse_port);
	if (*fd >= 0)
		return R_OK;
	int code = errno;
	char text[NET_ADDRESS_TEXT];
	error_set(error, "cannot listen on %s: %s", net_format_address(address, text), mend_of(code));
	return R_ERROR;
}
