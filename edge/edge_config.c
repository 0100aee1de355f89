#include "edge/edge_config.h"

#include <openssl/tls1.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/log.h"
#include "common/mem.h"
#include "edge/http_config.h"

enum { DESCRIPTORS_OF_OURS = 256 }; /* listeners, database, ask, log and the like */

/* Every connection may need a second descriptor for its upstream. */
static int64_t connections_for_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 256;
	int64_t files = limit.rlim_cur > 1 << 24 ? 1 << 24 : (int64_t)limit.rlim_cur;
	return files > 2 * DESCRIPTORS_OF_OURS ? (files - DESCRIPTORS_OF_OURS) / 2 : files / 4;
}

static void read_limits(struct edge_limits *limits, const struct settings *settings)
{
	int64_t connections = settings_number(settings, "max-connections");
	int64_t possible = connections_for_descriptors();

	*limits = (struct edge_limits){
	    .max_connections = connections ? connections : possible,
	    .max_waiting = settings_number(settings, "max-waiting"),
	    .max_waiting_bytes = settings_number(settings, "max-waiting-bytes"),
	    .hello_timeout_ms = settings_number(settings, "hello-timeout"),
	    .handshake_timeout_ms = settings_number(settings, "handshake-timeout"),
	};
	if (connections > possible)
		log_warn("max-connections is more than the limit of open files allows",
		    log_int("max_connections", connections), log_int("possible", possible));
}

enum result edge_config_load(struct edge_config **out, struct settings **settings, struct error *error)
{
	struct edge_config *config = mem_alloc(sizeof *config);

	atomic_init(&config->references, 1);
	read_limits(&config->limits, *settings);
	config->minimum_tls =
	    strcmp(settings_string(*settings, "tls-minimum"), "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
	enum result result = trust_load(&config->trust, *settings, error);
	if (result == R_OK)
		result = http_config_load(&config->http, *settings, error);
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
	settings_free(config->settings);
	free(config);
}
