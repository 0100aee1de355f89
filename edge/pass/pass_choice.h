/*
 * Which server of a group takes a connection that is passed on: in turn, or the one that its client or its
 * session belongs to. Pure but for what is known of the addresses.
 */
#ifndef EDGE_PASS_CHOICE_H
#define EDGE_PASS_CHOICE_H

#include "edge/pass/pass_target.h"

struct pass_choice {
	enum passthrough_affinity affinity;
	const struct net_address *client;
	const struct net_address
	    *session; /* the server that made the client's session; NULL: none is known */
	unsigned turn;
	int64_t now_ms;
	const struct upstream_address *const *tried; /* not these again */
	size_t tried_count;
};

/* An index into `members`, or UPSTREAM_CHOICE_NONE. Servers that checks call down are never chosen; ejected
 * ones only where there are no others. */
int pass_choose(const struct upstream_members *members, const struct pass_choice *choice);

#endif
