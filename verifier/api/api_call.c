#include "verifier/api/api_call.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "verifier/claim/name_rules.h"
#include "verifier/http/problem.h"

static char *text_of(const json_t *json, size_t *size)
{
	char *text = json_dumps(json, JSON_INDENT(2));
	*size = strlen(text) + 1;
	text = mem_resize(text, *size);
	text[*size - 1] = '\n'; /* in place of the NUL: kind to terminals */
	return text;
}

static void make_tag(const char *text, size_t size, char tag[API_TAG])
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	SHA256((const unsigned char *)text, size, hash);
	snprintf(tag, API_TAG, "\"%02x%02x%02x%02x%02x%02x%02x%02x\"", hash[0], hash[1], hash[2], hash[3],
	    hash[4], hash[5], hash[6], hash[7]);
}

/* Is the tag in a list of tags, or is that `*`? A weak tag (W/"…") is as good where `weak`. */
static bool is_listed(const char *list, const char *tag, bool weak)
{
	const char *found = strstr(list, tag);
	if (!found)
		return strspn(list, " \t*") == strlen(list) && strchr(list, '*');
	bool is_weak = found - list >= 2 && strncmp(found - 2, "W/", 2) == 0;
	return weak || !is_weak;
}

void api_call_json(struct api_call *call, unsigned status, json_t *json)
{
	call->reply->status = status;
	call->reply->type = "application/json";
	call->reply->body = text_of(json, &call->reply->size);
	json_decref(json);
}

void api_call_show(struct api_call *call, json_t *json)
{
	char tag[API_TAG];
	const char *known = mhd_request_header(call->request, MHD_HTTP_HEADER_IF_NONE_MATCH);
	api_call_json(call, MHD_HTTP_OK, json);
	make_tag(call->reply->body, call->reply->size, tag);
	mhd_reply_header(call->reply, MHD_HTTP_HEADER_ETAG, "%s", tag);
	if (!known || strcmp(call->request->method, "GET") != 0 || !is_listed(known, tag, true))
		return;
	free(call->reply->body);
	call->reply->body = NULL;
	call->reply->size = 0;
	call->reply->type = NULL;
	call->reply->status = MHD_HTTP_NOT_MODIFIED;
}

json_t *api_page_json(
    const char *name, const PGresult *rows, int limit, json_t *(*row_json)(const PGresult *rows, int row))
{
	json_t *list = json_array();
	int count = PQntuples(rows);
	for (int i = 0; i < count && i < limit; i++)
		json_array_append_new(list, row_json(rows, i));
	return json_pack("{s:o, s:o}", name, list, "next",
	    count > limit ? json_string(pg_get(rows, limit - 1, 0)) : json_null());
}

bool api_call_if_match(struct api_call *call, const json_t *json)
{
	char tag[API_TAG];
	size_t size = 0;
	const char *wanted = mhd_request_header(call->request, MHD_HTTP_HEADER_IF_MATCH);
	if (!wanted)
		return true;
	char *text = text_of(json, &size);
	make_tag(text, size, tag);
	free(text);
	if (is_listed(wanted, tag, false))
		return true;
	problem_reply(call->reply, MHD_HTTP_PRECONDITION_FAILED, "changed_meanwhile", NULL,
	    "This has changed since you read it: get it again, and send its ETag as If-Match.");
	return false;
}

bool api_call_is_operator(const struct api_call *call)
{
	return !call->scope.tenant;
}

struct pg *api_call_database(struct api_call *call)
{
	struct error error = {""};
	struct pg *pg = pg_pool_take(call->pool, &error);
	if (!pg)
		problem_reply_down(call->reply, &error);
	return pg;
}

bool api_call_text(struct api_call *call, const char *field, size_t most, const char **out)
{
	const json_t *value = json_object_get(call->body, field);
	*out = json_string_value(value);
	if (!value || json_is_null(value))
		return true;
	if (*out && strlen(*out) <= most && strlen(*out) == json_string_length(value))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_field", field,
	    "%s: must be a string of at most %zu bytes, without NUL.", field, most);
	return false;
}

