/*
 * The threads that look upstreams' names up: the one that is due first, and again, for ever. The C library's
 * resolver blocks, for many seconds where a name server is silent; a few threads keep one bad name from
 * holding up the others.
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/log/log.h"
#include "edge/upstream/upstreams_internal.h"

enum { THREADS = 4, RETRY_MS = 1000, SWEEP_MS = 60 * 1000 };

struct found {
	struct net_address addresses[UPSTREAM_ADDRESSES_MAX];
	size_t count;
	int code; /* of getaddrinfo */
};

static void ask_resolver(struct found *found, const struct upstream_url *url)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;

	found->count = 0;
	found->code = getaddrinfo(url->host, url->port, &hints, &list);
	if (found->code != 0)
		return;
	for (const struct addrinfo *one = list; one && found->count < UPSTREAM_ADDRESSES_MAX;
	     one = one->ai_next) {
		struct net_address *address = &found->addresses[found->count++];

		memset(address, 0, sizeof *address);
		memcpy(&address->storage, one->ai_addr, one->ai_addrlen);
		address->size = one->ai_addrlen;
	}
	freeaddrinfo(list);
}

/* What is known stays. Logged once, then ever more rarely. */
static void take_failure(struct upstreams *upstreams, struct upstream_source *source, int code)
{
	int64_t wait = RETRY_MS;

	metric_add(upstreams->metrics.lookups_failed, 1);
	source->failures++;
	if ((source->failures & (source->failures - 1)) == 0)
		log_warn("an upstream's name cannot be looked up", log_str("upstream", source->text),
		    log_str("error", gai_strerror(code)), log_int("known_addresses", (int64_t)source->count),
		    log_int("failures", source->failures));
	for (int i = 1; i < source->failures && wait < upstreams->config->resolve_ms; i++)
		wait *= 2;
	if (source->count > 0 || wait > upstreams->config->resolve_ms)
		wait = upstreams->config->resolve_ms;
	source->next_ms = clock_monotonic_ms() + wait;
}

static void take_answer(
    struct upstreams *upstreams, struct upstream_source *source, const struct found *found)
{
	bool was_answered = source->is_answered;
	bool changed = false;

	source->is_answered = true;
	if (found->code != 0) {
		take_failure(upstreams, source, found->code);
	} else {
		metric_add(upstreams->metrics.lookups_ok, 1);
		source->failures = 0;
		source->next_ms = clock_monotonic_ms() + upstreams->config->resolve_ms;
		changed = upstreams_set_addresses_locked(upstreams, source, found->addresses, found->count);
	}
	if (changed)
		log_info("an upstream's addresses", log_str("upstream", source->text),
		    log_int("addresses", (int64_t)source->count));
	if (changed || !was_answered)
		upstreams_publish_locked(source->group);
}

/* Leaves the lock while it waits for the answer. */
static void look_up(struct upstreams *upstreams, struct upstream_source *source)
{
	struct found found;

	source->is_busy = true;
	pthread_mutex_unlock(&upstreams->lock);
	ask_resolver(&found, &source->url);
	pthread_mutex_lock(&upstreams->lock);
	source->is_busy = false;
	if (source->group)
		take_answer(upstreams, source, &found);
	else
		free(source);
}

/* The one that waits for its first answer, or is due first; NULL: none, and `until` is when to look again. */
static struct upstream_source *next_due(struct upstreams *upstreams, int64_t now, int64_t *until)
{
	struct upstream_source *first = NULL;
	struct upstream_source *source = NULL;

	*until = now + SWEEP_MS;
	TAILQ_FOREACH(source, &upstreams->sources, all)
	{
		if (source->is_busy || source->is_literal)
			continue;
		if (!source->is_answered)
			return source;
		if (source->next_ms < *until)
			*until = source->next_ms;
		if (source->next_ms <= now && (!first || source->next_ms < first->next_ms))
			first = source;
	}
	return first;
}

static void *run(void *arg)
{
	struct upstreams *upstreams = arg;

	pthread_setname_np(pthread_self(), "upstream-names");
	pthread_mutex_lock(&upstreams->lock);
	while (!upstreams->is_stopping) {
		int64_t until = 0;
		int64_t now = clock_monotonic_ms();

		upstreams_sweep_locked(upstreams, now);
		struct upstream_source *source = next_due(upstreams, now, &until);
		if (source)
			look_up(upstreams, source);
		else
			condition_wait_until(&upstreams->wake, &upstreams->lock, until);
	}
	upstreams->running--;
	pthread_cond_signal(&upstreams->ended);
	pthread_mutex_unlock(&upstreams->lock);
	return NULL;
}

enum result upstreams_start_lookups(struct upstreams *upstreams, struct error *error)
{
	pthread_attr_t detached;
	int failure = 0;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < THREADS && failure == 0; i++) {
		pthread_t thread;

		pthread_mutex_lock(&upstreams->lock);
		failure = pthread_create(&thread, &detached, run, upstreams);
		upstreams->running += failure == 0;
		pthread_mutex_unlock(&upstreams->lock);
	}
	pthread_attr_destroy(&detached);
	if (failure == 0)
		return R_OK;
	error_set(error, "a thread for the names of upstreams cannot be started: error %d", failure);
	return R_ERROR;
}
