#include "edge/edge_config.h"

#include <openssl/tls1.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/http_config.h"
#include "edge/pass/pass_config.h"

enum result edge_config_load(struct edge_config **out, struct settings **settings, struct error *error)
{
	struct edge_config *config = mem_alloc(sizeof *config);

	atomic_init(&config->references, 1);
	edge_limits_read(&config->limits, *settings);
	config->minimum_tls =
	    strcmp(settings_string(*settings, "tls-minimum"), "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
	enum result result = trust_load(&config->trust, *settings, error);
	if (result == R_OK)
		result = default_names_load(&config->default_names, *settings, error);
	if (result == R_OK)
		result = http_config_load(&config->http, *settings, error);
	if (result == R_OK)
		result = pass_config_load(&config->pass, *settings, error);
	if (result != R_OK) {
		edge_config_unref(config);
		return result;
	}
	config->settings = *settings;
	*settings = NULL;
	*out = config;
	return R_OK;
}

struct edge_config *edge_config_ref(struct edge_config *config)
{
	atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
	return config;
}

void edge_config_unref(struct edge_config *config)
{
	if (!config || atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel) > 1)
		return;
	trust_fini(&config->trust);
	http_config_free(config->http);
	pass_config_free(config->pass);
	settings_free(config->settings);
	free(config);
}
