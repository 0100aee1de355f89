/*
 * What a request gets, decided from its head alone: the upstream, an http-01 answer, a redirect to https, or
 * an answer of ours. Pure.
 */
#ifndef EDGE_ROUTE_H
#define EDGE_ROUTE_H

#include "common/net/hostname.h"
#include "edge/http/http_msg.h"

enum route_action {
	ROUTE_UPSTREAM,
	ROUTE_CHALLENGE, /* look the token up; where there is none: 404 on port 80, the upstream behind TLS */
	ROUTE_SHARED,    /* the upstream, if the connection may be used for `host` too; else 421 */
	ROUTE_REDIRECT,  /* 308 to https://host and the same target */
	ROUTE_ANSWER,    /* `status`, by ourselves */
};

enum { ROUTE_TOKEN_MAX = 256 };

struct route {
	enum route_action action;
	int status;
	struct hostname host;            /* normalised; with CHALLENGE, SHARED and REDIRECT */
	char token[ROUTE_TOKEN_MAX + 1]; /* with CHALLENGE */
};

/* `sni` is the handshake's normalised name; NULL on port 80. */
void route_request(struct route *route, const struct http_head *head, const char *sni);

#endif
