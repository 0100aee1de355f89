/*
 * The zone as a whole: is it there, do its servers answer for it, can its DNSSEC be trusted?
 */
#include <stdio.h>
#include <string.h>

#include "verifier/diagnose/judge_servers.h"

/* All the servers, by what became of asking them. */
struct tally {
	size_t all, good;
	struct server_list lame, failing, silent, private;
};

static void count_server(struct tally *tally, const struct server_look *server)
{
	tally->all++;
	switch (server->standing) {
	case SERVER_ANSWERS: tally->good++; return;
	case SERVER_REFUSES:
	case SERVER_IS_LAME: server_list_add(&tally->lame, server); return;
	case SERVER_FAILS: server_list_add(&tally->failing, server); return;
	case SERVER_SILENT:
	case SERVER_GARBLES: server_list_add(&tally->silent, server); return;
	case SERVER_PRIVATE: server_list_add(&tally->private, server); return;
	}
}

static struct tally tally_servers(const struct dns_look *look)
{
	struct tally tally = {.all = 0};
	for (size_t i = 0; i < look->server_count; i++)
		count_server(&tally, &look->servers[i]);
	return tally;
}

static const struct resolver_answer *bogus_answer(const struct judge_case *facts)
{
	const struct resolver_answer *answers[] = {
	    facts->txt, &facts->routing->name_a, &facts->routing->name_aaaa};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		if (answers[i]->outcome == RESOLVER_BOGUS)
			return answers[i];
	return NULL;
}

static bool judge_dnssec(const struct judge_case *facts, struct verdicts *out)
{
	const struct resolver_answer *answer = bogus_answer(facts);
	if (!answer)
		return false;
	if (facts->look && facts->look->root_is_bogus) {
		struct verdict *verdict = verdicts_add(out, VERDICT_DNSSEC_NOT_CHECKABLE);
		verdict_say(verdict,
		    "DNSSEC could not be checked, because even the root of DNS does not validate "
		    "here. This says nothing about %s.",
		    facts->name);
		verdict_mend(verdict, "The operator looks at the server's clock, and at the setting "
				      "dns-trust-anchor.");
		return true;
	}
	struct verdict *verdict = verdicts_add(out, VERDICT_DNSSEC_BOGUS);
	verdict_say(verdict,
	    "The DNSSEC signatures of %s are broken, so its records cannot be trusted, and "
	    "certificate authorities refuse them.",
	    judge_zone_name(facts));
	verdict_mend(verdict,
	    "Sign the zone again at the DNS provider; or, where it is not meant to be signed (after a "
	    "move to another provider, say), remove the DS record at the registrar.");
	return true;
}

static bool is_unknown(const struct resolver_answer *answer)
{
	return answer->outcome == RESOLVER_TEMPORARY;
}

static void judge_lame(const struct judge_case *facts, const struct tally *tally, struct verdicts *out)
{
	struct verdict *verdict = verdicts_add(out, VERDICT_LAME_DELEGATION);
	const char *zone = judge_zone_name(facts);
	if (tally->private.count == tally->all)
		verdict_say(verdict,
		    "The name servers of %s (%s) have private addresses, which nobody on the internet "
		    "can reach.",
		    zone, tally->private.text);
	else
		verdict_say(verdict, "%s is delegated to name servers that do not know it: %s.", zone,
		    tally->lame.count ? tally->lame.text : tally->private.text);
	verdict_mend(verdict,
	    "At the registrar, enter the name servers of the DNS provider that holds the zone; or "
	    "create the zone %s at the provider of these servers.",
	    zone);
}

/* None of the servers is of any use, and the look-ups came to nothing. */
static void judge_useless(const struct judge_case *facts, const struct tally *tally, struct verdicts *out)
{
	const char *zone = judge_zone_name(facts);
	if (tally->all && tally->lame.count + tally->private.count == tally->all) {
		judge_lame(facts, tally, out);
	} else if (tally->failing.count) {
		struct verdict *verdict = verdicts_add(out, VERDICT_SERVFAIL);
		verdict_say(verdict,
		    "The name servers of %s answer with an error of their own (SERVFAIL): %s.", zone,
		    tally->failing.text);
		verdict_mend(
		    verdict, "Usually this passes; it is tried again. If it lasts, ask the DNS provider.");
	} else if (tally->all) {
		struct verdict *verdict = verdicts_add(out, VERDICT_SERVERS_SILENT);
		verdict_say(verdict, "The name servers of %s do not answer: %s.", zone,
		    tally->silent.count ? tally->silent.text : tally->lame.text);
		verdict_mend(
		    verdict, "Usually this passes; it is tried again. If it lasts, ask the DNS provider.");
	}
}

static void judge_some(const struct judge_case *facts, const struct tally *tally, struct verdicts *out)
{
	const struct server_list *list = tally->lame.count ? &tally->lame : &tally->failing;
	if (!list->count)
		return;
	struct verdict *verdict = verdicts_add(out, VERDICT_LAME_SERVER);
	verdict_say(verdict, "%zu of %zu name servers of %s %s not answer for it: %s.", list->count,
	    tally->all, judge_zone_name(facts), list->count == 1 ? "does" : "do", list->text);
	verdict_mend(verdict,
	    "The others do, so this is no obstacle. Remove the server from the delegation at the "
	    "registrar, or have its operator load the zone.");
}

static void judge_missing(const struct judge_case *facts, struct verdicts *out)
{
	const char *zone = hostname_registrable(facts->name);
	struct verdict *verdict = verdicts_add(out, VERDICT_ZONE_MISSING);
	verdict_say(verdict, "The domain %s is not in DNS at all.", zone ? zone : facts->name);
	verdict_mend(verdict,
	    "Check its spelling. If it is right, the domain is not registered, has expired, or has no "
	    "name servers at the registrar.");
}

void judge_zone(const struct judge_case *facts, struct verdicts *out)
{
	if (judge_dnssec(facts, out) || !facts->look)
		return;
	if (facts->look->zone.standing == ZONE_NONE) {
		judge_missing(facts, out);
		return;
	}
	struct tally tally = tally_servers(facts->look);
	if (tally.good)
		judge_some(facts, &tally, out);
	else if (is_unknown(facts->txt) && is_unknown(&facts->routing->name_a))
		judge_useless(facts, &tally, out);
}