bool api_call_number(struct api_call *call, const char *field, int64_t most, char text[24], bool *is_null)
{
	const json_t *value = json_object_get(call->body, field);
	json_int_t number = json_integer_value(value);
	text[0] = '\0';
	*is_null = json_is_null(value);
	if (!value || *is_null)
		return true;
	if (json_is_integer(value) && number >= 0 && number <= most) {
		snprintf(text, 24, "%lld", (long long)number);
		return true;
	}
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_field", field,
	    "%s: must be a whole number from 0 to %lld, or null for the setting's.", field, (long long)most);
	return false;
}

bool api_call_is_tenant(struct api_call *call, const char *tenant)
{
	if (!config_is_tenant(tenant)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_tenant", "tenant",
		    "tenant: must be 1 to 63 of a-z 0-9 _ -, and begin with a letter or digit.");
		return false;
	}
	if (scope_holds(&call->scope, tenant))
		return true;
	problem_reply(call->reply, MHD_HTTP_FORBIDDEN, "other_tenant", "tenant",
	    "This token is for the tenant %s: leave the tenant out, or use the operator's token.",
	    call->scope.tenant);
	return false;
}

bool api_call_tenant(struct api_call *call, const char **tenant)
{
	*tenant = mhd_request_query(call->request, "tenant");
	return !*tenant || api_call_is_tenant(call, *tenant);
}

bool api_call_can_seal(struct api_call *call)
{
	if (call->config->seal_keys)
		return true;
	problem_reply(call->reply, MHD_HTTP_CONFLICT, "sealing_not_set_up", NULL,
	    "This server cannot keep secrets: its setting seal-public-file is not set.");
	return false;
}

static bool read_digits(const char *text, int64_t *number)
{
	size_t size = strspn(text, "0123456789");
	*number = size && size <= 18 && !text[size] ? strtoll(text, NULL, 10) : -1;
	return *number >= 0;
}

bool api_call_limit(struct api_call *call, int *limit)
{
	const char *text = mhd_request_query(call->request, "limit");
	int64_t number = API_PAGE_DEFAULT;
	bool ok = !text || (read_digits(text, &number) && number >= 1 && number <= API_PAGE_MAX);
	*limit = (int)number;
	if (!ok)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_limit", "limit",
		    "limit: must be a number from 1 to %d.", API_PAGE_MAX);
	return ok;
}

bool api_call_place(struct api_call *call, int64_t *place)
{
	const char *text = mhd_request_query(call->request, "cursor");
	*place = 0;
	if (!text || read_digits(text, place))
		return true;
	problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_cursor", "cursor",
	    "cursor: must be the `next` of an earlier answer.");
	return false;
}

bool api_call_choice(
    struct api_call *call, const char *parameter, const char *const *choices, const char **out)
{
	char list[800] = "";
	*out = mhd_request_query(call->request, parameter);
	for (size_t i = 0; choices[i]; i++) {
		size_t used = strlen(list);
		if (!*out || strcmp(*out, choices[i]) == 0)
			return true;
		snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", choices[i]);
	}
	char code[64];
	snprintf(code, sizeof code, "invalid_%s", parameter);
	problem_reply(
	    call->reply, MHD_HTTP_BAD_REQUEST, code, parameter, "%s: must be one of %s.", parameter, list);
	return false;
}

bool api_call_name(struct api_call *call, const char *text, struct hostname *name)
{
	struct name_verdict verdict;
	bool ok = name_rules_read(text, &verdict);
	*name = verdict.name;
	if (!ok)
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, verdict.code, "name", "%s", verdict.detail);
	return ok;
}

static bool read_id(struct api_call *call, int place, const char *what, int64_t *id)
{
	if (read_digits(call->values[place], id))
		return true;
	problem_reply(call->reply, MHD_HTTP_NOT_FOUND, "not_found", NULL, "There is no such %s.", what);
	return false;
}

bool api_call_id(struct api_call *call, const char *what, int64_t *id)
{
	return read_id(call, 0, what, id);
}

bool api_call_second_id(struct api_call *call, const char *what, int64_t *id)
{
	return read_id(call, 1, what, id);
}

void api_set_text(json_t *object, const char *name, const char *text)
{
	json_object_set_new(object, name, text ? json_string(text) : json_null());
}

void api_set_number(json_t *object, const char *name, const char *digits)
{
	json_object_set_new(object, name, digits ? json_integer(strtoll(digits, NULL, 10)) : json_null());
}
