/*
 * Does the name point at us? A pure decision over look-ups of the name and of the CNAME target.
 */
#ifndef COMMON_DNS_ROUTING_CHECK_H
#define COMMON_DNS_ROUTING_CHECK_H

#include "common/dns/our_place.h"
#include "common/dns/resolver.h"

enum routing {
	ROUTING_UNKNOWN, /* could not be found out */
	ROUTING_HERE,
	ROUTING_ELSEWHERE,
};

struct routing_facts {
	const char *target; /* the CNAME target's name; "": there is none */
	struct resolver_answer name_a, name_aaaa, target_a, target_aaaa;
	const struct our_address *apex;
	size_t apex_count;
};

/* The first of these addresses that is ours, or that is not. */
const struct resolver_value *routing_find(
    const struct routing_facts *facts, const struct resolver_answer *answer, bool ours);

/* HERE: the CNAME chain passes our target, or an address is one of ours; and no AAAA leads elsewhere, for
 * browsers and the CA prefer IPv6. `note`: what was seen, in a sentence for a person. */
enum routing routing_check(const struct routing_facts *facts, char *note, size_t size);

#endif
