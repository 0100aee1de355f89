#include "edge/pass/pass_config.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/log/log.h"

/* Port 0 is whatever the kernel gives, and so may be any. */
static bool listens_on(const struct settings *settings, const char *name, int port)
{
	for (size_t i = 0; i < settings_count(settings, name); i++) {
		int own = atoi(strrchr(settings_string_at(settings, name, i), ':') + 1);

		if (own == port || own == 0)
			return true;
	}
	return false;
}

/* Behind a balancer the ports that clients know are easily taken for the edge's. */
static bool is_reached(const struct settings *settings, const struct pass_route *route)
{
	if (route->port == PASS_ANY_PORT)
		return strcmp(route->label, "*") != 0 || settings_count(settings, "listen-passthrough") > 0;
	return listens_on(settings, "listen-https", route->port) ||
	       listens_on(settings, "listen-passthrough", route->port);
}

static void warn_of_unreached(const struct pass_routes *routes, const struct settings *settings)
{
	for (size_t i = 0; i < pass_routes_count(routes); i++) {
		const struct pass_route *route = pass_routes_at(routes, i);

		if (!is_reached(settings, route))
			log_warn("a passthrough takes nothing: the edge listens on no port that it is for",
			    log_str("passthrough", route->label));
	}
}

enum result pass_config_load(struct pass_config **out, const struct settings *settings, struct error *error)
{
	struct pass_config *config = mem_alloc(sizeof *config);
	enum result result = pass_routes_load(&config->routes, settings, error);

	if (result != R_OK) {
		free(config);
		return result;
	}
	warn_of_unreached(config->routes, settings);
	config->domains = pass_metrics_of("domains");
	config->connect_ms = settings_number(settings, "passthrough-connect-timeout");
	config->idle_ms = settings_number(settings, "passthrough-idle-timeout");
	*out = config;
	return R_OK;
}

void pass_config_free(struct pass_config *config)
{
	if (!config)
		return;
	pass_routes_free(config->routes);
	free(config);
}
