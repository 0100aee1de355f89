#include "common/explain/explain_summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/explain/explain_sql.h"
#include "common/pg/pg.h"

#define OWNER "('active', 'drifted', 'suspended')"
#define MAY_SEE "($1::text IS NULL OR d.tenant = $1 AND d.status IN " OWNER ")"

/* What is the owner's is left out where another tenant asks. */
const char explain_facts_sql[] =
    "SELECT d.status, d.kind, d.suspended_by,"
    " COALESCE(d.status IN ('active', 'drifted') AND d.options ? 'passthrough', false) AS is_passed_on,"
    " $1::text IS NULL AND EXISTS (SELECT 1 FROM handshakes h WHERE h.name = $2"
    "  AND h.answered_at > now() - interval '1 minute' AND (h.seen->>'passed')::bigint > 0) AS was_passed_on,"
    " " MAY_SEE " AND COALESCE(c.not_after > now(), false) AS has_certificate,"
    " CASE WHEN " MAY_SEE " AND c.not_after <= now() THEN " PG_UTC(
	"c.not_after") " END AS expired_at,"
		       " CASE WHEN " MAY_SEE " THEN j.state END AS job_state, CASE WHEN " MAY_SEE
		       " THEN j.waits_for END AS waits_for,"
		       " CASE WHEN " MAY_SEE " THEN " PG_UTC(
			   "j.next_try_at") " END AS next_try_at,"
					    " CASE WHEN " MAY_SEE " THEN j.last_error END AS last_error,"
					    " CASE WHEN " MAY_SEE " THEN j.last_actor END AS last_actor"
					    " FROM (SELECT $2::text AS name) n"
					    " LEFT JOIN LATERAL (SELECT * FROM domains WHERE name = n.name "
					    "AND ($1::text IS NULL OR tenant = $1)"
					    "  ORDER BY status IN " OWNER
					    " DESC, status = 'pending' DESC, id DESC LIMIT 1) d ON true"
					    " LEFT JOIN LATERAL (SELECT r.not_after FROM certificates r "
					    "WHERE " EXPLAIN_SERVES("r", "n.name") "  ORDER BY " EXPLAIN_RANK(
						"r",
						"n.name") " LIMIT 1) c ON true"
							  " LEFT JOIN issuance_jobs j ON j.name = n.name";

__attribute__((format(printf, 4, 5))) static void say(
    struct explain_summary *out, const char *code, const char *who, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	out->code = code;
	out->who = who;
	vsnprintf(out->text, sizeof out->text, format, arguments);
	va_end(arguments);
}

static bool is(const char *text, const char *word)
{
	return text && strcmp(text, word) == 0;
}

static const char *or_else(const char *text, const char *other)
{
	return text ? text : other;
}

static void say_unclaimed(struct explain_summary *out, const char *name, const struct explain_facts *facts)
{
	if (facts->has_certificate)
		say(out, "served", "nobody", "%s is served by its stored certificate; nobody has added it.",
		    name);
	else if (facts->was_passed_on)
		say(out, "served", "nobody",
		    "Nobody has added %s; its TLS is passed on unopened, by the edges' setting passthrough.",
		    name);
	else
		say(out, "not_added", "customer",
		    "Nobody has added %s: it is not served until its owner adds it and proves it.", name);
}

static void say_suspended(struct explain_summary *out, const char *name, const struct explain_facts *facts)
{
	if (is(facts->suspended_by, "drift"))
		say(out, "suspended", "customer",
		    "%s is suspended: its TXT record and its routing were both gone for too long. %s", name,
		    or_else(facts->dns_says, "It is served again once the TXT record is back."));
	else
		say(out, "suspended", "operator", "%s is suspended by the operator, who can resume it.",
		    name);
}

static void say_pending(struct explain_summary *out, const char *name, const struct explain_facts *facts)
{
	if (facts->dns_says)
		say(out, "pending", or_else(facts->dns_who, "customer"), "%s is not proven yet. %s", name,
		    facts->dns_says);
	else
		say(out, "pending", "customer",
		    "%s is not proven yet: visitors are refused until its TXT record is there and has been "
		    "seen.",
		    name);
}

static void say_failed(struct explain_summary *out, const char *name, const struct explain_facts *facts)
{
	const char *who = or_else(facts->last_actor, "ca");
	if (is(who, "customer") && facts->dns_says)
		say(out, "failed", or_else(facts->dns_who, "customer"), "%s has no certificate. %s", name,
		    facts->dns_says);
	else
		say(out, "failed", who, "%s has no certificate: %s The next try is at %s.", name,
		    or_else(facts->last_error, "the last try failed."),
		    or_else(facts->next_try_at, "no set time"));
}

static void say_without_certificate(
    struct explain_summary *out, const char *name, const struct explain_facts *facts)
{
	if (facts->waits_for)
		say(out, "waiting", "nobody", "%s has no certificate yet: %s Its turn comes at %s.", name,
		    facts->waits_for, or_else(facts->next_try_at, "no set time"));
	else if (is(facts->job_state, "failed"))
		say_failed(out, name, facts);
	else if (is(facts->job_state, "queued") || is(facts->job_state, "running"))
		say(out, "waiting", "nobody", "The certificate of %s is being obtained.", name);
	else if (facts->dns_says)
		say(out, "waiting", or_else(facts->dns_who, "customer"), "%s has no certificate yet. %s",
		    name, facts->dns_says);
	else if (facts->expired_at)
		say(out, "expired", "operator",
		    "The certificate of %s ended at %s, and no other is being obtained.", name,
		    facts->expired_at);
	else
		say(out, "waiting", "nobody",
		    "%s has no certificate yet: its first visitor has one obtained.", name);
}

static void say_owned(struct explain_summary *out, const char *name, const struct explain_facts *facts)
{
	const char *how = facts->is_passed_on ? " (its TLS is passed on unopened)" : "";

	if (!facts->has_certificate && !facts->is_passed_on)
		say_without_certificate(out, name, facts);
	else if (facts->dns_says)
		say(out, is(facts->status, "drifted") ? "drifted" : "served",
		    or_else(facts->dns_who, "customer"), "%s is served%s to whoever reaches us. %s", name,
		    how, facts->dns_says);
	else if (facts->refused.on)
		say(out, "served", facts->refused.who,
		    "%s is served%s, but %s refused the last visitor it had, at %s: %s", name, how,
		    facts->refused.on, facts->refused.at, facts->refused.why);
	else
		say(out, "served", "nobody", "%s is served%s; nothing is known to be wrong with it.", name,
		    how);
}

void explain_summarise(struct explain_summary *out, const char *name, const struct explain_facts *facts)
{
	if (!facts->status)
		say_unclaimed(out, name, facts);
	else if (is(facts->status, "released"))
		say(out, "released", "customer", "%s was released: whoever owns it now adds it anew.", name);
	else if (is(facts->status, "suspended"))
		say_suspended(out, name, facts);
	else if (is(facts->status, "pending"))
		say_pending(out, name, facts);
	else
		say_owned(out, name, facts);
}
