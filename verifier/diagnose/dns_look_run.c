#include "verifier/diagnose/dns_look_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "verifier/diagnose/zone_walk.h"

/* What a stage may take of the whole. */
enum { FIRST_MS = 2500, PLACES_MS = 1500, SERVERS_MS = 2000, HOP_MS = 1000, ROOT_MS = 1000 };

struct run {
	const struct look_request *request;
	struct dns_look *look;
	struct zone_walk walk;
	int64_t deadline_ms;
	/* A subject for each stage: its look-ups may share a context with each other and with the ordinary
	 * check, never with those of an earlier look. */
	char subject[HOSTNAME_MAX + 16];
};

static int time_left(const struct run *run, int most)
{
	int64_t left = run->deadline_ms - clock_monotonic_ms();
	return left < 0 ? 0 : left < most ? (int)left : most;
}

static void begin_stage(struct run *run, const char *stage)
{
	snprintf(run->subject, sizeof run->subject, "%s/%s", stage, run->request->name);
}

/* ---- the zone, and CAA ---- */

static void find_zone(struct run *run)
{
	enum { MOST = WALK_LEVELS_MAX + CAA_CLIMB_MAX + 1 };
	struct dns_look *look = run->look;
	struct resolver_question questions[MOST];
	struct resolver_answer answers[MOST];
	size_t first = zone_walk_first_level(look->climb_count), levels = look->climb_count - first,
	       count = 0;
	for (size_t i = first; i < look->climb_count; i++)
		questions[count++] = (struct resolver_question){look->climb[i], RESOLVER_NS};
	for (size_t i = 0; i < look->climb_count; i++)
		questions[count++] = (struct resolver_question){look->climb[i], RESOLVER_CAA};
	questions[count++] = (struct resolver_question){run->request->name, RESOLVER_TXT};
	begin_stage(run, "zone");
	resolver_ask(
	    run->request->resolver, run->subject, questions, count, time_left(run, FIRST_MS), answers);
	memcpy(look->caa, &answers[levels], look->climb_count * sizeof *answers);
	look->bare = answers[count - 1];
	begin_stage(run, "servers");
	zone_walk(&run->walk, &look->climb[first], answers, levels, look);
	for (size_t i = 0; i < levels; i++)
		resolver_answer_free(&answers[i]);
}

/* ---- places where records land by mistake ---- */

static void look_at_places(struct run *run)
{
	enum { PLACES = 3 };
	struct dns_look *look = run->look;
	const char *zone = look->zone.name, *name = run->request->name;
	if (!zone[0])
		return;
	snprintf(look->doubled_name, sizeof look->doubled_name, "%s.%s", run->request->txt_name, zone);
	snprintf(look->doubled_cname_name, sizeof look->doubled_cname_name, "%s.%s", name, zone);
	snprintf(look->without_subdomain_name, sizeof look->without_subdomain_name, "%s.%s",
	    run->request->label, zone);
	const struct resolver_question questions[PLACES] = {{look->doubled_name, RESOLVER_TXT},
	    {look->doubled_cname_name, RESOLVER_CNAME}, {look->without_subdomain_name, RESOLVER_TXT}};
	struct resolver_answer answers[PLACES];
	/* At the top of the zone that is the right place. */
	size_t count = strcmp(zone, name) == 0 ? PLACES - 1 : PLACES;
	begin_stage(run, "places");
	resolver_ask(
	    run->request->resolver, run->subject, questions, count, time_left(run, PLACES_MS), answers);
	look->doubled = answers[0];
	look->doubled_cname = answers[1];
	if (count == PLACES)
		look->without_subdomain = answers[2];
}

/* ---- each name server ---- */

enum { ASK_ZONE, ASK_TXT, ASK_A, ASK_AAAA, ASK_CAA, ASK_ZONE_CAA, ASKS };

static void set_question(struct dns_question *question, const char *name, enum resolver_type type)
{
	*question = (struct dns_question){.type = type};
	snprintf(question->name, sizeof question->name, "%s", name);
}

static enum server_standing standing_of(const struct ask_result *result)
{
	enum { NOERROR = 0, FORMERR = 1, SERVFAIL = 2, NXDOMAIN = 3, NOTIMP = 4 };
	const struct dns_reply *reply = &result->reply;
	switch (result->outcome) {
	case ASK_SILENT: return SERVER_SILENT;
	case ASK_GARBLED: return SERVER_GARBLES;
	case ASK_OWN: return SERVER_PRIVATE;
	case ASK_REPLIED: break;
	}
	switch (reply->code) {
	case NOERROR: return reply->is_authoritative ? SERVER_ANSWERS : SERVER_IS_LAME;
	case NXDOMAIN: return SERVER_IS_LAME;
	case SERVFAIL: return SERVER_FAILS;
	case FORMERR:
	case NOTIMP: return SERVER_GARBLES;
	default: return SERVER_REFUSES;
	}
}

static void copy_answer(struct resolver_answer *out, const struct ask_result *result)
{
	const struct resolver_answer *from = &result->reply.answer;
	resolver_answer_free(out);
	*out = *from;
	out->values = mem_alloc_array(from->count + 1, sizeof *out->values);
	for (size_t i = 0; i < from->count; i++)
		out->values[i] = (struct resolver_value){
		    mem_copy(from->values[i].bytes, from->values[i].size), from->values[i].size};
}

