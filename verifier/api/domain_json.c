#include "verifier/api/domain_json.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "verifier/claim/records.h"
#include "verifier/diagnose/domain_state.h"

static void set_text(json_t *object, const char *name, const char *text)
{
	json_object_set_new(object, name, text ? json_string(text) : json_null());
}

static void append_record(json_t *list, const struct record *record, bool optional)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "type", record->type, "name", record->name, "value",
	    record->value, "purpose", record->purpose);
	if (record->note)
		set_text(json, "note", record->note);
	if (optional)
		json_object_set_new(json, "optional", json_true());
	json_array_append_new(list, json);
}

static void append_lasting(json_t *list, const struct domain_view *view)
{
	struct record record;
	char *lines = mem_string(view->lasting), *rest = lines;
	for (char *proof = strsep(&rest, "\n"); proof; proof = strsep(&rest, "\n"))
		if (records_lasting(proof, view->name, &record))
			append_record(list, &record, true);
	free(lines);
}

static json_t *records_json(const struct config *config, const struct domain_view *view)
{
	struct record records[RECORDS_MAX];
	json_t *list = json_array();
	if (strcmp(view->kind, "platform") == 0)
		return list;
	size_t count = records_of(
	    config, records_label(config, view->txt_label), view->name, view->tenant, view->token, records);
	for (size_t i = 0; i < count; i++)
		append_record(list, &records[i], false);
	append_lasting(list, view);
	return list;
}

static json_t *certificate_json(const struct domain_view *view)
{
	json_t *certificate = json_pack("{s:s}", "state", view->certificate);
	bool issued = strcmp(view->certificate, "issued") == 0;
	bool owned = strcmp(view->certificate, "none") != 0;
	if (issued) {
		set_text(certificate, "source", view->certificate_source);
		set_text(certificate, "issuer", view->certificate_issuer);
		set_text(certificate, "not_after", view->not_after);
	} else if (owned && view->certificate_reason) {
		set_text(certificate, "reason", view->certificate_reason);
		set_text(certificate, "next_try_at", view->next_try_at);
	}
	return certificate;
}

static json_t *found_json(const char *text)
{
	json_t *found = text ? json_loads(text, 0, NULL) : NULL;
	return found ? found : json_object();
}

/* Before the first diagnosis there is nothing to say. */
static void add_diagnosis(json_t *check, const json_t *diagnosis, bool with_servers)
{
	json_t *verdicts = json_object_get(diagnosis, "verdicts"),
	       *provider = json_object_get(diagnosis, "provider");
	json_t *servers = json_object_get(diagnosis, "servers");
	json_object_set_new(check, "verdicts", verdicts ? json_incref(verdicts) : json_array());
	json_object_set_new(check, "provider", provider ? json_incref(provider) : json_null());
	if (with_servers)
		json_object_set_new(check, "servers", servers ? json_incref(servers) : json_array());
}

static json_t *state_json(const struct domain_view *view, const json_t *diagnosis)
{
	const struct domain_state state = domain_state(view, json_object_get(diagnosis, "verdicts"));
	return json_pack("{s:s, s:s, s:s}", "code", state.code, "title", state.title, "who", state.who);
}

static json_t *last_check_json(const struct domain_view *view, const json_t *diagnosis, bool with_servers)
{
	if (!view->check_outcome)
		return json_null();
	json_t *check =
	    json_pack("{s:s, s:o}", "outcome", view->check_outcome, "found", found_json(view->check_found));
	set_text(check, "detail", view->check_detail);
	set_text(check, "at", view->checked_at);
	set_text(check, "by", view->checked_by);
	add_diagnosis(check, diagnosis, with_servers);
	return check;
}

static json_t *make_json(const struct config *config, const struct domain_view *view, bool with_servers)
{
	json_t *domain = json_object(), *diagnosis = found_json(view->diagnosis);
	char unicode[HOSTNAME_UNICODE_MAX];
	hostname_unicode(unicode, view->name);
	set_text(domain, "name", view->name);
	set_text(domain, "unicode_name", unicode);
	set_text(domain, "tenant", view->tenant);
	set_text(domain, "status", view->status);
	set_text(domain, "kind", view->kind);
	set_text(domain, "suspended_by", view->suspended_by);
	json_object_set_new(domain, "state", state_json(view, diagnosis));
	json_object_set_new(domain, "certificate", certificate_json(view));
	json_object_set_new(domain, "records", records_json(config, view));
	json_object_set_new(domain, "points_here",
	    view->points_here ? json_boolean(view->points_here[0] == 't') : json_null());
	json_object_set_new(domain, "options", found_json(view->options));
	set_text(domain, "created_at", view->created_at);
	set_text(domain, "verified_at", view->verified_at);
	set_text(domain, "next_check_at", view->next_check_at);
	json_object_set_new(domain, "last_check", last_check_json(view, diagnosis, with_servers));
	json_decref(diagnosis);
	return domain;
}

json_t *domain_json(const struct config *config, const struct domain_view *view)
{
	return make_json(config, view, true);
}

json_t *domain_json_short(const struct config *config, const struct domain_view *view)
{
	return make_json(config, view, false);
}

json_t *domain_json_check(const struct domain_verdict *verdict)
{
	return json_pack("{s:s, s:s, s:o, s:i}", "outcome", txt_outcome_name(verdict->txt), "detail",
	    verdict->detail, "found", found_json(verdict->found), "took_ms", verdict->took_ms);
}
