/*
 * A worker: one thread with its own loop, its own OpenSSL library context and everything that its connections
 * touch. What is shared (site cache, broker, challenges, ticket keys) is behind `edge` and safe from any thread.
 */
#ifndef EDGE_WORKER_H
#define EDGE_WORKER_H

#include <openssl/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/metrics.h"
#include "common/net.h"
#include "common/settings.h"
#include "edge/broker.h"
#include "edge/challenge.h"
#include "edge/loop.h"
#include "edge/mailbox.h"
#include "edge/site_cache.h"

struct http_config;
struct ticket_keys;
struct upstream_pool;
struct cert_wait;
struct hot_sites;
struct conn_table;

/* The node: what all workers share. Made by main, read-only afterwards but for `draining`. */
struct edge {
	const struct settings *settings;
	struct site_cache *sites;
	struct broker *broker;
	struct challenges *challenges;
	struct ticket_keys *ticket_keys;
	struct http_config *http; /* http_config.h: from http_config_load */
	atomic_bool draining;
};

struct worker {
	struct edge *edge;
	int index;
	pthread_t thread;
	struct loop *loop;
	struct mailbox *mailbox;
	OSSL_LIB_CTX *libctx;
	SSL_CTX *ssl_ctx;
	struct hot_sites *hot_sites;
	struct cert_wait *waits;
	struct conn_table *conns;
	struct upstream_pool *upstreams;
};

#endif
