/*
 * How a worker speaks TLS to upstreams: one SSL_CTX in its own library context, which verifies the chain and
 * the name. Always verified: there is no setting that turns it off.
 */
#ifndef EDGE_UPSTREAM_TLS_H
#define EDGE_UPSTREAM_TLS_H

#include <openssl/ssl.h>

#include "edge/upstream/upstream_config.h"

struct upstream_tls;

/* `libctx` NULL: the default. Copies what it needs of `config`. */
struct upstream_tls *upstream_tls_new(
    OSSL_LIB_CTX *libctx, const struct upstream_config *config, struct error *error);
void upstream_tls_free(struct upstream_tls *tls);

/* A client's SSL without a socket, which offers HTTP/1.1 and, if asked to, HTTP/2 before it. `*session` (may
 * be NULL) is resumed, and replaced by each ticket that comes: it outlives the SSL and is freed by
 * SSL_SESSION_free. NULL: out of memory, or a name that cannot be verified. */
SSL *upstream_tls_connect(
    struct upstream_tls *tls, const char *server_name, SSL_SESSION **session, bool http2);
/* Why the handshake failed, for a person; empties OpenSSL's error queue. */
void upstream_tls_describe(const SSL *ssl, struct error *error);

#endif
