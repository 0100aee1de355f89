#include "verifier/diagnose/zone_walk.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

enum { STEP_MS = 1500, REFERRAL_MS = 1000, PARENTS = 2 };

size_t zone_walk_first_level(size_t climb_count)
{
	return climb_count > WALK_LEVELS_MAX ? climb_count - WALK_LEVELS_MAX : 0;
}

static int time_left(const struct zone_walk *walk, int most)
{
	int64_t left = walk->deadline_ms - clock_monotonic_ms();
	return left < 0 ? 0 : left < most ? (int)left : most;
}

/* ---- servers into the look ---- */

static struct server_look *add_server(struct dns_look *look, const char *name)
{
	if (look->server_count == LOOK_SERVERS_MAX)
		return NULL;
	struct server_look *server = &look->servers[look->server_count++];
	*server = (struct server_look){.standing = SERVER_SILENT};
	server->txt = server->a = server->aaaa = server->caa =
	    (struct resolver_answer){.outcome = RESOLVER_TEMPORARY};
	snprintf(server->name, sizeof server->name, "%s", name);
	return server;
}

/* For the server that was added last. */
static void add_target(struct zone_walk *walk, const struct dns_look *look, const struct ask_server *target)
{
	size_t last = look->server_count - 1;
	for (size_t i = 0; i < last && !walk->target_of[last]; i++)
		if (strcmp(look->servers[i].address, look->servers[last].address) == 0)
			walk->target_of[last] = walk->target_of[i];
	if (walk->target_of[last])
		return;
	walk->targets[walk->target_count++] = *target;
	walk->target_of[last] = walk->target_count;
}

static void set_address(struct server_look *server, const unsigned char *bytes, size_t size)
{
	inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, server->address, sizeof server->address);
}

/* A name server with the address that it is asked at; size 0: it has none. */
static void add_reached(
    struct zone_walk *walk, struct dns_look *look, const char *name, const unsigned char *bytes, size_t size)
{
	struct ask_server target;
	struct server_look *server = add_server(look, name);
	if (!server || !size)
		return;
	set_address(server, bytes, size);
	if (look_access_allow(walk->access, bytes, size, &target))
		add_target(walk, look, &target);
	else
		server->standing = SERVER_PRIVATE;
}

static void add_name(struct zone_look *zone, const char *name)
{
	if (zone->name_count < LOOK_NAMES_MAX)
		snprintf(zone->names[zone->name_count++], sizeof zone->names[0], "%s", name);
}

static void take_names(struct zone_look *zone, const struct resolver_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		char name[HOSTNAME_MAX + 1];
		dns_name_text(name, answer->values[i].bytes, answer->values[i].size);
		add_name(zone, name);
	}
}

/* ---- their addresses ---- */

struct addresses {
	size_t count;
	struct resolver_question questions[2 * LOOK_SERVERS_MAX];
	struct resolver_answer answers[2 * LOOK_SERVERS_MAX]; /* A and AAAA of each name */
};

static void look_up(struct zone_walk *walk, const struct zone_look *zone, struct addresses *out)
{
	out->count = 0;
	for (size_t i = 0; i < zone->name_count && i < LOOK_SERVERS_MAX; i++) {
		out->questions[out->count++] = (struct resolver_question){zone->names[i], RESOLVER_A};
		out->questions[out->count++] = (struct resolver_question){zone->names[i], RESOLVER_AAAA};
	}
	resolver_ask(walk->resolver, walk->subject, out->questions, out->count, time_left(walk, STEP_MS),
	    out->answers);
}

static void forget(struct addresses *addresses)
{
	for (size_t i = 0; i < addresses->count; i++)
		resolver_answer_free(&addresses->answers[i]);
}

static const struct resolver_value *first_address(const struct addresses *addresses, size_t name)
{
	for (size_t i = 2 * name; i < 2 * name + 2; i++)
		if (addresses->answers[i].count)
			return &addresses->answers[i].values[0];
	return NULL;
}

static void add_looked_up(struct zone_walk *walk, struct dns_look *look, const struct addresses *addresses)
{
	for (size_t i = 0; 2 * i < addresses->count; i++) {
		const struct resolver_value *value = first_address(addresses, i);
		add_reached(
		    walk, look, look->zone.names[i], value ? value->bytes : NULL, value ? value->size : 0);
	}
}

/* ---- a zone that the operator's settings lead to ---- */

/* They go by their addresses: which of the zone's name servers they are is nobody's to say. */
static void add_stubs(struct zone_walk *walk, struct dns_look *look, const char *stub)
{
	struct ask_server servers[ASK_SERVERS_MAX];
	size_t count = look_access_stub_servers(walk->access, stub, servers);
	for (size_t i = 0; i < count; i++) {
		char address[NET_ADDRESS_TEXT];
		struct server_look *server =
		    add_server(look, net_format_address(&servers[i].address, address));
		if (!server)
			break;
		snprintf(server->address, sizeof server->address, "%s", address);
		add_target(walk, look, &servers[i]);
	}
}

