/*
 * The PROXY protocol's header, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt): who a
 * connection is from, in front of its bytes. Pure bytes; nothing is repaired.
 */
#ifndef EDGE_PROXY_PROTOCOL_H
#define EDGE_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/net/net.h"

enum {
	PROXY_V1_MAX = 107, /* bytes of a line with its CR LF, as the protocol has it */
	/* Of a version 2 header, where the protocol would allow 64 KiB. Load balancers send less than 200
	 * bytes; one that ends TLS may add a client's certificate subject. */
	PROXY_HEADER_MAX = 4096,
};

struct proxy_header {
	bool local; /* the connection is the proxy's own (a health check), or it does not know whose: the
		     * socket's addresses count, those here are not filled */
	struct net_address source, destination;
};

enum proxy_problem {
	PROXY_OK,
	PROXY_NO_HEADER, /* something else speaks here */
	PROXY_BAD_LINE,  /* version 1, malformed or too long */
	PROXY_BAD_VERSION,
	PROXY_BAD_COMMAND,
	PROXY_BAD_FAMILY,
	PROXY_BAD_LENGTH, /* too small for its addresses, or a TLV that does not fit */
	PROXY_TOO_LONG,
	PROXY_BAD_CHECKSUM,
};

/* R_OK: the header is bytes[0, *used). R_AGAIN: so far so good, and all of it belongs to the header.
 * R_INVALID: *problem says why. Feeding it byte by byte comes to the same as feeding it whole. */
enum result proxy_header_parse(
    struct proxy_header *out, const void *bytes, size_t size, size_t *used, enum proxy_problem *problem);

/* A static word for the metric: "proxy_checksum". */
const char *proxy_problem_name(enum proxy_problem problem);

#endif
