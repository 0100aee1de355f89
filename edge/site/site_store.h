/*
 * What the database knows about names, in batches: the SQL of looking names up, of asking for an issuance and
 * of comparing versions, and the judgement whether a stored row can be served. One thread, one connection.
 *
 * Every call is over after its time, counted from the call. While the database is known to be down, calls
 * fail at once; a connection that broke while it was idle is replaced within the call.
 */
#ifndef EDGE_SITE_STORE_H
#define EDGE_SITE_STORE_H

#include "common/seal/seal.h"
#include "edge/site/site_cache.h"

struct site_store;

enum site_standing {
	SITE_ABSENT,
	SITE_USABLE,
	SITE_UNUSABLE, /* a row not to be served: damaged, of another name or key, expired. Counted */
	SITE_BLOCKED,  /* the domain is suspended or released */
};

enum issuance_state {
	ISSUANCE_NONE, /* never asked for, or idle */
	ISSUANCE_UNDER_WAY,
	ISSUANCE_FAILED,  /* and not to be tried before its time */
	ISSUANCE_RECHECK, /* failed on the customer's side, so long ago that a visitor may bring it forward */
	ISSUANCE_UNKNOWN, /* of a request: it could not be made */
};

struct site_row {
	struct hostname name; /* in; the rest is filled */
	uint64_t epoch;       /* of the name, read before the query */
	enum site_standing standing;
	struct site *site; /* SITE_USABLE: a reference for the caller; the name's own or its wildcard's */
	enum issuance_state issuance;
};

struct site_request {
	struct hostname name;
	const char *reason;           /* as issuance_jobs.reason has it */
	enum issuance_state issuance; /* what came of it */
};

enum { SITE_STORE_BATCH = 128, SITE_STORE_STAMPS = 256 };

struct site_store *site_store_new(
    const char *conninfo, const struct seal_keys *keys, struct site_cache *cache);
void site_store_free(struct site_store *store);

/* Is the database there, with the tables that we were written for? Does not wait for a connection. */
enum result site_store_check(struct site_store *store, int timeout_ms, struct error *error);
/* At most SITE_STORE_BATCH rows. */
enum result site_store_load(
    struct site_store *store, struct site_row *rows, size_t count, int timeout_ms, struct error *error);
/* At most SITE_STORE_BATCH. Sorts `requests` by name: two nodes that enqueue the same names must not
 * deadlock. A row that someone holds locked for longer than a moment fails alone: the others are made without
 * it. */
enum result site_store_enqueue(struct site_store *store, struct site_request *requests, size_t count,
    int timeout_ms, struct error *error);
/* At most SITE_STORE_STAMPS. A version becomes -1 where there is nothing to serve any more. */
enum result site_store_stamps(struct site_store *store, const struct hostname *names,
    struct site_stamp *stamps, size_t count, int timeout_ms, struct error *error);

/* Puts a usable row into the cache, as the name's or the wildcard's. A hint that came since the row was read
 * is not lost. */
void site_store_keep(struct site_store *store, const struct site_row *row);

bool site_store_is_up(const struct site_store *store);
/* Rises with each new connection. */
uint64_t site_store_generation(const struct site_store *store);

#endif
