/*
 * The words behind a name that say where its TLS is passed on to, and how: `SERVER… [option=value…]`, in the
 * edge's setting `passthrough` and in a domain's option of that name. Pure: looks nothing up.
 *
 * Limits: PASSTHROUGH_SERVERS_MAX servers, PASSTHROUGH_TEXT_MAX bytes.
 */
#ifndef COMMON_PASSTHROUGH_H
#define COMMON_PASSTHROUGH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/result.h"

enum {
	PASSTHROUGH_SERVERS_MAX = 16,
	PASSTHROUGH_SERVER_MAX = 253 + 2 + 6, /* a name, or [v6], and the port */
	PASSTHROUGH_TEXT_MAX = 2048,
	PASSTHROUGH_INTERVAL_MIN_MS = 500, /* what the checks' thread keeps to */
	PASSTHROUGH_INTERVAL_MAX_MS = 3600 * 1000,
	PASSTHROUGH_INTERVAL_MS = 5000,
};

/* How it is found out whether a server is there: not at all, by a connection, by a TLS hello. */
enum passthrough_check { PASSTHROUGH_CHECK_OFF, PASSTHROUGH_CHECK_TCP, PASSTHROUGH_CHECK_TLS };

/* Which of several servers a connection goes to. */
enum passthrough_affinity {
	PASSTHROUGH_IN_TURN,    /* the next one */
	PASSTHROUGH_BY_CLIENT,  /* by the client's address (IPv6: its /64), on every node the same */
	PASSTHROUGH_BY_SESSION, /* where the TLS 1.2 session that the client wants was made; else in turn */
};

struct passthrough {
	char servers[PASSTHROUGH_SERVERS_MAX][PASSTHROUGH_SERVER_MAX + 1]; /* host:port */
	size_t count;
	enum passthrough_check check;
	int64_t interval_ms;
	enum passthrough_affinity affinity;
	bool proxy_v2;
	bool takes_plain; /* `plain=on`: also what does not begin like TLS */
};

/* R_INVALID: the error says which word is wrong, and the mend. */
enum result passthrough_parse(struct passthrough *out, const char *text, struct error *error);

#endif
