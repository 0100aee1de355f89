#include "verifier/api/api_routes.h"

#include <stdio.h>
#include <string.h>

#include "verifier/api/api_handlers.h"

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
static const char *const none[] = {NULL};

const struct api_route api_routes[] = {
    {"GET", "/v1/openapi.json", API_OPEN, 0, none, NULL, api_openapi_show},

    {"GET", "/v1/domains", API_TENANT, 0,
	WORDS("tenant", "status", "certificate", "within", "search", "limit", "cursor"), NULL,
	api_domains_list},
    {"POST", "/v1/domains", API_TENANT, 0, none, WORDS("name", "tenant", "options"), api_domains_add},
    {"POST", "/v1/domains/import", API_TENANT, API_STREAMED | API_NO_PORTAL, none, none, NULL},
    {"GET", "/v1/domains/{name}", API_TENANT, 0, WORDS("tenant"), NULL, api_domains_show},
    {"PATCH", "/v1/domains/{name}", API_TENANT, 0, WORDS("tenant"), WORDS("options"), api_domains_change},
    {"DELETE", "/v1/domains/{name}", API_TENANT, 0, WORDS("tenant"), NULL, api_domains_remove},
    {"POST", "/v1/domains/{name}/verify", API_TENANT, 0, WORDS("tenant"), NULL, api_domains_verify},
    {"POST", "/v1/domains/{name}/suspend", API_OPERATOR, 0, WORDS("tenant"), NULL, api_domains_suspend},
    {"POST", "/v1/domains/{name}/resume", API_OPERATOR, 0, WORDS("tenant"), NULL, api_domains_resume},

    {"GET", "/v1/certificates", API_TENANT, 0, WORDS("tenant", "source", "expires_within", "limit", "cursor"),
	NULL, api_certificates_list},
    {"POST", "/v1/certificates", API_TENANT, 0, none, WORDS("chain", "key", "passphrase", "tenant", "names"),
	api_certificates_upload},
    {"GET", "/v1/certificates/{name}", API_TENANT, 0, none, NULL, api_certificates_show},
    {"DELETE", "/v1/certificates/{name}", API_TENANT, 0, WORDS("at_once"), NULL, api_certificates_remove},
    {"POST", "/v1/certificates/{name}/renew", API_OPERATOR, 0, none, NULL, api_certificates_renew},

    {"GET", "/v1/events", API_TENANT, 0, WORDS("tenant", "name", "event", "limit", "cursor"), NULL,
	api_events_list},

    {"GET", "/v1/overview", API_OPERATOR, 0, none, NULL, api_overview_show},
    {"GET", "/v1/explain/{name}", API_TENANT, 0, none, NULL, api_explain_show},

    {"GET", "/v1/tenants", API_TENANT, 0, WORDS("limit", "cursor"), NULL, api_tenants_list},
    {"POST", "/v1/tenants", API_OPERATOR, 0, none,
	WORDS("id", "title", "max_domains", "verifications_per_hour"), api_tenants_create},
    {"GET", "/v1/tenants/{id}", API_TENANT, 0, none, NULL, api_tenants_show},
    {"PATCH", "/v1/tenants/{id}", API_OPERATOR, 0, none,
	WORDS("title", "max_domains", "verifications_per_hour"), api_tenants_change},

    {"GET", "/v1/tokens", API_TENANT, API_NO_PORTAL, WORDS("tenant", "limit", "cursor"), NULL,
	api_tokens_list},
    {"POST", "/v1/tokens", API_OPERATOR, API_SECRET, none, WORDS("scope", "tenant", "label", "expires_at"),
	api_tokens_create},
    {"GET", "/v1/tokens/{id}", API_TENANT, API_NO_PORTAL, none, NULL, api_tokens_show},
    {"DELETE", "/v1/tokens/{id}", API_TENANT, API_NO_PORTAL, none, NULL, api_tokens_revoke},

    {"GET", "/v1/portal-links", API_OPERATOR, 0, WORDS("tenant", "limit", "cursor"), NULL, api_portal_list},
    {"POST", "/v1/portal-links", API_OPERATOR, API_SECRET | API_SECRET_URL, none,
	WORDS("tenant", "return_url"), api_portal_create},
    {"DELETE", "/v1/portal-links", API_OPERATOR, 0, WORDS("tenant"), NULL, api_portal_revoke_all},
    {"GET", "/v1/portal-links/{id}", API_OPERATOR, 0, none, NULL, api_portal_show},
    {"DELETE", "/v1/portal-links/{id}", API_OPERATOR, 0, none, NULL, api_portal_revoke},

    {"GET", "/v1/webhooks", API_TENANT, API_NO_PORTAL, WORDS("tenant", "limit", "cursor"), NULL,
	api_webhooks_list},
    {"POST", "/v1/webhooks", API_TENANT, API_SECRET | API_NO_PORTAL, none,
	WORDS("url", "events", "tenant", "label"), api_webhooks_create},
    {"GET", "/v1/webhooks/{id}", API_TENANT, API_NO_PORTAL, none, NULL, api_webhooks_show},
    {"PATCH", "/v1/webhooks/{id}", API_TENANT, API_NO_PORTAL, none,
	WORDS("url", "events", "label", "enabled"), api_webhooks_change},
    {"DELETE", "/v1/webhooks/{id}", API_TENANT, API_NO_PORTAL, none, NULL, api_webhooks_remove},
    {"POST", "/v1/webhooks/{id}/rotate", API_TENANT, API_SECRET | API_NO_PORTAL, none, WORDS("overlap_hours"),
	api_webhooks_rotate},
    {"POST", "/v1/webhooks/{id}/test", API_TENANT, API_NO_PORTAL, none, NULL, api_webhooks_test},
    {"GET", "/v1/webhooks/{id}/deliveries", API_TENANT, API_NO_PORTAL, WORDS("state", "limit", "cursor"),
	NULL, api_deliveries_list},
    {"GET", "/v1/webhooks/{id}/deliveries/{delivery}", API_TENANT, API_NO_PORTAL, none, NULL,
	api_deliveries_show},
    {"POST", "/v1/webhooks/{id}/deliveries/{delivery}/redeliver", API_TENANT, API_NO_PORTAL, none, NULL,
	api_deliveries_redeliver},

    {"GET", "/session", API_OPEN, 0, none, NULL, api_session_show},
    {"POST", "/session", API_OPEN, 0, none, WORDS("token", "link", "replace", "framed"), api_session_create},
    {"DELETE", "/session", API_OPEN, 0, none, NULL, api_session_end},
};
const size_t api_route_count = sizeof api_routes / sizeof *api_routes;

