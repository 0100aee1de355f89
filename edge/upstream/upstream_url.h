/*
 * What `http://host[:port]`, `https://…` or `h2c://…` says of an upstream, in parts. Pure: looks nothing up.
 */
#ifndef EDGE_UPSTREAM_URL_H
#define EDGE_UPSTREAM_URL_H

#include <stdbool.h>

#include "common/net/net.h"

enum { UPSTREAM_HOST_MAX = 253, UPSTREAM_URL_MAX = 8 + UPSTREAM_HOST_MAX + 2 + 1 + 5 };

struct upstream_url {
	bool tls;
	bool h2c;                         /* HTTP/2 without TLS */
	char host[UPSTREAM_HOST_MAX + 1]; /* the brackets of an IPv6 address taken off */
	char port[6];
	char authority[UPSTREAM_HOST_MAX + 2 + 1 + 5 + 1]; /* as it was written */
};

/* `http://host[:port]`, https or h2c, a slash may follow. R_INVALID: the error says the mend. */
enum result upstream_url_parse(struct upstream_url *out, const char *text, struct error *error);
const char *upstream_url_scheme(const struct upstream_url *url);
/* False: the host is a name, to be looked up. */
bool upstream_url_address(const struct upstream_url *url, struct net_address *out);

#endif
