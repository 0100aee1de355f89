#include "verifier/api/import_line.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clean_text.h"
#include "common/base/mem.h"
#include "verifier/api/api_call.h"
#include "verifier/api/api_options.h"
#include "verifier/claim/name_rules.h"
#include "verifier/claim/records.h"
#include "verifier/http/json_body.h"

void import_line_refuse(struct import_line *line, const char *code, const char *field, const char *detail)
{
	line->code = code;
	clean_text(line->field, sizeof line->field, field ? field : "");
	clean_text(line->detail, sizeof line->detail, detail);
}

/* A member that is a string; false after a refusal. Absent: "". */
static bool read_text(struct import_line *line, const json_t *json, const char *field, const char **out)
{
	const json_t *value = json_object_get(json, field);
	*out = value ? json_string_value(value) : "";
	if (*out && (!value || strlen(*out) == json_string_length(value)))
		return true;
	import_line_refuse(line, "invalid_field", field, "must be a string without NUL");
	return false;
}

static bool is_made_of(const char *text, const char *bytes, size_t least, size_t most)
{
	size_t size = strlen(text);
	return size >= least && size <= most && strspn(text, bytes) == size;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789_-"

/* What a move from another system brings along: the record that is in DNS already. */
static bool read_brought(struct import_line *line, const struct scope *scope, const json_t *json)
{
	const char *token = NULL, *label = NULL, *status = NULL;
	struct domain_new *claim = &line->claim;
	if (!read_text(line, json, "token", &token) || !read_text(line, json, "txt_label", &label) ||
	    !read_text(line, json, "status", &status))
		return false;
	if (scope->tenant && (*token || *label || *status))
		import_line_refuse(line, "operator_only",
		    *token   ? "token"
		    : *label ? "txt_label"
			     : "status",
		    "only the operator may bring a token, a label or a status along: leave it out");
	else if (*token &&
		 !is_made_of(token, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ", TXT_TOKEN_LEAST, TXT_TOKEN_MAX))
		import_line_refuse(line, "invalid_token", "token", "must be 16 to 120 of A-Z a-z 0-9 _ -");
	else if (*label && !is_made_of(label, LOWER, 1, TXT_LABEL_MAX))
		import_line_refuse(line, "invalid_label", "txt_label", "must be 1 to 63 of a-z 0-9 _ -");
	else if (*status && strcmp(status, "active") != 0 && strcmp(status, "pending") != 0)
		import_line_refuse(line, "invalid_status", "status", "must be active or pending");
	if (line->code)
		return false;
	snprintf(claim->token, sizeof claim->token, "%s", token);
	snprintf(claim->txt_label, sizeof claim->txt_label, "%s", label);
	claim->is_active = strcmp(status, "active") == 0;
	return true;
}

static bool read_name(struct import_line *line, const struct config *config, const json_t *json)
{
	struct name_verdict verdict;
	const char *text = NULL;
	if (!read_text(line, json, "name", &text))
		return false;
	enum name_kind kind =
	    name_rules_judge(config, text, records_label(config, line->claim.txt_label), &verdict);
	snprintf(line->claim.name, sizeof line->claim.name, "%s", verdict.name.text);
	if (kind == NAME_REFUSED)
		import_line_refuse(line, verdict.code, "name", verdict.detail);
	else if (kind == NAME_PLATFORM)
		import_line_refuse(line, "platform_name", "name",
		    "belongs to the platform itself: the operator adds it with POST /v1/domains");
	return !line->code;
}

static bool read_tenant(struct import_line *line, const struct scope *scope, const json_t *json)
{
	const char *tenant = NULL;
	if (!read_text(line, json, "tenant", &tenant))
		return false;
	if (!*tenant)
		tenant = scope->tenant ? scope->tenant : API_DEFAULT_TENANT;
	if (!config_is_tenant(tenant))
		import_line_refuse(line, "invalid_tenant", "tenant",
		    "must be 1 to 63 of a-z 0-9 _ -, and begin with a letter or digit");
	else if (!scope_holds(scope, tenant))
		import_line_refuse(
		    line, "other_tenant", "tenant", "this token is for another tenant: leave it out");
	else
		snprintf(line->claim.tenant, sizeof line->claim.tenant, "%s", tenant);
	return !line->code;
}

static bool read_options(struct import_line *line, const struct scope *scope, const json_t *json)
{
	char field[64] = "options";
	struct error error = {""};
	const json_t *options = json_object_get(json, "options");
	if (!options)
		return true;
	if (api_options_check(scope, options, line->claim.name, field, &error) == R_OK)
		line->claim.options = json_dumps(options, JSON_COMPACT);
	else
		import_line_refuse(line, "invalid_options", field, error.text);
	return !line->code;
}

void import_line_read(struct import_line *line, const struct config *config, const struct scope *scope,
    const char *text, size_t size)
{
	static const char *const fields[] = {
	    "name", "tenant", "token", "txt_label", "status", "options", NULL};
	struct error error = {""};
	json_t *json = NULL;
	if (json_body_parse(&json, text, size, &error) != R_OK) {
		import_line_refuse(line, "invalid_json", NULL, error.text);
		return;
	}
	const char *unknown = json_body_unknown_field(json, fields);
	if (unknown)
		import_line_refuse(line, "unknown_field", unknown, "is unknown here: leave it out");
	else if (read_tenant(line, scope, json) && read_brought(line, scope, json) &&
		 read_name(line, config, json))
		read_options(line, scope, json);
	json_decref(json);
}

static void add_txt(json_t *answer, const struct import_line *line, const struct config *config)
{
	struct record record;
	const struct domain_new *claim = &line->claim;
	records_txt(config, records_label(config, claim->txt_label), claim->name, claim->token, &record);
	json_object_set_new(answer, "record",
	    json_pack("{s:s, s:s, s:s, s:s}", "type", record.type, "name", record.name, "value", record.value,
		"purpose", "ownership"));
}

char *import_line_answer(
    const struct import_line *line, const struct config *config, enum domain_added outcome)
{
	static const char *const results[] = {[DOMAIN_ADDED] = "added", [DOMAIN_EXISTS] = "exists"};
	bool refused = line->code || outcome > DOMAIN_EXISTS;
	const char *code = line->code               ? line->code
			   : outcome == DOMAIN_FULL ? "too_many_domains"
						    : "owned_by_another";
	json_t *answer =
	    json_pack("{s:i, s:s}", "line", line->number, "result", refused ? "refused" : results[outcome]);
	if (line->claim.name[0])
		json_object_set_new(answer, "name", json_string(line->claim.name));
	if (refused)
		json_object_set_new(answer, "code", json_string(code));
	if (refused && line->field[0])
		json_object_set_new(answer, "field", json_string(line->field));
	if (refused)
		json_object_set_new(answer, "detail",
		    json_string(line->code ? line->detail
				: outcome == DOMAIN_FULL
				    ? "the tenant has as many domains as it may have: raise its quota"
				    : "is in use by another tenant: it must be released there first"));
	if (!refused && outcome == DOMAIN_ADDED)
		add_txt(answer, line, config);
	char *text = json_dumps(answer, JSON_COMPACT);
	json_decref(answer);
	size_t size = strlen(text);
	text = mem_resize(text, size + 2);
	memcpy(text + size, "\n", 2);
	return text;
}

void import_line_fini(struct import_line *line)
{
	free(line->claim.options);
	line->claim.options = NULL;
}
