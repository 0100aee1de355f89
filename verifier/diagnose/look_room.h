/*
 * Room for thorough looks: how many at once, of the poller's and of all, and that no tenant has all of it,
 * since a look at slow zones takes its place for seconds. Pure; the caller holds a lock and the clock.
 *
 * A quarter is kept for tenants who have little: beyond the other three nobody gets a place who has an
 * eighth.
 */
#ifndef VERIFIER_DIAGNOSE_LOOK_ROOM_H
#define VERIFIER_DIAGNOSE_LOOK_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/dns/our_place.h"

/* LOOK_ROOM_POLLER of them are the poller's at most, who begins LOOK_ROOM_PER_SECOND. */
enum { LOOK_ROOM = 32, LOOK_ROOM_POLLER = LOOK_ROOM / 2, LOOK_ROOM_PER_SECOND = 4 };

struct look_place {
	char tenant[TENANT_MAX + 1]; /* "": free */
	bool is_poller;
};

/* Begins as zeros. */
struct look_room {
	struct look_place places[LOOK_ROOM];
	int64_t next_start_ms; /* of the poller's */
};

/* The place, to be given back with look_room_leave; -1: there is none. */
int look_room_enter(struct look_room *room, const char *tenant, bool is_poller, int64_t now_ms);
void look_room_leave(struct look_room *room, int place);

#endif
