#include "verifier/http/json_body.h"

#include <stdbool.h>
#include <string.h>

enum { DEPTH_MAX = 16 };

/* The library's own limit of 2,048 levels is more than a connection's thread has stack for. */
static bool is_too_deep(const char *bytes, size_t size)
{
	int depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < size; i++) {
		if (quoted && bytes[i] == '\\')
			i++;
		else if (bytes[i] == '"')
			quoted = !quoted;
		else if (!quoted && (bytes[i] == '{' || bytes[i] == '['))
			depth++;
		else if (!quoted && (bytes[i] == '}' || bytes[i] == ']'))
			depth--;
		if (depth > DEPTH_MAX)
			return true;
	}
	return false;
}

enum result json_body_parse(json_t **out, const char *bytes, size_t size, struct error *error)
{
	if (is_too_deep(bytes, size)) {
		error_set(error, "the JSON is nested more than %d levels deep", DEPTH_MAX);
		return R_INVALID;
	}
	json_error_t problem;
	json_t *json = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &problem);
	if (!json) {
		error_set(error, "the body is no JSON: %s (line %d, column %d)", problem.text, problem.line,
		    problem.column);
		return R_INVALID;
	}
	if (!json_is_object(json)) {
		error_set(error, "the body must be a JSON object, as in {\"name\": \"shop.example.com\"}");
		json_decref(json);
		return R_INVALID;
	}
	*out = json;
	return R_OK;
}

static bool is_known(const char *name, const char *const *known)
{
	for (; *known; known++)
		if (strcmp(name, *known) == 0)
			return true;
	return false;
}

const char *json_body_unknown_field(const json_t *object, const char *const *known)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)object, name, value)
	{
		if (!is_known(name, known))
			return name;
	}
	return NULL;
}
