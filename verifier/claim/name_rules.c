#include "verifier/claim/name_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verifier/claim/records.h"

__attribute__((format(printf, 3, 4))) static enum name_kind refuse(
    struct name_verdict *out, const char *code, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(out->detail, sizeof out->detail, format, arguments);
	va_end(arguments);
	out->code = code;
	return NAME_REFUSED;
}

static bool is_wildcard(const char *text)
{
	return text[0] == '*' && text[1] == '.';
}

bool name_rules_read(const char *text, struct name_verdict *out)
{
	size_t size = strlen(text);
	*out = (struct name_verdict){.code = NULL};
	enum hostname_problem problem = is_wildcard(text) ? hostname_parse_wildcard(&out->name, text, size)
							  : hostname_parse(&out->name, text, size);
	if (problem == HOSTNAME_OK)
		return true;
	bool short_enough = size <= HOSTNAME_MAX;
	refuse(out, "invalid_name", "name: %s%s%s%s", short_enough ? "\"" : "",
	    short_enough ? text : "what was sent", short_enough ? "\" " : " ",
	    hostname_problem_text(problem));
	return false;
}

static bool is_under(const char *name, const char *root)
{
	size_t name_size = strlen(name), root_size = strlen(root);
	if (!root_size || name_size < root_size || strcmp(name + name_size - root_size, root) != 0)
		return false;
	return name_size == root_size || name[name_size - root_size - 1] == '.';
}

static bool is_platform(const struct config *config, const char *name)
{
	const struct our_place *place = &config->place;
	char target[HOSTNAME_MAX + 1];
	our_place_target(place, "", target);
	return is_under(name, place->saas_root.text) || strcmp(name, config->public_host.text) == 0 ||
	       (!our_place_has_tenants(place) && strcmp(name, target) == 0);
}

enum name_kind name_rules_judge(
    const struct config *config, const char *text, const char *label, struct name_verdict *out)
{
	if (!name_rules_read(text, out))
		return NAME_REFUSED;
	const char *name = out->name.text;
	if (is_platform(config, name))
		return NAME_PLATFORM;
	if (is_wildcard(name))
		return refuse(out, "invalid_name",
		    "name: %s is a wildcard: add each name by itself, as in shop%s.", name, name + 1);
	if (!records_fit(label, name))
		return refuse(out, "invalid_name",
		    "name: is too long: with %s. before it, it must have %d bytes at most.", label,
		    HOSTNAME_MAX);
	return NAME_CUSTOMER;
}
