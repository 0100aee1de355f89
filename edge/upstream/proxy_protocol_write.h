/*
 * The header of the PROXY protocol, version 2, that tells the receiver of a connection whose it is. The
 * counterpart, which reads it from a load balancer, is proxy_protocol.
 */
#ifndef EDGE_PROXY_PROTOCOL_WRITE_H
#define EDGE_PROXY_PROTOCOL_WRITE_H

#include <stddef.h>

#include "common/net/net.h"

enum { PROXY_V2_MAX = 16 + 36, PROXY_V2_AUTHORITY_MAX = 3 + 255 };

/* Returns the size. `client` NULL: a connection of our own (LOCAL), a health check. IPv4-mapped addresses are
 * written as IPv4 where both are; where only one is IPv6 both are. */
size_t proxy_v2_write(
    unsigned char out[PROXY_V2_MAX], const struct net_address *client, const struct net_address *local);

/* Adds the name that the client asked for (type PP2_TYPE_AUTHORITY, 255 bytes at most; empty: nothing) to a
 * header of `size` bytes with room for PROXY_V2_AUTHORITY_MAX more. Returns the size now. */
size_t proxy_v2_add_authority(unsigned char *out, size_t size, const char *name);

#endif
