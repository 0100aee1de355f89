#include "verifier/diagnose/diagnosis_json.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "verifier/diagnose/judge_servers.h"
#include "verifier/diagnose/provider.h"

/* Of each list of a server. */
enum { SHOWN_VALUES = 8, SHOWN_TEXT = VERDICT_FOUND };

static json_t *texts_json(
    const struct resolver_answer *answer, void (*write)(const struct resolver_value *, char *, size_t))
{
	json_t *list = json_array();
	for (size_t i = 0; i < answer->count && i < SHOWN_VALUES; i++) {
		char text[SHOWN_TEXT];
		write(&answer->values[i], text, sizeof text);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void write_address(const struct resolver_value *value, char *text, size_t size)
{
	inet_ntop(value->size == 4 ? AF_INET : AF_INET6, value->bytes, text, (socklen_t)size);
}

static const char *standing_text(const struct server_look *server)
{
	switch (server->standing) {
	case SERVER_ANSWERS: return NULL;
	case SERVER_SILENT: return server->address[0] ? "does not answer" : "its name has no address";
	case SERVER_FAILS: return "answers with an error of its own (SERVFAIL)";
	case SERVER_REFUSES: return "refuses to answer for this domain";
	case SERVER_IS_LAME: return "does not know this domain";
	case SERVER_GARBLES: return "its answer could not be read";
	case SERVER_PRIVATE: return "its address is private; it was not asked";
	}
	return NULL;
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *server_json(const struct server_look *server)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", server->name, "address",
	    server->address, "error", text_or_null(standing_text(server)), "txt",
	    texts_json(&server->txt, txt_value_text), "cname", text_or_null(server->alias), "a",
	    texts_json(&server->a, write_address), "aaaa", texts_json(&server->aaaa, write_address), "caa",
	    texts_json(&server->caa, caa_text));
}

static json_t *servers_json(const struct dns_look *look)
{
	json_t *list = json_array();
	for (size_t i = 0; look && i < look->server_count; i++)
		json_array_append_new(list, server_json(&look->servers[i]));
	return list;
}

/* Of the records that are wanted, and of those that a verdict names. */
static json_t *names_json(const struct judge_case *facts, const struct provider *provider,
    const struct verdicts *verdicts, const char *zone)
{
	json_t *names = json_object();
	char text[VERDICT_NAME];
	for (size_t i = 0; i < facts->record_count; i++) {
		provider_type_name(provider, facts->records[i].name, zone, text, sizeof text);
		json_object_set_new(names, facts->records[i].name, json_string(text));
	}
	for (size_t i = 0; i < verdicts->count; i++) {
		if (!verdicts->list[i].action)
			continue;
		provider_type_name(provider, verdicts->list[i].name, zone, text, sizeof text);
		json_object_set_new(names, verdicts->list[i].name, json_string(text));
	}
	return names;
}

static json_t *provider_json(const struct judge_case *facts, const struct verdicts *verdicts)
{
	const struct zone_look *zone = facts->look ? &facts->look->zone : NULL;
	const struct provider *provider =
	    zone ? provider_find(zone->names[0], sizeof zone->names[0], zone->name_count) : NULL;
	if (!provider)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:o, s:o}", "id", provider->id, "title",
	    provider->title, "zone", zone->name, "fields", "name", provider->name_field, "value",
	    provider->value_field, "names", names_json(facts, provider, verdicts, zone->name), "hint",
	    text_or_null(provider->hint));
}

json_t *diagnosis_json(const struct judge_case *facts, const struct verdicts *verdicts)
{
	return json_pack("{s:o, s:o, s:o}", "verdicts", verdicts_json(verdicts), "provider",
	    provider_json(facts, verdicts), "servers", servers_json(facts->look));
}
