/*
 * A socket on its way to an upstream address: opened without waiting, and asked what became of it once it can
 * be written to.
 */
#ifndef EDGE_UPSTREAM_SOCKET_H
#define EDGE_UPSTREAM_SOCKET_H

#include "edge/upstream/upstream_address.h"

/* Non-blocking, close-on-exec, without delay for small pieces. -1: *failure tells why. */
int upstream_socket_open(const struct net_address *address, enum upstream_failure *failure);
/* UPSTREAM_FAILURE_COUNT: it is connected. */
enum upstream_failure upstream_socket_failure(int fd);

#endif
