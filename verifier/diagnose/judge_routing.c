/*
 * Where does the domain lead, and which record has to change so that it leads here?
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "verifier/diagnose/cdn.h"
#include "verifier/diagnose/judge_servers.h"

enum { NOTE_SIZE = 300 };

struct route {
	const struct judge_case *facts;
	enum routing routing;
	const char *alias; /* where the domain's CNAME leads, as far as is known; "": it has none */
	bool is_apex;      /* of a zone: no CNAME may stand there */
	struct verdicts *out;
};

static const char *address_text(const struct resolver_value *value, char text[INET6_ADDRSTRLEN])
{
	return inet_ntop(value->size == 4 ? AF_INET : AF_INET6, value->bytes, text, INET6_ADDRSTRLEN);
}

/* The domain's own CNAME where a server told it, else the end of the chain. */
static const char *find_alias(const struct judge_case *facts)
{
	const struct routing_facts *routing = facts->routing;
	for (size_t i = 0; facts->look && i < facts->look->server_count; i++)
		if (facts->look->servers[i].alias[0])
			return facts->look->servers[i].alias;
	return routing->name_a.canonical[0] ? routing->name_a.canonical : routing->name_aaaa.canonical;
}

static bool is_apex(const struct judge_case *facts)
{
	bool is_zone = facts->look && facts->look->zone.standing == ZONE_FOUND &&
		       strcmp(facts->look->zone.name, facts->name) == 0;
	return is_zone || hostname_is_apex(facts->name);
}

static void show_alias(const struct route *route, struct verdict *verdict)
{
	if (route->alias[0])
		verdict_found(verdict, route->alias, strlen(route->alias));
}

static void show_addresses(struct verdict *verdict, const struct resolver_answer *answer)
{
	char text[INET6_ADDRSTRLEN];
	for (size_t i = 0; i < answer->count; i++)
		if (address_text(&answer->values[i], text))
			verdict_found(verdict, text, strlen(text));
}

static void show_all(const struct route *route, struct verdict *verdict)
{
	show_alias(route, verdict);
	show_addresses(verdict, &route->facts->routing->name_a);
	show_addresses(verdict, &route->facts->routing->name_aaaa);
}

/* The first record that is wanted for the routing. */
static void want_record(const struct route *route, struct verdict *verdict, const char *action)
{
	if (route->facts->record_count > 1) {
		const struct record *record = &route->facts->records[1];
		verdict_record(verdict, action, record->type, record->name, record->value);
	}
}

/* "A 192.0.2.1, AAAA 2001:db8::1", or what to use instead of them. */
static void say_apex_mend(const struct route *route, struct verdict *verdict)
{
	const struct routing_facts *routing = route->facts->routing;
	for (size_t i = 0; i < routing->apex_count; i++)
		verdict_mend(verdict, "%s%s %s",
		    i ? ", " : "Add these records: ", routing->apex[i].size == 4 ? "A" : "AAAA",
		    routing->apex[i].text);
	if (routing->apex_count)
		verdict_mend(verdict, ". ");
	verdict_mend(verdict, "%s DNS provider's ALIAS, ANAME or flattened CNAME record to %s%s.",
	    routing->apex_count ? "Or use the" : "Use your", routing->target,
	    routing->apex_count ? ", where it has one" : "");
}

/* ---- the domain leads here, but not alone ---- */

static void judge_leftover(const struct route *route, const struct resolver_value *value)
{
	char text[INET6_ADDRSTRLEN];
	bool is_v6 = value->size == 16;
	const char *name = route->facts->name;
	struct verdict *verdict = verdicts_add(route->out, is_v6 ? VERDICT_LEFTOVER_AAAA : VERDICT_SECOND_A);
	address_text(value, text);
	verdict_say(verdict, "%s points here, but another %s record leads to %s as well.", name,
	    is_v6 ? "AAAA" : "A", text);
	verdict_mend(verdict, "Remove that record: %s.",
	    is_v6 ? "browsers and certificate authorities that have IPv6 go there"
		  : "some visitors go there");
	verdict_record(verdict, "remove", is_v6 ? "AAAA" : "A", name, text);
	verdict_found(verdict, text, strlen(text));
}

