/*
 * Addresses and listening sockets, as every program needs them.
 */
#ifndef COMMON_NET_H
#define COMMON_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/base/result.h"

/* IPv4 or IPv6, and no larger than they need: each connection holds several. */
struct net_storage {
	union {
		sa_family_t ss_family;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

struct net_address {
	struct net_storage storage;
	socklen_t size;
};

enum { NET_ADDRESS_TEXT = 64 };

/* host:port, [v6]:port, :port (all interfaces, IPv6 with IPv4 mapped). A name is looked up (blocking). */
enum result net_parse_address(struct net_address *out, const char *text, struct error *error);
/* An IPv4 or IPv6 address alone, without port and brackets; `port` goes into *out. False: something else, a
 * name for example. Looks nothing up. */
bool net_read_host(struct net_address *out, const char *text, uint16_t port);
/* Checks the spelling only: looks nothing up. */
enum result net_check_address(const char *text, struct error *error);
/* "192.0.2.1:443"; an IPv4-mapped IPv6 address as IPv4. net_format_host leaves the port out. */
const char *net_format_address(const struct net_address *address, char text[NET_ADDRESS_TEXT]);
const char *net_format_host(const struct net_address *address, char text[NET_ADDRESS_TEXT]);
/* -1 where it is no IP address. */
int net_port(const struct net_address *address);
/* The address that a socket is bound to, once port 0 has become one. */
enum result net_local_address(int fd, struct net_address *out, struct error *error);
/* A bound, listening, non-blocking, close-on-exec TCP socket. `reuse_port`: SO_REUSEPORT. For all interfaces
 * on a machine without IPv6 it listens on 0.0.0.0. */
enum result net_listen(int *fd, const struct net_address *address, bool reuse_port, struct error *error);

#endif