/* Copies: a machine that has several names stands for several servers. */
static void copy_replies(struct server_look *server, const struct ask_result results[ASKS])
{
	const struct dns_reply *zone = &results[ASK_ZONE].reply, *address = &results[ASK_A].reply;
	server->standing = standing_of(&results[ASK_ZONE]);
	if (server->standing != SERVER_ANSWERS)
		return;
	server->has_serial = zone->has_serial;
	server->serial = zone->serial;
	snprintf(server->primary, sizeof server->primary, "%s", zone->primary);
	snprintf(server->alias, sizeof server->alias, "%s", address->alias);
	server->alias_loops = address->alias_loops;
	copy_answer(&server->txt, &results[ASK_TXT]);
	copy_answer(&server->a, &results[ASK_A]);
	copy_answer(&server->aaaa, &results[ASK_AAAA]);
	bool has_own = results[ASK_CAA].reply.answer.count || results[ASK_CAA].reply.alias[0];
	copy_answer(&server->caa, &results[has_own ? ASK_CAA : ASK_ZONE_CAA]);
}

static void ask_servers(struct run *run)
{
	const struct zone_walk *walk = &run->walk;
	const char *zone = run->look->zone.name, *name = run->request->name;
	struct dns_question questions[ASKS];
	struct ask_result *results = mem_alloc_array(walk->target_count * ASKS + 1, sizeof *results);
	set_question(&questions[ASK_ZONE], zone, RESOLVER_SOA);
	set_question(&questions[ASK_TXT], run->request->txt_name, RESOLVER_TXT);
	set_question(&questions[ASK_A], name, RESOLVER_A);
	set_question(&questions[ASK_AAAA], name, RESOLVER_AAAA);
	set_question(&questions[ASK_CAA], name, RESOLVER_CAA);
	set_question(&questions[ASK_ZONE_CAA], zone, RESOLVER_CAA);
	server_ask(walk->targets, walk->target_count, questions, ASKS, time_left(run, SERVERS_MS), results);
	for (size_t i = 0; i < run->look->server_count; i++)
		if (walk->target_of[i])
			copy_replies(&run->look->servers[i], &results[(walk->target_of[i] - 1) * ASKS]);
	for (size_t i = 0; i < walk->target_count * ASKS; i++)
		dns_reply_fini(&results[i].reply);
	free(results);
}

/* ---- aliases that lead on from the zone ---- */

static const char *first_alias(const struct dns_look *look)
{
	for (size_t i = 0; i < look->server_count; i++)
		if (look->servers[i].alias[0])
			return look->servers[i].alias;
	return "";
}

static bool is_in_chain(const struct dns_look *look, const char *name)
{
	for (size_t i = 0; i < look->chain_count; i++)
		if (strcmp(look->chain[i], name) == 0)
			return true;
	return false;
}

/* False: the chain ends here. */
static bool follow(struct run *run, char next[HOSTNAME_MAX + 1])
{
	const struct resolver_question question = {next, RESOLVER_CNAME};
	struct resolver_answer answer;
	begin_stage(run, next);
	resolver_ask(run->request->resolver, run->subject, &question, 1, time_left(run, HOP_MS), &answer);
	bool leads_on = answer.count > 0;
	if (leads_on)
		dns_name_text(next, answer.values[0].bytes, answer.values[0].size);
	resolver_answer_free(&answer);
	return leads_on;
}

/* Only where it does not lead to us: a circle may close far from the zone. */
static void follow_chain(struct run *run)
{
	struct dns_look *look = run->look;
	char next[HOSTNAME_MAX + 1];
	snprintf(next, sizeof next, "%s", first_alias(look));
	if (!next[0] || strcmp(next, run->request->target) == 0)
		return;
	snprintf(look->chain[look->chain_count++], sizeof look->chain[0], "%s", run->request->name);
	while (look->chain_count < LOOK_CHAIN_MAX && time_left(run, HOP_MS)) {
		look->chain_loops = is_in_chain(look, next);
		snprintf(look->chain[look->chain_count++], sizeof look->chain[0], "%s", next);
		if (look->chain_loops || !follow(run, next))
			break;
	}
}

/* ---- validation itself ---- */

static bool saw_bogus(const struct dns_look *look)
{
	for (size_t i = 0; i < look->climb_count; i++)
		if (look->caa[i].outcome == RESOLVER_BOGUS)
			return true;
	return look->bare.outcome == RESOLVER_BOGUS;
}

static void look_at_root(struct run *run)
{
	const struct resolver_question question = {".", RESOLVER_NS};
	struct resolver_answer answer;
	if (!saw_bogus(run->look))
		return;
	begin_stage(run, "root");
	resolver_ask(run->request->resolver, run->subject, &question, 1, time_left(run, ROOT_MS), &answer);
	run->look->root_is_bogus = answer.outcome == RESOLVER_BOGUS;
	resolver_answer_free(&answer);
}

struct dns_look *dns_look_run(const struct look_request *request)
{
	struct run run = {.request = request, .deadline_ms = clock_monotonic_ms() + LOOK_MS};
	run.look = mem_alloc(sizeof *run.look);
	run.look->bare = run.look->doubled = run.look->without_subdomain = run.look->doubled_cname =
	    (struct resolver_answer){.outcome = RESOLVER_TEMPORARY};
	snprintf(run.look->name, sizeof run.look->name, "%s", request->name);
	run.look->climb_count = caa_climb(run.look->name, run.look->climb);
	run.walk = (struct zone_walk){.resolver = request->resolver,
	    .access = request->access,
	    .name = run.look->name,
	    .subject = run.subject,
	    .deadline_ms = run.deadline_ms};
	find_zone(&run);
	ask_servers(&run);
	look_at_places(&run);
	follow_chain(&run);
	look_at_root(&run);
	return run.look;
}
