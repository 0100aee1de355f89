/*
 * One address that requests go to, as all workers share it: how many requests it has, whether it answers.
 * Counted by references; what changes is atomic, so that no request takes a lock.
 *
 * Two kinds of knowledge meet here. Passive: UPSTREAM_FAILURES_MAX failures in a row (connects, timeouts,
 * broken responses; never a status) eject it for a second, then two, up to a minute; where all addresses are
 * ejected all are used. Active, where `upstream-health` is on: an address that fails its checks is down and
 * gets nothing.
 */
#ifndef EDGE_UPSTREAM_ADDRESS_H
#define EDGE_UPSTREAM_ADDRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "edge/loop/name_table.h"
#include "edge/upstream/upstream_url.h"

enum {
	UPSTREAM_FAILURES_MAX = 3,
	UPSTREAM_EJECTION_MS = 1000,
	UPSTREAM_EJECTION_MAX_MS = 60 * 1000,
	UPSTREAM_WEIGHT_FULL = 100,
	UPSTREAM_WEIGHT_MIN = 10, /* of an address that has just come back */
};

enum upstream_health { UPSTREAM_UNKNOWN, UPSTREAM_UP, UPSTREAM_DOWN };

/* Why an upstream could not answer. */
enum upstream_failure {
	UPSTREAM_REFUSED, /* no connection: refused or unreachable */
	UPSTREAM_CONNECT_TIMEOUT,
	UPSTREAM_LOCAL,       /* no connection for want of descriptors, ports or memory here */
	UPSTREAM_TLS,         /* no handshake, or a certificate that does not vouch for the name */
	UPSTREAM_CLOSED,      /* ended before a whole response */
	UPSTREAM_TIMEOUT,     /* silent for too long */
	UPSTREAM_MALFORMED,   /* what came is no response that can be passed on */
	UPSTREAM_BROKEN,      /* HTTP/2: its connection broke the rules, with all that others had on it */
	UPSTREAM_RESET,       /* HTTP/2: it gave up this one request */
	UPSTREAM_UNPROCESSED, /* HTTP/2: it has not looked at the request, and says so */
	UPSTREAM_VERSION,     /* the request needs HTTP/1.1, which is not spoken there */
	UPSTREAM_NONE,        /* no address is left to try */
	UPSTREAM_FAILURE_COUNT,
};
const char *upstream_failure_name(enum upstream_failure failure); /* label of the metric */

/* What a connection to an address will speak, as far as that is known: from its URL, or from the last TLS
 * handshake. */
enum upstream_speaks { UPSTREAM_SPEAKS_UNKNOWN, UPSTREAM_SPEAKS_HTTP1, UPSTREAM_SPEAKS_HTTP2 };

/* How an address is checked: by a request as the settings say, or as the group that it belongs to asks. */
enum upstream_probe_kind { UPSTREAM_PROBE_HTTP, UPSTREAM_PROBE_NONE, UPSTREAM_PROBE_TCP, UPSTREAM_PROBE_TLS };

struct upstream_probe_plan {
	enum upstream_probe_kind kind;
	int64_t interval_ms;              /* but with UPSTREAM_PROBE_HTTP */
	bool proxy_v2;                    /* a header (LOCAL) goes first */
	char name[UPSTREAM_HOST_MAX + 1]; /* asked for in the hello; empty: none */
};

struct upstream_address {
	atomic_int references;
	struct net_address address;
	struct upstream_probe_plan probe;
	char text[NET_ADDRESS_TEXT]; /* for logs */
	bool tls;
	bool h2c;                                               /* HTTP/2 without TLS, by prior knowledge */
	char server_name[UPSTREAM_HOST_MAX + 1];                /* sent and verified, with TLS */
	char host[sizeof((struct upstream_url *)0)->authority]; /* Host of a health check */

	/* `upstreams` alone, under its lock. */
	struct name_entry entry;
	TAILQ_ENTRY(upstream_address) all;
	int uses;
	char *key;

	/* The thread of the health checks alone. */
	int64_t next_check_ms;
	int checks_in_a_row; /* that said other than `health` does */
	bool is_checked;     /* just now */

	atomic_int outstanding; /* requests that wait for it or hear it */
	atomic_int health;      /* enum upstream_health */
	atomic_int speaks;      /* enum upstream_speaks */
	atomic_uint h2_streams; /* that it last allowed on a connection; 0: it has not said */
	atomic_int failures;    /* in a row */
	atomic_int ejections;   /* in a row: each doubles the time */
	atomic_int_fast64_t ejected_until_ms;
	atomic_int_fast64_t recovered_at_ms; /* 0: it never was away */
	atomic_bool gone;                    /* no name leads to it any more: nothing new goes there */
};

struct upstream_address *upstream_address_new(
    const struct net_address *address, const struct upstream_url *url, const char *server_name);
struct upstream_address *upstream_address_ref(struct upstream_address *address);
void upstream_address_unref(struct upstream_address *address);

static inline bool upstream_address_is_down(const struct upstream_address *address)
{
	return atomic_load_explicit(&address->health, memory_order_relaxed) == UPSTREAM_DOWN;
}
static inline bool upstream_address_is_ejected(const struct upstream_address *address, int64_t now_ms)
{
	return atomic_load_explicit(&address->ejected_until_ms, memory_order_relaxed) > now_ms;
}
/* Per cent of its share, growing for `slow_start_ms` after it came back. */
int upstream_address_weight(const struct upstream_address *address, int64_t now_ms, int64_t slow_start_ms);

/* True: this failure ejected it. */
bool upstream_address_failed(struct upstream_address *address, int64_t now_ms);
void upstream_address_succeeded(struct upstream_address *address, int64_t now_ms);
/* What the checks found. One that comes back up starts slowly, and its ejection is over. */
void upstream_address_set_health(
    struct upstream_address *address, enum upstream_health health, int64_t now_ms);

#endif
