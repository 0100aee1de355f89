#include "common/dns/our_place.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static const char tenant_mark[] = "{tenant}";

static enum result check_name(
    struct hostname *out, const char *setting, const char *name, struct error *error)
{
	enum hostname_problem problem = hostname_parse(out, name, strlen(name));
	if (problem == HOSTNAME_OK)
		return R_OK;
	error_set(error, "%s: \"%s\" %s", setting, name, hostname_problem_text(problem));
	return R_INVALID;
}

static char *replace_tenant(const char *template, const char *tenant)
{
	const char *found = strstr(template, tenant_mark);
	if (!found)
		return mem_string(template);
	size_t size = strlen(template) + strlen(tenant) + 1;
	char *text = mem_alloc(size);
	snprintf(
	    text, size, "%.*s%s%s", (int)(found - template), template, tenant, found + strlen(tenant_mark));
	return text;
}

/* Checked with the longest tenant there can be, so that no later tenant makes a name too long. */
static enum result load_target(struct our_place *place, const char *set, struct error *error)
{
	char fallback[HOSTNAME_MAX + 8];
	if (!set && place->saas_root.text[0] == '\0')
		return R_OK;
	snprintf(fallback, sizeof fallback, "nlb.%s", place->saas_root.text);
	char longest[TENANT_MAX + 1];
	memset(longest, 'x', TENANT_MAX);
	longest[TENANT_MAX] = '\0';
	char *example = replace_tenant(set ? set : fallback, longest);
	struct hostname name;
	enum result result = check_name(&name, "cname-target", example, error);
	if (result == R_OK)
		place->target = set && strstr(set, tenant_mark) ? mem_string(set) : mem_string(name.text);
	free(example);
	return result;
}

static enum result take_address(struct our_place *place, const char *text, struct error *error)
{
	if (place->apex_count == OUR_ADDRESSES_MAX) {
		error_set(error, "apex-addresses: at most %d addresses", OUR_ADDRESSES_MAX);
		return R_INVALID;
	}
	struct our_address *address = &place->apex[place->apex_count++];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	address->size = family == AF_INET6 ? 16 : 4;
	if (inet_pton(family, text, address->bytes) != 1) {
		error_set(error, "apex-addresses: \"%s\" is no IP address", text);
		return R_INVALID;
	}
	inet_ntop(family, address->bytes, address->text, sizeof address->text);
	return R_OK;
}

enum result our_place_load(struct our_place *out, const struct settings *settings, struct error *error)
{
	enum result result = R_OK;
	const char *root = settings_string(settings, "saas-root");
	*out = (struct our_place){.target = NULL};
	if (root)
		result = check_name(&out->saas_root, "saas-root", root, error);
	if (result == R_OK)
		result = load_target(out, settings_string(settings, "cname-target"), error);
	for (size_t i = 0; result == R_OK && i < settings_count(settings, "apex-addresses"); i++)
		result = take_address(out, settings_string_at(settings, "apex-addresses", i), error);
	return result;
}

void our_place_fini(struct our_place *place)
{
	free(place->target);
	place->target = NULL;
}

void our_place_target(const struct our_place *place, const char *tenant, char target[HOSTNAME_MAX + 1])
{
	char *text = replace_tenant(place->target, tenant);
	snprintf(target, HOSTNAME_MAX + 1, "%s", text);
	free(text);
}

bool our_place_has_tenants(const struct our_place *place)
{
	return place->target && strstr(place->target, tenant_mark);
}
