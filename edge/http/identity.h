/*
 * Who a request is from: the client's address, through the CDNs that we believe, the request's id, and how
 * RFC 7239 writes it. Decided for each request from its head and its connection, before forward takes out
 * what the client claims.
 */
#ifndef EDGE_IDENTITY_H
#define EDGE_IDENTITY_H

#include "common/net/net.h"
#include "edge/http/http_msg.h"
#include "edge/http/http_target.h"
#include "edge/http/request_id.h"
#include "edge/trust.h"

enum {
	IDENTITY_ID_MAX = 64,   /* bytes of a request id that is kept */
	IDENTITY_HOPS_MAX = 32, /* members of X-Forwarded-For that are looked at, from the right */
	IDENTITY_LOOPS_MAX = 3, /* times that a request may pass this node, as Via tells */
	/* for="[v6]";host="name:port";proto=https */
	IDENTITY_FORWARDED_SIZE = NET_ADDRESS_TEXT + HTTP_HOST_MAX + 48,
};

/* The address of the client, as text without port. `peer`, from which the request came, is one of our CDNs:
 * X-Forwarded-For is walked from the right to the first address that is none; what cannot be read ends the
 * walk at the last address before it. Forwarded is not read: two lists could disagree, and CDNs send this
 * one. */
void identity_client(char out[NET_ADDRESS_TEXT], const struct http_head *head, const struct net_address *peer,
    const struct ip_ranges *cdns);

/* The one X-Request-Id of at most IDENTITY_ID_MAX letters, digits and -._~+/=:@, else a new one. */
void identity_request_id(char out[IDENTITY_ID_MAX + 1], const struct http_head *head);

/* Has it passed us so often that it goes round in circles? */
bool identity_is_loop(const struct http_head *head, const struct trust *trust);

/* A value of Forwarded; returns `out`. `host` was checked by http_host_is_valid, so that it can be quoted as
 * it is. */
const char *identity_forwarded(
    char out[IDENTITY_FORWARDED_SIZE], const char *client, struct http_slice host, bool tls);

#endif