/* One segment of a path, from `*path` on, which is moved behind it. */
static size_t segment(const char **path)
{
	size_t size = strcspn(*path, "/");
	*path += size;
	return size;
}

static bool fits(const char *pattern, const char *path, char values[API_VALUES][API_VALUE_MAX])
{
	int count = 0;
	while (*pattern == '/' && *path == '/') {
		const char *wanted = ++pattern, *found = ++path;
		size_t wanted_size = segment(&pattern), found_size = segment(&path);
		if (*wanted == '{') {
			if (!found_size || found_size >= API_VALUE_MAX || count == API_VALUES)
				return false;
			memcpy(values[count], found, found_size);
			values[count++][found_size] = '\0';
		} else if (wanted_size != found_size || memcmp(wanted, found, found_size) != 0) {
			return false;
		}
	}
	return !*pattern && !*path;
}

static bool is_literal(const struct api_route *route)
{
	return !strchr(route->path, '{');
}

/* Addresses without {…} first: /v1/domains/import is no domain called `import`. */
const struct api_route *api_routes_find(const char *method, const char *path,
    char values[API_VALUES][API_VALUE_MAX], char allowed[API_METHODS_MAX])
{
	allowed[0] = '\0';
	for (int literal = 1; literal >= 0 && !allowed[0]; literal--) {
		for (size_t i = 0; i < api_route_count; i++) {
			const struct api_route *route = &api_routes[i];
			if (is_literal(route) != literal || !fits(route->path, path, values))
				continue;
			if (strcmp(route->method, method) == 0)
				return route;
			size_t used = strlen(allowed);
			snprintf(
			    allowed + used, API_METHODS_MAX - used, "%s%s", used ? ", " : "", route->method);
		}
	}
	return NULL;
}
