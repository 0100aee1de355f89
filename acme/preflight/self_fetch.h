/*
 * Does a request for a challenge, sent to an address as a CA would send it, reach one of our edges? It may be
 * somebody else's (a CDN that passes requests on), so a guard keeps it away from what is not public.
 *
 * One exchange of SELF_FETCH_MS at most, 5 redirects, 512 bytes of body; ports 80 and 443 and the one given.
 */
#ifndef ACME_SELF_FETCH_H
#define ACME_SELF_FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "common/dns/resolver.h"

enum { SELF_FETCH_MS = 3000, SELF_FETCH_CONNECT_MS = 1500 };

enum self_fetch {
	SELF_FETCH_US,        /* our edge answered */
	SELF_FETCH_STRANGER,  /* somebody answered, or refused to */
	SELF_FETCH_NO_ANSWER, /* nobody did in time: the address, or our way to it, is at fault */
	SELF_FETCH_BARRED,    /* not a public address */
};

struct self_fetch_request {
	const char *name;
	const struct resolver_value *address; /* A or AAAA */
	int port;                             /* of http, 80 everywhere but in laboratories */
	bool allow_private;
	const char *token;
	const char *expected;
};

enum self_fetch self_fetch(const struct self_fetch_request *request);

#endif
