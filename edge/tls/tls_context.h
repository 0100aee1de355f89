/*
 * How this node speaks TLS: one SSL_CTX per worker, in the worker's own library context, without any
 * certificate. Each connection installs its own by reference and tells, in a struct tls_session, under which
 * name it came.
 */
#ifndef EDGE_TLS_CONTEXT_H
#define EDGE_TLS_CONTEXT_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/result.h"
#include "edge/tls/client_hello.h"
#include "edge/tls/ticket_keys.h"

struct tls_context;

/* What the callbacks need to know of their connection; outlives the SSL's handshake. */
struct tls_session {
	const char *name; /* normalised SNI: what a ticket is bound to, together with the certificate's
			   * version: after a replacement everybody is shown the new one */
	int64_t version;
	const struct client_hello *hello; /* a second hello (after HelloRetryRequest) must ask for the same */
	bool http2;                       /* may be chosen */
	bool challenge;                   /* tls-alpn-01: speaks acme-tls/1 only, gets no ticket */
	bool no_ticket;     /* its name is not what the client asked for: gets none, and none is taken */
	bool hello_changed; /* set when a handshake failed for that reason */
};

/* `keys` (borrowed) may be shared with other threads, the rest belongs to the worker. */
struct tls_context *tls_context_new(OSSL_LIB_CTX *libctx, struct ticket_keys *keys, struct error *error);
void tls_context_free(struct tls_context *context);

/* A server's SSL over the socket, with `prefix` (borrowed) as the bytes that were read already. `session` is
 * borrowed until the handshake is over. NULL: out of memory. */
SSL *tls_context_accept(
    struct tls_context *context, struct tls_session *session, int fd, const void *prefix, size_t prefix_size);

/* The handshake is over: what only it has needed goes, the ephemeral keys before all, with which the
 * connection's secrets could be found. */
void tls_context_accepted(SSL *ssl);

/* What a failed handshake failed on, out of OpenSSL's error queue, which is emptied: a word for the metric.
 */
const char *tls_context_failure(const struct tls_session *session, int ssl_error);

#endif
