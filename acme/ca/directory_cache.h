/*
 * The CA's directory as this process knows it: fetched by one thread at a time, kept for an hour, then
 * refreshed; an old one stays in use meanwhile and where no new one can be had. After a failure nobody asks
 * for 1 s, doubling to a minute, or for as long as the CA said, an hour at most. Any thread.
 */
#ifndef ACME_DIRECTORY_CACHE_H
#define ACME_DIRECTORY_CACHE_H

#include "acme/ca/acme_directory.h"
#include "acme/ca/acme_error.h"

enum {
	DIRECTORY_LIFE_MS = 60 * 60 * 1000,
	DIRECTORY_HOLD_MIN_MS = 1000,
	DIRECTORY_HOLD_MAX_MS = 60 * 1000,
	DIRECTORY_ASKED_MAX_MS = 60 * 60 * 1000
};

struct directory_cache;

struct directory_cache *directory_cache_new(void);
void directory_cache_free(struct directory_cache *cache);

/* R_OK: *out. R_ERROR: not now, for the reason of the last failure (its held_ms says how long). R_NONE: the
 * caller is to fetch it, and to call one of the two below. R_AGAIN: somebody is at it, and there is no old
 * one. */
enum result directory_cache_look(
    struct directory_cache *cache, struct acme_directory *out, struct acme_failure *failure);
void directory_cache_keep(struct directory_cache *cache, const struct acme_directory *directory);
/* R_OK: *out is the one that was known before. R_ERROR: there is none. */
enum result directory_cache_failed(
    struct directory_cache *cache, const struct acme_failure *failure, struct acme_directory *out);

#endif
