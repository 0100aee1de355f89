#include "edge/site/site_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "edge/loop/name_hash.h"
#include "edge/site/refusals.h"

/* An epoch is shared by the names of one slot: a neighbour's change costs a repeated question, never a stale
 * no. */
enum { EPOCH_SLOTS = 4096, BUCKETS_MIN = 1024, TYPICAL_SITE_BYTES = 2048 };

struct entry {
	struct entry *next;      /* in its bucket */
	TAILQ_ENTRY(entry) used; /* least recently used first */
	TAILQ_ENTRY(entry) look; /* longest not looked at first */
	struct site *site;
	uint64_t hash;
	int64_t looked_ms; /* monotonic; INT64_MIN: invalidated */
};
TAILQ_HEAD(entry_list, entry);

struct site_cache {
	pthread_mutex_t lock;
	struct entry_list used, look;
	struct entry **buckets; /* never grows: a rehash would stop all workers */
	size_t mask;
	size_t bytes, max_bytes, count;
	struct refusals *refusals;
	atomic_uint_fast64_t change;
	atomic_uint_fast64_t epochs[EPOCH_SLOTS];
	struct metric *evictions;
};

struct site_cache *site_cache_new(size_t max_bytes, size_t max_refusals)
{
	struct site_cache *cache = mem_alloc(sizeof *cache);
	size_t buckets = BUCKETS_MIN;

	while (buckets < max_bytes / TYPICAL_SITE_BYTES)
		buckets *= 2;
	pthread_mutex_init(&cache->lock, NULL);
	TAILQ_INIT(&cache->used);
	TAILQ_INIT(&cache->look);
	cache->buckets = mem_alloc_array(buckets, sizeof(struct entry *));
	cache->mask = buckets - 1;
	cache->max_bytes = max_bytes;
	cache->refusals = refusals_new(max_refusals);
	atomic_init(&cache->change, 1);
	cache->evictions = metrics_counter("postern_edge_site_cache_evictions_total", NULL,
	    "Sites dropped from memory because the cache was full.");
	return cache;
}

static struct entry **find_link_locked(struct site_cache *cache, uint64_t hash, const char *name)
{
	struct entry **link = &cache->buckets[hash & cache->mask];

	while (*link && ((*link)->hash != hash || strcmp((*link)->site->name.text, name) != 0))
		link = &(*link)->next;
	return link;
}

static size_t entry_bytes(const struct site *site)
{
	return site->bytes + sizeof(struct entry);
}

static void remove_locked(struct site_cache *cache, struct entry **link)
{
	struct entry *entry = *link;

	*link = entry->next;
	TAILQ_REMOVE(&cache->used, entry, used);
	TAILQ_REMOVE(&cache->look, entry, look);
	cache->bytes -= entry_bytes(entry->site);
	cache->count--;
	site_unref(entry->site);
	free(entry);
	atomic_fetch_add_explicit(&cache->change, 1, memory_order_release);
}

void site_cache_free(struct site_cache *cache)
{
	struct entry *entry = NULL;

	if (!cache)
		return;
	while ((entry = TAILQ_FIRST(&cache->used)))
		remove_locked(cache, find_link_locked(cache, entry->hash, entry->site->name.text));
	refusals_free(cache->refusals);
	pthread_mutex_destroy(&cache->lock);
	free(cache->buckets);
	free(cache);
}

static void move_to_tail_locked(struct site_cache *cache, struct entry *entry)
{
	TAILQ_REMOVE(&cache->used, entry, used);
	TAILQ_INSERT_TAIL(&cache->used, entry, used);
}

/* A certificate lives in memory until it expires, whatever has become of the database. */
static struct site *find_entry(struct site_cache *cache, const char *name)
{
	uint64_t hash = name_hash(name);
	int64_t now = clock_wall_ms() / 1000;
	struct site *site = NULL;

	pthread_mutex_lock(&cache->lock);
	struct entry **link = find_link_locked(cache, hash, name);
	if (*link && (*link)->site->certificate.not_after <= now) {
		remove_locked(cache, link);
	} else if (*link) {
		move_to_tail_locked(cache, *link);
		site = site_ref((*link)->site);
	}
	pthread_mutex_unlock(&cache->lock);
	return site;
}

