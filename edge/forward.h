/*
 * Which fields pass an intermediary, which stop here, and which are ours to set (RFC 9110 section 7.6.1).
 * Turns a head as it was received into the one to send; framing fields are taken out, since the writer of the
 * next hop sets them from `body`.
 */
#ifndef EDGE_FORWARD_H
#define EDGE_FORWARD_H

#include "edge/http_msg.h"

/* Who the client really is. Borrowed by the head that forward_request has changed. */
struct forward_identity {
	const char *client; /* address without port */
	const char *sni;    /* for a request without Host (HTTP/1.0) */
	bool tls;
};

/* Takes out hop-by-hop fields, those that Connection lists, and every claim of identity; sets
 * X-Forwarded-For, -Proto and -Host from the peer. Host stays byte for byte. */
void forward_request(struct http_head *head, const struct forward_identity *identity);
/* Content-Length stays where it describes a body that does not come (HEAD, 304). */
void forward_response(struct http_head *head);
/* Takes out what would have another meaning than its sender could give it behind the body (RFC 9110
 * section 6.5.1). */
void forward_trailers(struct http_head *trailers);

#endif
