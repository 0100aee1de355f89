/*
 * May a connection whose certificate was chosen for one name carry requests for another? Browsers do that
 * where the certificate covers both; tenants must never meet that way.
 */
#ifndef EDGE_SHARED_HOST_H
#define EDGE_SHARED_HOST_H

#include <openssl/types.h>

#include "edge/site/site_cache.h"

/* The site of `host` (normalised) as a reference for the caller, where it is in the cache, belongs to the
 * same tenant as that of `sni`, is covered by the connection's certificate and takes its version of TLS.
 * NULL: 421; the client comes back with a handshake for that name, which also brings it into the cache. */
struct site *shared_host_find(struct site_cache *sites, const char *sni, const char *host, const SSL *ssl);

#endif