/* Where a CNAME leads here, no address stands beside it; and those of its target may change from one look-up
 * to the next. */
static bool judge_leftovers(const struct route *route)
{
	enum { TOLD = 4 };
	const struct routing_facts *routing = route->facts->routing;
	const struct resolver_answer *answers[] = {&routing->name_aaaa, &routing->name_a};
	int told = 0;
	bool is_alias = routing->name_a.canonical[0] || routing->name_aaaa.canonical[0];
	if (is_alias || (!routing_find(routing, &routing->name_a, true) &&
			    !routing_find(routing, &routing->name_aaaa, true)))
		return false;
	for (size_t family = 0; family < 2; family++)
		for (size_t i = 0; i < answers[family]->count && told < TOLD; i++) {
			const struct resolver_answer one = {
			    .values = &answers[family]->values[i], .count = 1};
			if (!routing_find(routing, &one, false))
				continue;
			judge_leftover(route, one.values);
			told++;
		}
	return told;
}

/* ---- the domain leads elsewhere ---- */

static const char *find_cdn(const struct route *route)
{
	const struct routing_facts *routing = route->facts->routing;
	const struct resolver_answer *answers[] = {&routing->name_a, &routing->name_aaaa};
	const char *cdn = cdn_of_name(route->alias);
	if (!cdn && routing->name_a.canonical[0])
		cdn = cdn_of_name(routing->name_a.canonical);
	if (cdn)
		return cdn;
	for (size_t family = 0; family < 2; family++)
		for (size_t i = 0; i < answers[family]->count; i++) {
			const struct resolver_value *value = &answers[family]->values[i];
			cdn = cdn_of_address(value->bytes, value->size);
			if (!cdn)
				return NULL;
		}
	return cdn;
}

static void judge_cdn(const struct route *route, const char *cdn)
{
	struct verdict *verdict = verdicts_add(route->out, VERDICT_BEHIND_CDN);
	verdict_say(verdict,
	    "%s leads to %s, which hides where it goes from there: that can't be seen in DNS.",
	    route->facts->name, cdn);
	verdict_mend(verdict,
	    "If %s passes the domain on to %s, nothing needs to change. If not, set that as its origin, or "
	    "switch the proxy off for this record (\"DNS only\").",
	    cdn, route->facts->routing->target);
	show_all(route, verdict);
}

static bool is_zone_appended(const struct route *route)
{
	const char *target = route->facts->routing->target, *zone = judge_zone_name(route->facts);
	size_t size = strlen(target), alias = strlen(route->alias);
	return size && *zone && alias == size + 1 + strlen(zone) &&
	       strncasecmp(route->alias, target, size) == 0 && route->alias[size] == '.' &&
	       strcasecmp(route->alias + size + 1, zone) == 0;
}

static bool is_doubled(const struct route *route)
{
	const struct dns_look *look = route->facts->look;
	const char *target = route->facts->routing->target;
	for (size_t i = 0; look && i < look->doubled_cname.count; i++) {
		const struct resolver_value *value = &look->doubled_cname.values[i];
		if (value->size == strlen(target) && memcmp(value->bytes, target, value->size) == 0)
			return true;
	}
	return false;
}

static void judge_doubled(const struct route *route)
{
	const struct dns_look *look = route->facts->look;
	struct verdict *verdict = verdicts_add(route->out, VERDICT_CNAME_NAME_DOUBLED);
	verdict_say(verdict, "The CNAME record has the right value, but the wrong name: %s instead of %s.",
	    look->doubled_cname_name, route->facts->name);
	verdict_mend(verdict,
	    "The DNS provider adds %s to each name by itself: leave it out of the name field, so that "
	    "the record is called %s.",
	    judge_zone_name(route->facts), route->facts->name);
	want_record(route, verdict, "change");
	verdict_found(verdict, look->doubled_cname_name, strlen(look->doubled_cname_name));
}

