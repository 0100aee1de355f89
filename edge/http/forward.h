/*
 * Which fields pass an intermediary, which stop here, and which are ours to set (RFC 9110 section 7.6.1).
 * Turns a head as it was received into the one to send; framing fields are taken out, since the writer of the
 * next hop sets them from `body`.
 */
#ifndef EDGE_FORWARD_H
#define EDGE_FORWARD_H

#include "edge/http/http_msg.h"

/* Who the client really is, and who we are (identity.h makes it). Borrowed by the head that forward_request
 * has changed. */
struct forward_identity {
	const char *client;     /* address without port */
	const char *sni;        /* for a request without Host (HTTP/1.0) */
	const char *port;       /* that the client came to */
	const char *forwarded;  /* a whole value of Forwarded (RFC 7239) */
	const char *request_id; /* the one that was sent, or a new one */
	const char *via;        /* our member of Via; empty: none */
	bool tls;
};

/* Takes out hop-by-hop fields, those that Connection lists, and every claim of identity; sets
 * X-Forwarded-For, -Proto, -Host and -Port, X-Real-IP, Forwarded, X-Request-Id and Via. Host stays byte for
 * byte; Max-Forwards of OPTIONS, which is not 0, is counted down. Upgrade is set anew from head->upgrade,
 * with the Connection that belongs to it. */
void forward_request(struct http_head *head, const struct forward_identity *identity);
/* Content-Length stays where it describes a body that does not come (HEAD, 304). Of a tunnel's 101 Upgrade is
 * set anew; its Connection is the front end's. */
void forward_response(struct http_head *head);
/* Takes out what would have another meaning than its sender could give it behind the body (RFC 9110
 * section 6.5.1). */
void forward_trailers(struct http_head *trailers);

#endif