/* ---- a zone whose own servers do not answer ---- */

/* Asks the servers of the zone above. R_OK: the reply says to whom the zone is delegated, or that there is
 * none. */
static enum result ask_parent(
    struct zone_walk *walk, const struct resolver_answer *parent, struct dns_reply *out)
{
	struct zone_look zone = {.name_count = 0};
	struct addresses addresses;
	struct ask_server servers[PARENTS];
	struct ask_result results[PARENTS];
	size_t count = 0;
	struct dns_question question = {.type = RESOLVER_NS};
	enum result result = R_NONE;
	snprintf(question.name, sizeof question.name, "%s", walk->name);
	take_names(&zone, parent);
	look_up(walk, &zone, &addresses);
	for (size_t i = 0; 2 * i < addresses.count && count < PARENTS; i++) {
		const struct resolver_value *value = first_address(&addresses, i);
		count += value && look_access_allow(walk->access, value->bytes, value->size, &servers[count]);
	}
	forget(&addresses);
	server_ask(servers, count, &question, 1, time_left(walk, REFERRAL_MS), results);
	for (size_t i = 0; i < count; i++) {
		const struct dns_reply *reply = &results[i].reply;
		bool is_useful =
		    results[i].outcome == ASK_REPLIED && (reply->cut[0] || reply->is_authoritative);
		if (result == R_NONE && is_useful) {
			*out = *reply;
			result = R_OK;
		} else {
			dns_reply_fini(&results[i].reply);
		}
	}
	return result;
}

static void add_delegates(struct zone_walk *walk, struct dns_look *look, const struct dns_reply *reply)
{
	struct addresses addresses;
	bool has_glue = true;
	snprintf(look->zone.name, sizeof look->zone.name, "%s", reply->cut);
	for (size_t i = 0; i < reply->delegate_count; i++) {
		add_name(&look->zone, reply->delegates[i].name);
		has_glue = has_glue && reply->delegates[i].glue_size;
	}
	if (!has_glue) {
		look_up(walk, &look->zone, &addresses);
		add_looked_up(walk, look, &addresses);
		forget(&addresses);
		return;
	}
	for (size_t i = 0; i < reply->delegate_count; i++)
		add_reached(walk, look, reply->delegates[i].name, reply->delegates[i].glue,
		    reply->delegates[i].glue_size);
}

static void walk_by_parent(
    struct zone_walk *walk, const struct resolver_answer *parent, struct dns_look *look)
{
	enum { NXDOMAIN = 3 };
	struct dns_reply reply;
	if (ask_parent(walk, parent, &reply) != R_OK)
		return;
	if (reply.code == NXDOMAIN) {
		look->zone.standing = ZONE_NONE;
	} else if (reply.cut[0]) {
		look->zone.standing = ZONE_FOUND;
		add_delegates(walk, look, &reply);
	}
	dns_reply_fini(&reply);
}

/* ---- the walk ---- */

static bool is_broken(enum resolver_outcome outcome)
{
	return outcome == RESOLVER_TEMPORARY || outcome == RESOLVER_BOGUS;
}

static void walk_found(struct zone_walk *walk, const char *zone, const struct resolver_answer *answer,
    const char *stub, struct dns_look *look)
{
	struct addresses addresses;
	look->zone.standing = ZONE_FOUND;
	snprintf(look->zone.name, sizeof look->zone.name, "%s", zone);
	if (answer)
		take_names(&look->zone, answer);
	if (stub) {
		add_stubs(walk, look, stub);
		return;
	}
	look_up(walk, &look->zone, &addresses);
	add_looked_up(walk, look, &addresses);
	forget(&addresses);
}

/* The stub's zone, or one below it that the same servers have. */
static void walk_stub(struct zone_walk *walk, const char *stub, const char *found,
    const struct resolver_answer *answer, struct dns_look *look)
{
	bool is_below = found && strlen(found) >= strlen(stub);
	walk_found(walk, is_below ? found : stub, is_below ? answer : NULL, stub, look);
}

void zone_walk(struct zone_walk *walk, const char *const *levels, const struct resolver_answer *answers,
    size_t count, struct dns_look *look)
{
	const char *registrable = hostname_registrable(walk->name);
	const char *stub = look_access_stub_zone(walk->access, walk->name);
	bool is_broken_zone = false, is_missing = false;
	size_t at = 0;
	for (; at < count && answers[at].outcome != RESOLVER_FOUND; at++) {
		is_broken_zone = is_broken_zone || is_broken(answers[at].outcome);
		is_missing =
		    is_missing || (levels[at] == registrable && answers[at].outcome == RESOLVER_NO_NAME);
	}
	bool found = at < count;
	if (stub)
		walk_stub(walk, stub, found ? levels[at] : NULL, found ? &answers[at] : NULL, look);
	else if (found && is_missing)
		look->zone.standing = ZONE_NONE;
	else if (found && is_broken_zone)
		walk_by_parent(walk, &answers[at], look);
	else if (found)
		walk_found(walk, levels[at], &answers[at], NULL, look);
}
