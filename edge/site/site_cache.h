/*
 * What this node knows about names, shared by its workers and the broker: sites (cold tier, bounded by bytes,
 * least recently used goes), and short-lived refusals (bounded by count). A lock held for a hash look-up at
 * most.
 *
 * Epoch: rises whenever a name is invalidated. A refusal is kept only if the epoch read before the question
 * was asked has not moved for that name, so a customer who has just become active is not refused by an old
 * answer.
 */
#ifndef EDGE_SITE_CACHE_H
#define EDGE_SITE_CACHE_H

#include "edge/site/site.h"

struct site_cache;

enum refusal { REFUSAL_NONE, REFUSAL_DENIED, REFUSAL_TEMPORARY };

struct site_cache *site_cache_new(size_t max_bytes, size_t max_refusals);
void site_cache_free(struct site_cache *cache);

/* The site of the name, or that of the wildcard above it where the name has nothing of its own: a reference
 * for the caller, or NULL. An expired certificate is dropped, not given. */
struct site *site_cache_find(struct site_cache *cache, const char *name);
enum refusal site_cache_find_refusal(struct site_cache *cache, const char *name);
/* Why a name was refused that find_refusal has just found: the static word that site_cache_refuse was given;
 * NULL where it is gone meanwhile. */
const char *site_cache_refusal_cause(struct site_cache *cache, const char *name);
/* Under site->name. Takes no reference of the caller's. An older version of a certificate never overwrites a
 * newer one: R_LOST. R_LIMIT: larger than the whole cache. A refusal of the name is forgotten. */
enum result site_cache_put(struct site_cache *cache, struct site *site);
void site_cache_remove(struct site_cache *cache, const char *name);

uint64_t site_cache_epoch(struct site_cache *cache, const char *name);
/* Forgets refusals of the name and moves its epoch; the site itself is due at once and stays until the broker
 * has looked again. So it is with the wildcard above the name, and with all names under a wildcard. */
void site_cache_invalidate(struct site_cache *cache, const char *name);
/* The site is due at once, nothing else. */
void site_cache_mark_due(struct site_cache *cache, const char *name);
void site_cache_refuse(struct site_cache *cache, const char *name, enum refusal refusal, int64_t for_ms,
    uint64_t epoch, const char *cause);

/* For revalidation: copies up to `max` names not looked at since `before_ms` (monotonic), oldest first, with
 * their stamps, and marks them looked at now. */
size_t site_cache_due(struct site_cache *cache, int64_t before_ms, struct hostname *names,
    struct site_stamp *stamps, size_t max);
/* Rises with every put and remove: a worker whose hot tier saw a smaller number looks a site up again. */
uint64_t site_cache_change(const struct site_cache *cache);
size_t site_cache_bytes(struct site_cache *cache);
size_t site_cache_count(struct site_cache *cache);
size_t site_cache_refusals(struct site_cache *cache);

#endif
