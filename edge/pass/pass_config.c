#include "edge/pass/pass_config.h"

#include <stdlib.h>

#include "common/base/mem.h"

enum result pass_config_load(struct pass_config **out, const struct settings *settings, struct error *error)
{
	struct pass_config *config = mem_alloc(sizeof *config);
	enum result result = pass_routes_load(&config->routes, settings, error);

	if (result != R_OK) {
		free(config);
		return result;
	}
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
