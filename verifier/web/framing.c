#include "verifier/web/framing.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

/* It becomes part of a header: letters, digits and what hosts and ports need, nothing else. A wildcard would
 * let in customers' sites, which often are subdomains. */
static bool is_origin(const char *text)
{
	const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
			   : strncmp(text, "http://", 7) == 0 ? text + 7
							      : "";
	size_t size = strlen(host);
	return size && host[0] != ':' && strspn(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") == size;
}

enum result framing_load(char **out, const struct settings *settings, struct error *error)
{
	char all[FRAMING_MAX + 1] = "";
	size_t count = settings_count(settings, "portal-frame-ancestors");
	for (size_t i = 0; i < count; i++) {
		const char *origin = settings_string_at(settings, "portal-frame-ancestors", i);
		size_t used = strlen(all);
		if (!is_origin(origin) || used + 1 + strlen(origin) > FRAMING_MAX) {
			error_set(error,
			    "portal-frame-ancestors: \"%s\" must be an origin like https://app.acme-saas.io, "
			    "in lower "
			    "case, without path or *; all of them together at most %d bytes",
			    origin, FRAMING_MAX);
			return R_INVALID;
		}
		snprintf(all + used, sizeof all - used, "%s%s", used ? " " : "", origin);
	}
	*out = count ? mem_string(all) : NULL;
	return R_OK;
}
