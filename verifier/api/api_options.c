#include "verifier/api/api_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/domain/domain_options.h"
#include "verifier/http/problem.h"

/* Where requests go is the operator's to say: an edge connects to any address that it is told. So is how much
 * may be sent there: the option stands in the place of the operator's own limit. */
static const char *const operator_keys[] = {"upstream", "passthrough", "max_body"};

static enum result refuse_operator_keys(
    const struct scope *scope, const json_t *changes, char field[64], struct error *error)
{
	for (size_t i = 0; scope->tenant && i < sizeof operator_keys / sizeof *operator_keys; i++) {
		if (!json_object_get(changes, operator_keys[i]))
			continue;
		snprintf(field, 64, "options.%s", operator_keys[i]);
		error_set(error, "options.%s: only the operator may set it: leave it out", operator_keys[i]);
		return R_DENIED;
	}
	return R_OK;
}

/* Key by key, so that the answer names the one that is wrong. */
static enum result check_keys(const json_t *options, char field[64], struct error *error)
{
	const char *key = NULL;
	json_t *value = NULL;
	json_object_foreach((json_t *)(uintptr_t)options, key, value)
	{
		struct domain_options read = {.upstream = NULL};
		enum result result = domain_options_read(&read, key, value, error);
		domain_options_fini(&read);
		if (result == R_OK)
			continue;
		snprintf(field, 64, "options.%.50s", key);
		error_prefix(error, "%s", field);
		return result;
	}
	return R_OK;
}

enum result api_options_check(
    const struct scope *scope, const json_t *options, const char *name, char field[64], struct error *error)
{
	snprintf(field, 64, "options");
	if (!json_is_object(options)) {
		error_set(error, "options: must be an object, as in {\"minimum_tls\": \"1.3\"}");
		return R_INVALID;
	}
	enum result result = refuse_operator_keys(scope, options, field, error);
	if (result == R_OK)
		result = check_keys(options, field, error);
	return result == R_OK ? domain_options_check(options, name, error) : result;
}

/* RFC 7396, of the first level: an option's value is replaced as a whole. */
static json_t *merge(const char *stored, const json_t *changes)
{
	json_t *merged = stored ? json_loads(stored, 0, NULL) : NULL;
	const char *key = NULL;
	json_t *value = NULL;
	if (!merged)
		merged = json_object();
	json_object_foreach((json_t *)(uintptr_t)changes, key, value)
	{
		if (json_is_null(value))
			json_object_del(merged, key);
		else
			json_object_set(merged, key, value);
	}
	return merged;
}

/* What the operator has set is not checked against a tenant's rights when the tenant changes something else.
 */
static enum result check_merged(struct api_call *call, const json_t *changes, const json_t *merged,
    const char *name, char field[64], struct error *error)
{
	const struct scope operator_scope = {.tenant = NULL};
	enum result result = refuse_operator_keys(&call->scope, changes, field, error);
	return result == R_OK ? api_options_check(&operator_scope, merged, name, field, error) : result;
}

bool api_options_merge(struct api_call *call, const char *stored, const char *name, char **out)
{
	char field[64] = "options";
	struct error error = {""};
	const json_t *changes = json_object_get(call->body, "options");
	*out = NULL;
	if (!json_is_object(changes)) {
		problem_reply(call->reply, MHD_HTTP_BAD_REQUEST, "invalid_options", field,
		    "options: must be an object, as in {\"options\": {\"minimum_tls\": \"1.3\"}}.");
		return false;
	}
	json_t *merged = merge(stored, changes);
	enum result result = check_merged(call, changes, merged, name, field, &error);
	if (result == R_OK)
		*out = json_dumps(merged, JSON_COMPACT);
	else
		problem_reply(call->reply, result == R_DENIED ? MHD_HTTP_FORBIDDEN : MHD_HTTP_BAD_REQUEST,
		    result == R_DENIED ? "operator_only" : "invalid_options", field, "%s.", error.text);
	json_decref(merged);
	return result == R_OK;
}
