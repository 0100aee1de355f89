/*
 * From a domain's name to its zone and to that zone's name servers, by the resolver; and where that comes to
 * nothing because the zone is broken, by asking the servers of the zone above it to whom they delegate.
 */
#ifndef VERIFIER_DIAGNOSE_ZONE_WALK_H
#define VERIFIER_DIAGNOSE_ZONE_WALK_H

#include "verifier/diagnose/dns_look.h"
#include "verifier/diagnose/look_access.h"

/* Names whose NS records are asked for: the domain and those above it, those nearest to the top first. */
enum { WALK_LEVELS_MAX = 10 };

struct zone_walk {
	struct resolver *resolver;
	const struct look_access *access;
	const char *name;    /* the domain's */
	const char *subject; /* of the look-ups */
	int64_t deadline_ms;
	/* Which servers of the look are to be asked, and how they are reached: one that has several names is
	 * asked once, or a zone's owner could have us send many times as much to whom he likes. */
	size_t target_count;
	struct ask_server targets[LOOK_SERVERS_MAX];
	size_t target_of[LOOK_SERVERS_MAX]; /* of each of look->servers: its place in targets + 1; 0: none */
};

/* The levels of a climb (caa_climb), of which WALK_LEVELS_MAX count: where they begin. */
size_t zone_walk_first_level(size_t climb_count);

/* `levels` are the names of which `answers` are the NS records, the domain's own, or the longest, first.
 * Fills look->zone, and name and address of look->servers. */
void zone_walk(struct zone_walk *walk, const char *const *levels, const struct resolver_answer *answers,
    size_t count, struct dns_look *look);

#endif
