#include "verifier/diagnose/provider.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_under(const char *name, const char *zone)
{
	size_t size = strlen(name), zone_size = strlen(zone);
	return size > zone_size && name[size - zone_size - 1] == '.' &&
	       strcasecmp(name + size - zone_size, zone) == 0;
}

static bool has_label(const char *name, const char *start, size_t size)
{
	for (const char *at = name; at; at = strchr(at, '.'), at = at ? at + 1 : NULL)
		if (strncasecmp(at, start, size) == 0)
			return true;
	return false;
}

static bool is_of(const char *server, const char *pattern)
{
	size_t size = strlen(pattern);
	return pattern[size - 1] == '*' ? has_label(server, pattern, size - 1) : is_under(server, pattern);
}

static const struct provider *provider_of(const char *server)
{
	for (size_t i = 0; i < provider_table_size; i++)
		if (is_of(server, provider_table[i].servers))
			return &provider_table[i].provider;
	return NULL;
}

const struct provider *provider_find(const char *servers, size_t stride, size_t count)
{
	const struct provider *found = NULL;
	for (size_t i = 0; i < count; i++) {
		const struct provider *provider = provider_of(servers + i * stride);
		if (!provider || (found && strcmp(found->id, provider->id) != 0))
			return NULL;
		found = provider;
	}
	return found;
}

void provider_type_name(
    const struct provider *provider, const char *name, const char *zone, char *text, size_t size)
{
	if (provider->names == PROVIDER_FULL || (strcasecmp(name, zone) != 0 && !is_under(name, zone)))
		snprintf(text, size, "%s", name);
	else if (strcasecmp(name, zone) == 0)
		snprintf(text, size, "%s", provider->names == PROVIDER_RELATIVE ? "@" : "");
	else
		snprintf(text, size, "%.*s", (int)(strlen(name) - strlen(zone) - 1), name);
}