static void judge_wrong_alias(const struct route *route, enum verdict_code code)
{
	struct verdict *verdict = verdicts_add(route->out, code);
	const char *target = route->facts->routing->target;
	if (code == VERDICT_CNAME_ZONE_APPENDED) {
		verdict_say(verdict, "The CNAME record of %s has the name of the domain behind its value.",
		    route->facts->name);
		verdict_mend(verdict,
		    "Enter the value with a dot at its end (%s.), so that the DNS provider adds nothing.",
		    target);
	} else {
		verdict_say(verdict, "The CNAME record of %s leads to %s, which has no address.",
		    route->facts->name, route->alias);
		verdict_mend(verdict, "Change its value to %s.", target);
	}
	want_record(route, verdict, "change");
	show_alias(route, verdict);
}

static void judge_other_place(const struct route *route)
{
	struct verdict *verdict = verdicts_add(route->out, VERDICT_ROUTING_ELSEWHERE);
	bool wants_alias =
	    route->facts->record_count > 1 && strcmp(route->facts->records[1].type, "CNAME") == 0;
	verdict_say(verdict, "%s still points elsewhere.", route->facts->name);
	if (route->is_apex)
		say_apex_mend(route, verdict);
	else if (route->alias[0] || !wants_alias)
		verdict_mend(verdict, "Change the record to the value below.");
	else
		verdict_mend(verdict,
		    "Remove its A and AAAA records and add the CNAME record below: they can't stand beside "
		    "each other.");
	want_record(route, verdict, "change");
	show_all(route, verdict);
}

static void judge_nowhere(const struct route *route)
{
	struct verdict *verdict = verdicts_add(route->out, VERDICT_ROUTING_MISSING);
	verdict_say(verdict, "%s has no address yet.", route->facts->name);
	if (route->is_apex)
		say_apex_mend(route, verdict);
	else
		verdict_mend(verdict, "Add the record below at the DNS provider of %s.",
		    judge_zone_name(route->facts));
	want_record(route, verdict, "add");
}

static void judge_elsewhere(const struct route *route)
{
	const struct routing_facts *routing = route->facts->routing;
	bool has_address = routing->name_a.count + routing->name_aaaa.count;
	const char *cdn = has_address ? find_cdn(route) : NULL;
	if (judge_leftovers(route))
		return;
	if (is_doubled(route))
		judge_doubled(route);
	else if (is_zone_appended(route))
		judge_wrong_alias(route, VERDICT_CNAME_ZONE_APPENDED);
	else if (cdn)
		judge_cdn(route, cdn);
	else if (route->alias[0] && !has_address)
		judge_wrong_alias(route, VERDICT_CNAME_LEADS_NOWHERE);
	else if (has_address)
		judge_other_place(route);
	else
		judge_nowhere(route);
}

/* ---- the servers do not agree ---- */

static bool server_leads_here(const struct judge_case *facts, const struct server_look *server)
{
	const struct routing_facts *routing = facts->routing;
	return strcmp(server->alias, routing->target) == 0 || routing_find(routing, &server->a, true) ||
	       routing_find(routing, &server->aaaa, true);
}

/* What leads to another alias may lead here from there. */
static bool server_leads_elsewhere(const struct judge_case *facts, const struct server_look *server)
{
	return !server->alias[0] && server->a.outcome != RESOLVER_TEMPORARY &&
	       server->aaaa.outcome != RESOLVER_TEMPORARY && !server_leads_here(facts, server);
}

static bool judge_disagreement(const struct route *route)
{
	struct server_list here = judge_servers(route->facts, server_leads_here);
	struct server_list elsewhere = judge_servers(route->facts, server_leads_elsewhere);
	if (!here.count || !elsewhere.count || verdicts_have(route->out, VERDICT_ZONE_SPLIT))
		return false;
	struct verdict *verdict = verdicts_add(route->out,
	    judge_zone_is_split(route->facts) ? VERDICT_ZONE_SPLIT : VERDICT_ROUTING_ON_SOME_SERVERS);
	judge_say_spreading(verdict, "The record that points here is", &here, &elsewhere);
	return true;
}

