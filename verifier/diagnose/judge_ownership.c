/*
 * Is the TXT record where it must be, on every server, with the right value? And if not, what did the
 * customer most likely do instead?
 */
#include <stdio.h>
#include <string.h>

#include "verifier/diagnose/judge_servers.h"
#include "verifier/diagnose/txt_difference.h"

static bool holds(const struct judge_case *facts, const struct resolver_answer *answer)
{
	return txt_check(answer, facts->records[0].value) == TXT_VERIFIED;
}

static bool server_has_it(const struct judge_case *facts, const struct server_look *server)
{
	return holds(facts, &server->txt);
}

static bool server_lacks_it(const struct judge_case *facts, const struct server_look *server)
{
	enum txt_outcome outcome = txt_check(&server->txt, facts->records[0].value);
	return outcome == TXT_ABSENT || outcome == TXT_MISMATCH;
}

static void want_record(const struct judge_case *facts, struct verdict *verdict, const char *action)
{
	verdict_record(verdict, action, "TXT", facts->records[0].name, facts->records[0].value);
}

static void show_found(struct verdict *verdict, const struct resolver_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		verdict_found(verdict, answer->values[i].bytes, answer->values[i].size);
}

/* Not all of the servers have it. */
static void judge_spreading(const struct judge_case *facts, const struct server_list *having,
    const struct server_list *lacking, struct verdicts *out)
{
	bool is_split = judge_zone_is_split(facts);
	struct verdict *verdict =
	    verdicts_add(out, is_split ? VERDICT_ZONE_SPLIT : VERDICT_TXT_ON_SOME_SERVERS);
	if (!is_split) {
		judge_say_spreading(verdict, "The TXT record is", having, lacking);
		return;
	}
	verdict_say(verdict,
	    "%s is served by two DNS providers, and only one of them has the TXT record: %s has it, %s has "
	    "not.",
	    judge_zone_name(facts), having->text, lacking->text);
	verdict_mend(verdict,
	    "Add the record at the other provider too; or, at the registrar, leave only the name "
	    "servers of one of them.");
	want_record(facts, verdict, "add");
}

/* ---- the right value at the wrong place ---- */

struct place {
	const struct resolver_answer *answer;
	enum verdict_code code;
	const char *name;
};

static void say_misplaced(const struct judge_case *facts, const struct place *place, struct verdicts *out)
{
	const char *right = facts->records[0].name;
	struct verdict *verdict = verdicts_add(out, place->code);
	verdict_say(verdict, "The TXT record has the right value, but the wrong name: %s instead of %s.",
	    place->name, right);
	if (place->code == VERDICT_TXT_NAME_DOUBLED)
		verdict_mend(verdict,
		    "The DNS provider adds %s to each name by itself: leave it out of the name "
		    "field, so that the record is called %s.",
		    judge_zone_name(facts), right);
	else
		verdict_mend(verdict, "Change the record's name so that it is called %s.", right);
	want_record(facts, verdict, "change");
	verdict_found(verdict, place->name, strlen(place->name));
}

static bool judge_misplaced(const struct judge_case *facts, struct verdicts *out)
{
	const struct dns_look *look = facts->look;
	if (!look)
		return false;
	const struct place places[] = {
	    {&look->doubled, VERDICT_TXT_NAME_DOUBLED, look->doubled_name},
	    {&look->bare, VERDICT_TXT_ON_BARE_NAME, facts->name},
	    {&look->without_subdomain, VERDICT_TXT_WITHOUT_SUBDOMAIN, look->without_subdomain_name},
	};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (!holds(facts, places[i].answer))
			continue;
		say_misplaced(facts, &places[i], out);
		return true;
	}
	return false;
}

/* ---- another value at the right place ---- */

static enum txt_difference nearest_difference(const struct judge_case *facts)
{
	enum txt_difference nearest = TXT_IS_FOREIGN;
	for (size_t i = 0; i < facts->txt->count; i++) {
		enum txt_difference difference = txt_difference(&facts->txt->values[i],
		    facts->records[0].value, judge_zone_name(facts), facts->saas_root);
		nearest = difference > nearest ? difference : nearest;
	}
	return nearest;
}

/* The codes have one sentence each; those of an altered value one for what was altered. */
static const struct {
	enum verdict_code code;
	const char *summary, *mend;
} differences[] = {
    [TXT_IS_FOREIGN] = {VERDICT_TXT_WRONG_VALUE, "has another value than the one that is wanted",
	"Add a TXT record of this name with exactly the value below. Other TXT records may stay."},
    [TXT_IS_OLD] = {VERDICT_TXT_OLD_VALUE,
	"has a value of this platform, but not this domain's: it is from an earlier set-up, or was made for "
	"another account",
	"Replace it by the value below."},
    [TXT_HAS_MORE] = {VERDICT_TXT_ALTERED, "has the right value with something more around it",
	"Make the value exactly the one below, with nothing before or after it."},
    [TXT_IS_CUT] = {VERDICT_TXT_ALTERED, "has a value that was cut off",
	"Copy the whole of the value below; the copy button takes all of it."},
    [TXT_HAS_CASE] = {VERDICT_TXT_ALTERED, "has the right value in capital letters",
	"Write the value in small letters, exactly as below."},
    [TXT_HAS_BLANKS] = {VERDICT_TXT_ALTERED, "has blanks or line ends around its value",
	"Make the value exactly the one below, with nothing before or after it."},
    [TXT_HAS_DOT] = {VERDICT_TXT_ALTERED, "has a dot behind its value",
	"Take the dot at the end of the value away."},
    [TXT_HAS_ZONE] = {VERDICT_TXT_ZONE_APPENDED, "has the name of the domain behind its value",
	"Make the value exactly the one below. Where the DNS provider adds the domain by itself, a dot at "
	"the end "
	"of the value stops it."},
    [TXT_HAS_QUOTES] = {VERDICT_TXT_QUOTED_TWICE, "has quotation marks that have become part of its value",
	"Enter the value without quotation marks: the DNS provider adds its own."},
};

