/*
 * An HTTP/2 connection from a client: its frames, by nghttp2, become requests that run side by side, and
 * their responses share the connection by urgency. It owns the stream from the moment it is made until
 * on_closed.
 */
#ifndef EDGE_H2_CONN_H
#define EDGE_H2_CONN_H

#include "edge/front/http_conn.h"

/* As http_conn_new; the handshake has chosen `h2`. */
struct http_conn *h2_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner);

#endif
