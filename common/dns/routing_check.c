#include "common/dns/routing_check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool known(const struct resolver_answer *answer)
{
	return answer->outcome != RESOLVER_TEMPORARY && answer->outcome != RESOLVER_BOGUS;
}

static bool same(const unsigned char *a, size_t a_size, const struct resolver_value *b)
{
	return a_size == b->size && memcmp(a, b->bytes, a_size) == 0;
}

static bool is_ours(const struct resolver_value *value, const struct routing_facts *facts)
{
	const struct resolver_answer *target = value->size == 4 ? &facts->target_a : &facts->target_aaaa;
	for (size_t i = 0; i < target->count; i++)
		if (same(target->values[i].bytes, target->values[i].size, value))
			return true;
	for (size_t i = 0; i < facts->apex_count; i++)
		if (same(facts->apex[i].bytes, facts->apex[i].size, value))
			return true;
	return false;
}

/* The target may be an alias itself (of a load balancer's name): then both chains end at the same place. */
static bool chain_ends_at_target(const struct routing_facts *facts)
{
	const char *end = facts->name_a.canonical[0] ? facts->name_a.canonical : facts->name_aaaa.canonical;
	if (!end[0])
		return false;
	const char *target_end = facts->target_a.canonical;
	return strcmp(end, facts->target) == 0 || (target_end[0] && strcmp(end, target_end) == 0);
}

const struct resolver_value *routing_find(
    const struct routing_facts *facts, const struct resolver_answer *answer, bool ours)
{
	for (size_t i = 0; i < answer->count; i++)
		if (is_ours(&answer->values[i], facts) == ours)
			return &answer->values[i];
	return NULL;
}

static const char *address_text(const struct resolver_value *value, char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(value->size == 4 ? AF_INET : AF_INET6, value->bytes, text, INET6_ADDRSTRLEN);
}

static enum routing judge_addresses(const struct routing_facts *facts, char *note, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	const struct resolver_value *foreign6 = routing_find(facts, &facts->name_aaaa, false);
	const struct resolver_value *foreign4 = routing_find(facts, &facts->name_a, false);
	bool ours = routing_find(facts, &facts->name_a, true) || routing_find(facts, &facts->name_aaaa, true);
	if (ours && foreign6) {
		snprintf(note, size, "A left-over AAAA record leads to %s: remove it.",
		    address_text(foreign6, text));
		return ROUTING_ELSEWHERE;
	}
	if (ours && foreign4) {
		snprintf(note, size, "The name points here, but a second A record leads to %s: remove it.",
		    address_text(foreign4, text));
		return ROUTING_HERE;
	}
	if (ours) {
		snprintf(note, size, "The name points here.");
		return ROUTING_HERE;
	}
	if (!foreign4 && !foreign6) {
		snprintf(note, size, "The name has no address yet.");
		return ROUTING_ELSEWHERE;
	}
	snprintf(note, size, "The name still points elsewhere (%s).",
	    address_text(foreign4 ? foreign4 : foreign6, text));
	return ROUTING_ELSEWHERE;
}

enum routing routing_check(const struct routing_facts *facts, char *note, size_t size)
{
	if (chain_ends_at_target(facts)) {
		snprintf(note, size, "The name points here.");
		return ROUTING_HERE;
	}
	if (!known(&facts->name_a) || !known(&facts->name_aaaa)) {
		snprintf(note, size, "Where the name points could not be looked up.");
		return ROUTING_UNKNOWN;
	}
	enum routing routing = judge_addresses(facts, note, size);
	bool target_known = known(&facts->target_a) && known(&facts->target_aaaa);
	if (routing == ROUTING_ELSEWHERE && !target_known && facts->name_a.count + facts->name_aaaa.count) {
		snprintf(note, size, "Our own address %s could not be looked up.", facts->target);
		return ROUTING_UNKNOWN;
	}
	return routing;
}