/* ---- could not be looked up ---- */

static bool chain_loops(const struct judge_case *facts)
{
	for (size_t i = 0; facts->look && i < facts->look->server_count; i++)
		if (facts->look->servers[i].alias_loops)
			return true;
	return facts->look && facts->look->chain_loops;
}

static void judge_loop(const struct route *route)
{
	const struct dns_look *look = route->facts->look;
	struct verdict *verdict = verdicts_add(route->out, VERDICT_CNAME_LOOP);
	verdict_say(verdict, "The aliases of %s go round in a circle", route->facts->name);
	for (size_t i = 0; i < look->chain_count; i++)
		verdict_say(verdict, "%s%s", i ? " → " : ": ", look->chain[i]);
	verdict_say(verdict, ".");
	verdict_mend(verdict, "Change the value of its CNAME record to %s.", route->facts->routing->target);
	want_record(route, verdict, "change");
	show_alias(route, verdict);
}

static void judge_unknown(const struct route *route)
{
	const struct routing_facts *routing = route->facts->routing;
	bool is_ours =
	    routing->name_a.outcome != RESOLVER_TEMPORARY && routing->name_a.outcome != RESOLVER_BOGUS &&
	    routing->name_aaaa.outcome != RESOLVER_TEMPORARY && routing->name_aaaa.outcome != RESOLVER_BOGUS;
	struct verdict *verdict =
	    verdicts_add(route->out, is_ours ? VERDICT_OUR_ADDRESS_UNKNOWN : VERDICT_ROUTING_COULD_NOT_CHECK);
	if (is_ours)
		verdict_say(verdict,
		    "Our own address %s could not be looked up, so it is not known whether %s points "
		    "here. Nothing is wrong with the domain for all we know.",
		    routing->target, route->facts->name);
	else
		verdict_say(verdict,
		    "Where %s points could not be looked up. Nothing was changed; it will be tried again.",
		    route->facts->name);
}

static void judge_apex_alias(const struct route *route)
{
	struct verdict *verdict = verdicts_add(route->out, VERDICT_CNAME_AT_APEX);
	verdict_say(verdict,
	    "%s is the top of its zone, where no CNAME record may stand: with one, mail and name servers "
	    "of the domain fail for some.",
	    route->facts->name);
	verdict_mend(verdict, "Remove the CNAME record. ");
	say_apex_mend(route, verdict);
	verdict_record(verdict, "remove", "CNAME", route->facts->name, route->alias);
	show_alias(route, verdict);
}

/* Only a server's own word: a provider that flattens shows addresses. */
static bool has_apex_alias(const struct route *route)
{
	for (size_t i = 0; route->is_apex && route->facts->look && i < route->facts->look->server_count; i++)
		if (route->facts->look->servers[i].alias[0])
			return true;
	return route->is_apex && hostname_is_apex(route->facts->name) && route->alias[0];
}

static void judge_here(const struct route *route)
{
	if (judge_leftovers(route) || judge_disagreement(route))
		return;
	struct verdict *verdict = verdicts_add(route->out, VERDICT_ROUTING_OK);
	verdict_say(verdict, "%s points here.", route->facts->name);
}

void judge_routing(const struct judge_case *facts, struct verdicts *out)
{
	char note[NOTE_SIZE];
	const struct route route = {.facts = facts,
	    .routing = routing_check(facts->routing, note, sizeof note),
	    .alias = find_alias(facts),
	    .is_apex = is_apex(facts),
	    .out = out};
	if (has_apex_alias(&route))
		judge_apex_alias(&route);
	else if (chain_loops(facts))
		judge_loop(&route);
	else if (route.routing == ROUTING_HERE)
		judge_here(&route);
	else if (route.routing == ROUTING_UNKNOWN)
		judge_unknown(&route);
	else if (!judge_disagreement(&route))
		judge_elsewhere(&route);
}
