/*
 * Which address takes a request: of two random ones that are well, the one with fewer requests outstanding.
 * Pure but for the addresses' own counters.
 */
#ifndef EDGE_UPSTREAM_CHOICE_H
#define EDGE_UPSTREAM_CHOICE_H

#include "edge/upstream/upstream_address.h"

/* Addresses of one group. */
enum { UPSTREAM_ADDRESSES_MAX = 64 };

/* The addresses of a group at some moment: never changed, only replaced. */
struct upstream_members {
	atomic_int references;
	size_t count;
	struct upstream_address *addresses[UPSTREAM_ADDRESSES_MAX];
};

struct upstream_members *upstream_members_ref(struct upstream_members *members);
void upstream_members_unref(struct upstream_members *members);

struct upstream_choice {
	int64_t now_ms;
	int64_t slow_start_ms;
	const struct upstream_address *const *tried; /* not these again */
	size_t tried_count;
	uint64_t *random; /* state of the caller's generator, not 0 */
};

enum { UPSTREAM_CHOICE_NONE = -1 };

/* An index into `members`. Addresses that checks call down are never chosen; where all others are ejected,
 * they are chosen from nevertheless. One that has come back a moment ago takes part with the probability of
 * its weight. */
int upstream_choose(const struct upstream_members *members, const struct upstream_choice *choice);

#endif
