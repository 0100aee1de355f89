/*
 * What upstreams.c (groups and what others ask), upstreams_addresses.c (which addresses there are) and
 * upstreams_lookup.c (the threads that look names up) share. Nobody else includes this.
 */
#ifndef EDGE_UPSTREAMS_INTERNAL_H
#define EDGE_UPSTREAMS_INTERNAL_H

#include <pthread.h>

#include "edge/loop/log_rate.h"
#include "edge/upstream/upstreams.h"

/* One URL of a group, and the addresses that its host has now. */
struct upstream_source {
	TAILQ_ENTRY(upstream_source) all;
	struct upstream_group *group; /* NULL: dropped while it was looked up; its thread frees it */
	struct upstream_url url;
	char text[UPSTREAM_URL_MAX + 1];
	struct upstream_probe_plan probe;
	struct upstream_address *addresses[UPSTREAM_ADDRESSES_MAX];
	size_t count;
	bool is_literal;
	bool is_busy;     /* a thread looks it up without the lock */
	bool is_answered; /* once, be it by a failure */
	int failures;     /* in a row */
	int64_t next_ms;
	struct upstream_gauges gauges; /* NULL pointers: none */
};

struct upstream_group {
	struct name_entry entry; /* of a domain's own: by its URL */
	char *url;               /* or key */
	TAILQ_ENTRY(upstream_group) by_use;
	int references; /* beside the table's */
	int64_t used_ms;
	struct upstream_source **sources;
	size_t source_count;
	struct upstream_members *members; /* never NULL */
	atomic_uint version;
	atomic_uint turn;
	atomic_bool is_pending; /* no address yet, and a look-up has not ended */
};

struct upstreams {
	pthread_mutex_t lock; /* of everything below but what is atomic */
	pthread_cond_t wake;  /* a name is due, or the end */
	pthread_cond_t ended;
	bool is_stopping;
	int running; /* threads */
	struct upstream_metrics metrics;
	struct log_rate refused_log;

	struct upstream_config *config;
	atomic_uint config_version;
	unsigned ca_generation; /* part of the key of addresses with TLS */

	struct upstream_group *defaults; /* the settings' */
	struct name_table groups;
	TAILQ_HEAD(, upstream_group) by_use; /* the table's, least recently used first */
	TAILQ_HEAD(, upstream_source) sources;
	struct name_table addresses; /* by key */
	TAILQ_HEAD(, upstream_address) all_addresses;
	int64_t swept_ms;
};

enum { UPSTREAM_GROUP_UNUSED_MS = 5 * 60 * 1000 };

/* upstreams.c; all with the lock held */
/* Frees groups that nobody has used for a while. */
void upstreams_sweep_locked(struct upstreams *upstreams, int64_t now_ms);

/* upstreams_addresses.c; all with the lock held */
struct upstream_source *upstreams_source_new_locked(struct upstreams *upstreams, struct upstream_group *group,
    const struct upstream_url *url, const struct upstream_probe_plan *probe);
void upstreams_source_drop_locked(struct upstreams *upstreams, struct upstream_source *source);
/* The source has these addresses now. True: they are others than before. */
bool upstreams_set_addresses_locked(struct upstreams *upstreams, struct upstream_source *source,
    const struct net_address *found, size_t count);
/* The same addresses, under the settings as they are now. */
void upstreams_rename_addresses_locked(struct upstreams *upstreams, struct upstream_source *source);
/* Makes what the sources have known to the workers. */
void upstreams_publish_locked(struct upstream_group *group);

/* upstreams_lookup.c */
enum result upstreams_start_lookups(struct upstreams *upstreams, struct error *error);

#endif
