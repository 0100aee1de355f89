#include "verifier/diagnose/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verifier/claim/txt_check.h"

/* clang-format off */
const struct verdict_kind verdict_kinds[VERDICT_CODES] = {
	[VERDICT_TXT_OK] = {"txt_ok", STEP_OWNERSHIP, VERDICT_OK, "nobody", "Ownership proven"},
	[VERDICT_TXT_MISSING] = {"txt_missing", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Add the TXT record"},
	[VERDICT_TXT_WRONG_VALUE] =
		{"txt_wrong_value", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Correct the TXT record's value"},
	[VERDICT_TXT_OLD_VALUE] =
		{"txt_old_value", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Replace the TXT record's old value"},
	[VERDICT_TXT_QUOTED_TWICE] =
		{"txt_quoted_twice", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Take the quotes out of the TXT record"},
	[VERDICT_TXT_ZONE_APPENDED] =
		{"txt_zone_appended", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Correct the TXT record's value"},
	[VERDICT_TXT_ALTERED] =
		{"txt_altered", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Correct the TXT record's value"},
	[VERDICT_TXT_NAME_DOUBLED] =
		{"txt_name_doubled", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Shorten the TXT record's name"},
	[VERDICT_TXT_ON_BARE_NAME] =
		{"txt_on_bare_name", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Correct the TXT record's name"},
	[VERDICT_TXT_WITHOUT_SUBDOMAIN] =
		{"txt_without_subdomain", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Complete the TXT record's name"},
	[VERDICT_TXT_BEHIND_ALIAS] =
		{"txt_behind_alias", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Replace an alias by the TXT record"},
	[VERDICT_TXT_ON_SOME_SERVERS] =
		{"txt_on_some_servers", STEP_OWNERSHIP, VERDICT_WAIT, "nobody", "The TXT record is spreading"},
	[VERDICT_TXT_OWNED_BY_ANOTHER] =
		{"txt_owned_by_another", STEP_OWNERSHIP, VERDICT_ACT, "customer", "In use by another account"},
	[VERDICT_TXT_COULD_NOT_CHECK] =
		{"txt_could_not_check", STEP_OWNERSHIP, VERDICT_UNKNOWN, "nobody", "The TXT record could not be checked"},
	[VERDICT_ZONE_MISSING] =
		{"zone_missing", STEP_OWNERSHIP, VERDICT_ACT, "customer", "The domain is not in DNS"},
	[VERDICT_ZONE_SPLIT] =
		{"zone_split", STEP_OWNERSHIP, VERDICT_ACT, "customer", "Two DNS providers answer differently"},
	[VERDICT_DNSSEC_BOGUS] =
		{"dnssec_bogus", STEP_OWNERSHIP, VERDICT_ACT, "customer", "The domain's DNSSEC is broken"},
	[VERDICT_DNSSEC_NOT_CHECKABLE] =
		{"dnssec_not_checkable", STEP_OWNERSHIP, VERDICT_UNKNOWN, "operator", "DNSSEC cannot be checked here"},
	[VERDICT_SERVFAIL] =
		{"servfail", STEP_OWNERSHIP, VERDICT_UNKNOWN, "dns_provider", "The DNS provider has a fault"},
	[VERDICT_SERVERS_SILENT] =
		{"servers_silent", STEP_OWNERSHIP, VERDICT_UNKNOWN, "dns_provider", "The name servers do not answer"},
	[VERDICT_LAME_DELEGATION] =
		{"lame_delegation", STEP_OWNERSHIP, VERDICT_ACT, "customer", "The domain's name servers do not know it"},
	[VERDICT_LAME_SERVER] =
		{"lame_server", STEP_OWNERSHIP, VERDICT_OK, "dns_provider", "A name server does not know the domain"},
	[VERDICT_ROUTING_OK] = {"routing_ok", STEP_ROUTING, VERDICT_OK, "nobody", "Points here"},
	[VERDICT_ROUTING_MISSING] =
		{"routing_missing", STEP_ROUTING, VERDICT_ACT, "customer", "Point the domain here"},
	[VERDICT_ROUTING_ELSEWHERE] =
		{"routing_elsewhere", STEP_ROUTING, VERDICT_ACT, "customer", "Point the domain here"},
	[VERDICT_ROUTING_ON_SOME_SERVERS] =
		{"routing_on_some_servers", STEP_ROUTING, VERDICT_WAIT, "nobody", "The change is spreading"},
	[VERDICT_CNAME_AT_APEX] =
		{"cname_at_apex", STEP_ROUTING, VERDICT_ACT, "customer", "Replace the CNAME by addresses"},
	[VERDICT_CNAME_NAME_DOUBLED] =
		{"cname_name_doubled", STEP_ROUTING, VERDICT_ACT, "customer", "Shorten the CNAME record's name"},
	[VERDICT_CNAME_ZONE_APPENDED] =
		{"cname_zone_appended", STEP_ROUTING, VERDICT_ACT, "customer", "Correct the CNAME record's value"},
	[VERDICT_CNAME_LEADS_NOWHERE] =
		{"cname_leads_nowhere", STEP_ROUTING, VERDICT_ACT, "customer", "Correct the CNAME record's value"},
	[VERDICT_CNAME_LOOP] = {"cname_loop", STEP_ROUTING, VERDICT_ACT, "customer", "Break the loop of aliases"},
	[VERDICT_LEFTOVER_AAAA] =
		{"leftover_aaaa", STEP_ROUTING, VERDICT_ACT, "customer", "Remove a left-over AAAA record"},
	[VERDICT_SECOND_A] = {"second_a", STEP_ROUTING, VERDICT_ACT, "customer", "Remove a second A record"},
	[VERDICT_BEHIND_CDN] =
		{"behind_cdn", STEP_ROUTING, VERDICT_UNKNOWN, "customer", "Behind a CDN"},
	[VERDICT_OUR_ADDRESS_UNKNOWN] =
		{"our_address_unknown", STEP_ROUTING, VERDICT_UNKNOWN, "operator", "Our own address could not be looked up"},
	[VERDICT_ROUTING_COULD_NOT_CHECK] =
		{"routing_could_not_check", STEP_ROUTING, VERDICT_UNKNOWN, "nobody", "Where it points could not be checked"},
	[VERDICT_CAA_OK] = {"caa_ok", STEP_CERTIFICATE, VERDICT_OK, "nobody", "CAA allows the certificate"},
	[VERDICT_CAA_FORBIDS] =
		{"caa_forbids", STEP_CERTIFICATE, VERDICT_ACT, "customer", "Add a CAA record"},
	[VERDICT_CAA_OTHER_ACCOUNT] =
		{"caa_other_account", STEP_CERTIFICATE, VERDICT_ACT, "customer", "Add a CAA record"},
	[VERDICT_CAA_OTHER_METHOD] =
		{"caa_other_method", STEP_CERTIFICATE, VERDICT_ACT, "customer", "Add a CAA record"},
	[VERDICT_CAA_BY_DNS_ONLY] =
		{"caa_by_dns_only", STEP_CERTIFICATE, VERDICT_UNKNOWN, "customer", "CAA allows validation by DNS only"},
	[VERDICT_CAA_CRITICAL] =
		{"caa_critical", STEP_CERTIFICATE, VERDICT_ACT, "customer", "Remove a CAA record"},
	[VERDICT_CAA_COULD_NOT_CHECK] =
		{"caa_could_not_check", STEP_CERTIFICATE, VERDICT_UNKNOWN, "nobody", "CAA could not be checked"},
};
/* clang-format on */

const char *verdict_state_name(enum verdict_state state)
{
	static const char *const names[] = {[VERDICT_OK] = "ok",
	    [VERDICT_WAIT] = "wait",
	    [VERDICT_ACT] = "act",
	    [VERDICT_UNKNOWN] = "unknown"};
	return names[state];
}

const char *verdict_step_name(enum verdict_step step)
{
	static const char *const names[] = {
	    [STEP_OWNERSHIP] = "ownership", [STEP_ROUTING] = "routing", [STEP_CERTIFICATE] = "certificate"};
	return names[step];
}

struct verdict *verdicts_add(struct verdicts *verdicts, enum verdict_code code)
{
	if (verdicts->count < VERDICTS_MAX)
		verdicts->count++;
	struct verdict *verdict = &verdicts->list[verdicts->count - 1];
	*verdict = (struct verdict){.code = code};
	return verdict;
}

bool verdicts_have(const struct verdicts *verdicts, enum verdict_code code)
{
	for (size_t i = 0; i < verdicts->count; i++)
		if (verdicts->list[i].code == code)
			return true;
	return false;
}

/* What is longer is cut, at a character. */
__attribute__((format(printf, 3, 0))) static void go_on(
    char *text, size_t size, const char *format, va_list arguments)
{
	size_t used = strlen(text);
	bool is_cut = vsnprintf(text + used, size - used, format, arguments) >= (int)(size - used);
	for (size_t end = strlen(text); is_cut && end && (unsigned char)text[end - 1] >= 0x80; end--)
		text[end - 1] = '\0';
}

void verdict_say(struct verdict *verdict, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	go_on(verdict->summary, sizeof verdict->summary, format, arguments);
	va_end(arguments);
}

void verdict_mend(struct verdict *verdict, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	go_on(verdict->mend, sizeof verdict->mend, format, arguments);
	va_end(arguments);
}

void verdict_record(
    struct verdict *verdict, const char *action, const char *type, const char *name, const char *value)
{
	verdict->action = action;
	verdict->type = type;
	snprintf(verdict->name, sizeof verdict->name, "%s", name);
	snprintf(verdict->value, sizeof verdict->value, "%s", value);
}

void verdict_found(struct verdict *verdict, const void *bytes, size_t size)
{
	if (verdict->found_count == VERDICT_FOUND_MAX)
		return;
	const struct resolver_value value = {(unsigned char *)bytes, size};
	txt_value_text(&value, verdict->found[verdict->found_count++], VERDICT_FOUND);
}

static json_t *record_json(const struct verdict *verdict)
{
	if (!verdict->action)
		return json_null();
	json_t *found = json_array();
	for (size_t i = 0; i < verdict->found_count; i++)
		json_array_append_new(found, json_string(verdict->found[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:o}", "action", verdict->action, "type", verdict->type,
	    "name", verdict->name, "value", verdict->value, "found", found);
}

static json_t *verdict_json(const struct verdict *verdict)
{
	const struct verdict_kind *kind = &verdict_kinds[verdict->code];
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "code", kind->code, "step",
	    verdict_step_name(kind->step), "state", verdict_state_name(kind->state), "who", kind->who,
	    "title", kind->title, "summary", verdict->summary, "mend",
	    verdict->mend[0] ? json_string(verdict->mend) : json_null(), "record", record_json(verdict));
}

json_t *verdicts_json(const struct verdicts *verdicts)
{
	json_t *list = json_array();
	for (size_t i = 0; i < verdicts->count; i++)
		json_array_append_new(list, verdict_json(&verdicts->list[i]));
	return list;
}
