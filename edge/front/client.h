/*
 * Who is at the other end of a connection, whatever version of HTTP it speaks: the client's address, the name
 * its handshake asked for, the site and the upstream that go with it, and how much it has asked for so far.
 */
#ifndef EDGE_CLIENT_H
#define EDGE_CLIENT_H

#include "common/net/net.h"
#include "edge/http_config.h"
#include "edge/loop/stream.h"
#include "edge/upstream/upstream_pool.h"
#include "edge/worker.h"

/* How long the beginning took, in microseconds; -1: that did not happen. */
struct conn_times {
	int64_t hello;       /* from accept to the whole ClientHello */
	int64_t certificate; /* the wait for one */
	int64_t handshake;
};

/* Who speaks, as found out before HTTP began. Copied. */
struct conn_peer {
	uint64_t id;               /* the connection's id in the worker's table, with its generation */
	struct net_address client; /* the socket's peer, or what a trusted PROXY header said */
	struct net_address local;  /* where it came to, if a PROXY header said so; else size 0 */
	bool tls;
	bool by_default; /* it asked for no name of ours; `sni` is the default certificate's */
	const char *sni; /* empty without TLS; outlives the connection */
	struct conn_times times;
};

/* Embedded in its connection, whose stream it borrows. */
struct client {
	struct worker *worker;
	const struct stream *stream;
	struct conn_peer peer;
	char address[NET_ADDRESS_TEXT];
	char port[6];           /* that the client came to */
	bool behind_cdn;        /* the peer may say who the client is */
	uint64_t request_count; /* begun so far */
	struct site *site;      /* of its name; NULL: not looked for yet, or never in memory */
	uint64_t site_change;   /* of the site cache, when its name was last known to be served, or not */
	bool has_looked;        /* for the site, at that change */
	bool is_served;         /* its name, as of that change */
	bool has_target;        /* of `site` as it is now */
	struct upstream_target *target; /* of its name's site; NULL: that cannot be one */
};

void client_init(
    struct client *client, struct worker *worker, const struct stream *stream, const struct conn_peer *peer);
/* Lets the upstream go, whose memory is the worker's pool's; the rest stays. */
void client_leave_upstream(struct client *client);
void client_fini(struct client *client);

/* The newest settings: a reload changes them between two events. */
static inline const struct http_config *client_config(const struct client *client)
{
	return client->worker->config->http;
}

static inline const struct trust *client_trust(const struct client *client)
{
	return &client->worker->config->trust;
}

/* The site of the connection's name, as of now; one that has left the memory meanwhile stays good for the
 * rest of the connection, which ends with this response. NULL: there was none. */
const struct site *client_site(struct client *client);
/* Its name has a site in memory, as of now. A domain that is suspended or deleted gets no handshake any more;
 * who had theirs before must not stay for ever. */
bool client_is_served(struct client *client);
/* May it ask for more on this connection? Not where its name is served no more, it has had `max-requests`, or
 * the node goes down. */
bool client_may_stay(struct client *client);

/* Where the requests of a site go, as a reference for the caller; `site` NULL: one without wishes. NULL: its
 * own upstream cannot be one. */
struct upstream_target *client_target_of(struct client *client, const struct site *site);
/* The same for the connection's name, looked up once. */
struct upstream_target *client_target(struct client *client);
/* Where the client's connection came to, where upstreams are told; else maybe nothing. */
const struct net_address *client_local(struct client *client);

#endif
