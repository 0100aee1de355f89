/*
 * Keeps what is cached true: every cached name is compared with the database within cache-max-age, at once
 * after a NOTIFY or a reconnect. While the database is down nothing is dropped.
 */
#ifndef EDGE_FRESHNESS_H
#define EDGE_FRESHNESS_H

#include "edge/site/site_store.h"

struct freshness;

struct freshness_config {
	const char *listen_conninfo; /* a direct connection: poolers swallow LISTEN */
	struct site_cache *cache;
	struct site_store *store;
	int64_t max_age_ms;
	/* On the listener's thread: something is due; with `name`, that name may have changed. */
	void (*on_hint)(void *arg, const char *name);
	/* On the same thread: somebody wants to know what was seen of this name. */
	void (*on_question)(void *arg, const char *name);
	void *arg;
};

struct freshness *freshness_start(const struct freshness_config *config);
/* First stops the listener: no hint comes after it. NULL is let through. */
void freshness_stop(struct freshness *freshness);

/* When the next step is due, monotonic ms. Any thread. */
int64_t freshness_next(const struct freshness *freshness);
/* Compares one batch. On the store's thread. */
void freshness_step(struct freshness *freshness);

#endif