struct site *site_cache_find(struct site_cache *cache, const char *name)
{
	struct site *site = find_entry(cache, name);
	struct hostname wildcard;

	if (site || !hostname_wildcard(&wildcard, name))
		return site;
	site = find_entry(cache, wildcard.text);
	if (!site || !site_is_exception(site, name))
		return site;
	site_unref(site);
	return NULL;
}

const char *site_cache_refusal_cause(struct site_cache *cache, const char *name)
{
	pthread_mutex_lock(&cache->lock);
	const char *cause = refusals_cause(cache->refusals, name);
	pthread_mutex_unlock(&cache->lock);
	return cause;
}

enum refusal site_cache_find_refusal(struct site_cache *cache, const char *name)
{
	int64_t now = clock_monotonic_ms();

	pthread_mutex_lock(&cache->lock);
	enum refusal refusal = refusals_find(cache->refusals, name, now);
	pthread_mutex_unlock(&cache->lock);
	return refusal;
}

static void evict_locked(struct site_cache *cache, size_t wanted)
{
	while (cache->bytes + wanted > cache->max_bytes) {
		struct entry *entry = TAILQ_FIRST(&cache->used);

		remove_locked(cache, find_link_locked(cache, entry->hash, entry->site->name.text));
		metric_add(cache->evictions, 1);
	}
}

static void add_locked(struct site_cache *cache, uint64_t hash, struct site *site)
{
	struct entry *entry = mem_alloc(sizeof *entry);
	struct entry **bucket = &cache->buckets[hash & cache->mask];

	entry->site = site_ref(site);
	entry->hash = hash;
	entry->looked_ms = clock_monotonic_ms();
	entry->next = *bucket;
	*bucket = entry;
	TAILQ_INSERT_TAIL(&cache->used, entry, used);
	TAILQ_INSERT_TAIL(&cache->look, entry, look);
	cache->bytes += entry_bytes(site);
	cache->count++;
	atomic_fetch_add_explicit(&cache->change, 1, memory_order_release);
}

/* Of the same certificate: one's own and the wildcard's have versions that say nothing about each other. */
static bool is_newer(const struct site *old, const struct site *site)
{
	return !site_is_passed(old) && !site_is_passed(site) && old->borrowed == site->borrowed &&
	       old->stamp.version > site->stamp.version;
}

enum result site_cache_put(struct site_cache *cache, struct site *site)
{
	uint64_t hash = name_hash(site->name.text);
	enum result result = R_OK;

	if (entry_bytes(site) > cache->max_bytes)
		return R_LIMIT;
	pthread_mutex_lock(&cache->lock);
	struct entry **link = find_link_locked(cache, hash, site->name.text);
	if (*link && is_newer((*link)->site, site)) {
		result = R_LOST;
	} else {
		if (*link)
			remove_locked(cache, link);
		evict_locked(cache, entry_bytes(site));
		add_locked(cache, hash, site);
		refusals_remove(cache->refusals, site->name.text);
	}
	pthread_mutex_unlock(&cache->lock);
	return result;
}

void site_cache_remove(struct site_cache *cache, const char *name)
{
	uint64_t hash = name_hash(name);

	pthread_mutex_lock(&cache->lock);
	struct entry **link = find_link_locked(cache, hash, name);
	if (*link)
		remove_locked(cache, link);
	pthread_mutex_unlock(&cache->lock);
}

static atomic_uint_fast64_t *epoch_of(struct site_cache *cache, const char *name)
{
	return &cache->epochs[name_hash(name) % EPOCH_SLOTS];
}

/* What happens to the wildcard above a name happens to the name. Both only rise. */
uint64_t site_cache_epoch(struct site_cache *cache, const char *name)
{
	struct hostname wildcard;
	uint64_t epoch = atomic_load_explicit(epoch_of(cache, name), memory_order_acquire);

	if (hostname_wildcard(&wildcard, name))
		epoch += atomic_load_explicit(epoch_of(cache, wildcard.text), memory_order_acquire);
	return epoch;
}