static void judge_value(const struct judge_case *facts, struct verdicts *out)
{
	enum txt_difference difference = nearest_difference(facts);
	struct verdict *verdict = verdicts_add(out, differences[difference].code);
	verdict_say(
	    verdict, "The TXT record %s %s.", facts->records[0].name, differences[difference].summary);
	verdict_mend(verdict, "%s", differences[difference].mend);
	want_record(facts, verdict, difference == TXT_IS_FOREIGN ? "add" : "change");
	show_found(verdict, facts->txt);
}

/* ---- nothing at the right place ---- */

static void judge_absent(const struct judge_case *facts, struct verdicts *out)
{
	const char *name = facts->records[0].name;
	bool is_alias = facts->txt->canonical[0];
	struct verdict *verdict =
	    verdicts_add(out, is_alias ? VERDICT_TXT_BEHIND_ALIAS : VERDICT_TXT_MISSING);
	if (is_alias) {
		verdict_say(verdict, "%s is an alias (CNAME) of ", name);
		verdict_say(verdict, "%s, where there is no such TXT record.", facts->txt->canonical);
		verdict_mend(verdict,
		    "Add a TXT record of this name. Where a CNAME record has exactly this name, remove "
		    "that first; one for all names (*) may stay.");
	} else {
		verdict_say(verdict, "There is no TXT record %s yet.", name);
		verdict_mend(verdict,
		    "Add it at the DNS provider of %s. If you have just done so, it may take some "
		    "minutes; it is looked for by itself.",
		    judge_zone_name(facts));
	}
	want_record(facts, verdict, "add");
}

static void judge_unproven(const struct judge_case *facts, struct verdicts *out)
{
	struct server_list having = judge_servers(facts, server_has_it);
	struct server_list lacking = judge_servers(facts, server_lacks_it);
	bool has_values = facts->txt->outcome == RESOLVER_FOUND && facts->txt->count;
	if (having.count && lacking.count)
		judge_spreading(facts, &having, &lacking, out);
	else if (has_values && nearest_difference(facts) > TXT_IS_OLD)
		judge_value(facts, out);
	else if (judge_misplaced(facts, out))
		return;
	else if (has_values && !facts->txt->canonical[0])
		judge_value(facts, out);
	else
		judge_absent(facts, out);
}

static void judge_proven(const struct judge_case *facts, struct verdicts *out)
{
	struct server_list having = judge_servers(facts, server_has_it);
	struct server_list lacking = judge_servers(facts, server_lacks_it);
	if (facts->is_owned_by_another) {
		struct verdict *verdict = verdicts_add(out, VERDICT_TXT_OWNED_BY_ANOTHER);
		verdict_say(verdict,
		    "The TXT record is right, but %s is in use by another account, whose record is "
		    "still there too.",
		    facts->name);
		verdict_mend(verdict,
		    "Release the domain there; or, if that account has no right to it, remove its value "
		    "from the TXT record %s.",
		    facts->records[0].name);
	} else if (having.count && lacking.count) {
		judge_spreading(facts, &having, &lacking, out);
	} else {
		struct verdict *verdict = verdicts_add(out, VERDICT_TXT_OK);
		verdict_say(verdict, "The TXT record %s is in place.", facts->records[0].name);
	}
}

/* The zone's verdict has the cause, where it is known. */
static void judge_unknown(const struct judge_case *facts, struct verdicts *out)
{
	struct server_list having = judge_servers(facts, server_has_it);
	struct verdict *verdict = verdicts_add(out, VERDICT_TXT_COULD_NOT_CHECK);
	verdict_say(verdict, "The TXT record %s could not be looked up", facts->records[0].name);
	if (having.count)
		verdict_say(verdict, ", although %s %s it", having.text, having.count == 1 ? "has" : "have");
	verdict_say(verdict, ". Nothing was changed; it will be tried again.");
}

void judge_ownership(const struct judge_case *facts, struct verdicts *out)
{
	switch (txt_check(facts->txt, facts->records[0].value)) {
	case TXT_VERIFIED: judge_proven(facts, out); return;
	case TXT_ABSENT:
	case TXT_MISMATCH: judge_unproven(facts, out); return;
	case TXT_TEMPORARY:
	case TXT_BOGUS: judge_unknown(facts, out); return;
	}
}
