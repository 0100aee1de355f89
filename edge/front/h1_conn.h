/*
 * An HTTP/1.1 connection from a client: reads requests, hands each to an exchange, writes the responses in
 * order. It owns the stream from the moment it is made until on_closed.
 */
#ifndef EDGE_H1_CONN_H
#define EDGE_H1_CONN_H

#include "edge/front/http_conn.h"

/* As http_conn_new. */
struct http_conn *h1_conn_new(struct worker *worker, struct stream *stream, const struct conn_peer *peer,
    void (*on_closed)(void *owner), void *owner);

#endif