/* The entry goes to the head of those to be looked at: it stays there until someone has looked. */
static void mark_entry_locked(struct site_cache *cache, struct entry *entry)
{
	entry->looked_ms = INT64_MIN;
	TAILQ_REMOVE(&cache->look, entry, look);
	TAILQ_INSERT_HEAD(&cache->look, entry, look);
}

static void mark_due_locked(struct site_cache *cache, const char *name)
{
	struct entry *entry = *find_link_locked(cache, name_hash(name), name);

	if (entry)
		mark_entry_locked(cache, entry);
}

void site_cache_mark_due(struct site_cache *cache, const char *name)
{
	pthread_mutex_lock(&cache->lock);
	mark_due_locked(cache, name);
	pthread_mutex_unlock(&cache->lock);
}

static void forget_locked(struct site_cache *cache, const char *name)
{
	atomic_fetch_add_explicit(epoch_of(cache, name), 1, memory_order_release);
	refusals_remove(cache->refusals, name);
	mark_due_locked(cache, name);
}

/* Walks all there is: wildcards change a few times a year. */
static void forget_under_locked(struct site_cache *cache, const char *wildcard)
{
	struct entry *entry = TAILQ_FIRST(&cache->look);

	while (entry) {
		struct entry *next = TAILQ_NEXT(entry, look);

		if (site_name_is_under(entry->site->name.text, wildcard))
			mark_entry_locked(cache, entry);
		entry = next;
	}
	refusals_remove_under(cache->refusals, wildcard);
}

/* A name that gets something of its own is no longer served by the wildcard. */
void site_cache_invalidate(struct site_cache *cache, const char *name)
{
	struct hostname wildcard;
	bool has_wildcard = hostname_wildcard(&wildcard, name);

	pthread_mutex_lock(&cache->lock);
	forget_locked(cache, name);
	if (has_wildcard)
		forget_locked(cache, wildcard.text);
	else if (name[0] == '*')
		forget_under_locked(cache, name);
	pthread_mutex_unlock(&cache->lock);
}

void site_cache_refuse(struct site_cache *cache, const char *name, enum refusal refusal, int64_t for_ms,
    uint64_t epoch, const char *cause)
{
	int64_t now = clock_monotonic_ms();

	assert(refusal != REFUSAL_NONE);
	pthread_mutex_lock(&cache->lock);
	if (for_ms > 0 && site_cache_epoch(cache, name) == epoch)
		refusals_add(cache->refusals, name, refusal, cause, now + for_ms);
	pthread_mutex_unlock(&cache->lock);
}

size_t site_cache_due(struct site_cache *cache, int64_t before_ms, struct hostname *names,
    struct site_stamp *stamps, size_t max)
{
	int64_t now = clock_monotonic_ms();
	size_t count = 0;
	struct entry *entry = NULL;

	assert(before_ms <= now);
	pthread_mutex_lock(&cache->lock);
	while (count < max && (entry = TAILQ_FIRST(&cache->look)) && entry->looked_ms < before_ms) {
		names[count] = entry->site->name;
		stamps[count++] = entry->site->stamp;
		entry->looked_ms = now;
		TAILQ_REMOVE(&cache->look, entry, look);
		TAILQ_INSERT_TAIL(&cache->look, entry, look);
	}
	pthread_mutex_unlock(&cache->lock);
	return count;
}

uint64_t site_cache_change(const struct site_cache *cache)
{
	return atomic_load_explicit(&cache->change, memory_order_acquire);
}

size_t site_cache_bytes(struct site_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	size_t bytes = cache->bytes;
	pthread_mutex_unlock(&cache->lock);
	return bytes;
}

size_t site_cache_count(struct site_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	size_t count = cache->count;
	pthread_mutex_unlock(&cache->lock);
	return count;
}

size_t site_cache_refusals(struct site_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	size_t count = refusals_count(cache->refusals);
	pthread_mutex_unlock(&cache->lock);
	return count;
}
