/*
 * A worker: one thread with its own loop, its own OpenSSL library context and everything that its connections
 * touch. What is shared (site cache, broker, challenges, ticket keys) is behind `edge` and safe from any
 * thread.
 */
#ifndef EDGE_WORKER_H
#define EDGE_WORKER_H

#include <openssl/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/daemon/metrics.h"
#include "common/net/net.h"
#include "common/settings/settings.h"
#include "edge/edge_config.h"
#include "edge/loop/loop.h"
#include "edge/loop/mailbox.h"
#include "edge/site/broker.h"
#include "edge/site/challenge.h"
#include "edge/site/notice.h"
#include "edge/site/site_cache.h"

struct access_log;
struct handshakes;
struct client_counts;
struct h2_slots;
struct pass_circles;
struct pass_pipes;
struct pass_sessions;
struct ticket_keys;
struct ticket_share;
struct upstream_pool;
struct upstreams;
struct cert_wait;
struct hot_sites;
struct conn_table;
struct challenge_certs;
struct edge_metrics;
struct listener;
struct tls_context;

/* The node: what all workers share. Made by main, read-only afterwards but for what is atomic. */
struct edge {
	struct edge_config *config; /* the newest; main's. Workers go by their own */
	struct site_cache *sites;
	struct broker *broker;
	struct challenges *challenges;
	struct notices *notices;
	struct ticket_keys *ticket_keys;
	struct ticket_share *ticket_share;
	struct upstreams *upstreams;
	struct pass_sessions *pass_sessions;
	struct pass_circles *pass_circles;
	struct handshakes *handshakes;   /* what became of each name's; NULL: nothing is kept */
	struct client_counts *clients;   /* connections by client, where there is a limit */
	struct access_log *access_log;   /* NULL: no lines */
	atomic_bool draining;            /* /readyz says no; responses end their connections */
	atomic_int_fast64_t connections; /* held now, all workers together, against the limits */
	atomic_int_fast64_t waiting;
	atomic_int_fast64_t waiting_bytes;
};

enum {
	WORKER_SCRATCH = 64 * 1024,
	WORKER_LISTENERS_MAX = 64,
	WORKER_SETTLE_MS = 300, /* a drain leaves TCP handshakes under way so long to reach the queue */
	WORKER_BEAT_MS = 1000,
	WORKER_STUCK_MS =
	    5000, /* no round of a healthy worker takes a tenth of it, on a machine that has too much to do */
};

/* What is spoken where a listener listens. */
enum listen_kind {
	LISTEN_HTTP,
	LISTEN_HTTPS,
	LISTEN_PASS, /* TLS that is passed on, never terminated */
};

struct listen_point {
	enum listen_kind kind;
	int port;
};

TAILQ_HEAD(conn_queue, conn);

struct worker {
	struct edge *edge;
	struct edge_config *config; /* changes between two callbacks: nobody keeps a pointer into it */
	int index;
	pthread_t thread;
	bool started;
	struct loop *loop;
	struct mailbox *mailbox;
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *provider;
	struct tls_context *tls;
	struct hot_sites *hot_sites;
	struct challenge_certs *challenge_certs;
	struct cert_wait *waits;
	struct conn_table *conns;
	struct upstream_pool *upstreams;
	struct pass_pipes *pass_pipes;
	struct h2_slots *h2_slots;
	struct edge_metrics *metrics;
	struct listener *listeners[WORKER_LISTENERS_MAX];
	size_t listener_count;
	struct conn_queue resuming; /* their certificate came; a few handshakes are begun each round */
	struct loop_task resume_task;
	struct loop_timer drain_timer, settle_timer, beat_timer;
	atomic_int_fast64_t beat_ms; /* when its timers last ran, monotonic */
	bool draining;               /* what it still accepts had begun before */
	bool closed;                 /* accepts no more; ends with its last connection */
	int64_t memory_at_ms;        /* when memory_in_use was looked at */
	int64_t memory_in_use;
	char *scratch; /* WORKER_SCRATCH bytes for one callback */
};

/* Everything a worker owns but its thread; takes nothing. */
enum result worker_new(struct worker **out, struct edge *edge, int index, struct error *error);
/* Once its thread has ended, and the broker and challenges too (their replies come to its mailbox). */
void worker_free(struct worker *worker);

/* Takes the listening socket; before worker_start. R_LIMIT: too many. */
enum result worker_add_listener(struct worker *worker, int fd, struct listen_point point);
enum result worker_start(struct worker *worker, struct error *error);

/* From another thread: goes by `config` from its next round on, with a reference of its own. */
void worker_configure(struct worker *worker, struct edge_config *config);
/* From another thread. Drain: lets no new connection begin, accepts what is queued or about to be, closes the
 * listeners together, ends with its last connection or after `timeout_ms`. Stop: ends now. */
void worker_drain(struct worker *worker, int64_t timeout_ms);
void worker_stop(struct worker *worker);
/* From any thread: have its timers run lately? The kernel goes on giving a stuck worker its share of the
 * connections, and no other worker can take them. */
bool worker_is_turning(const struct worker *worker);
/* R_AGAIN: still running. */
enum result worker_join(struct worker *worker);

/* From the worker's own thread, when a connection has ended: the last one ends a drain. */
void worker_connection_ended(struct worker *worker);

#endif
