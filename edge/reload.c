#include "edge/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/seal/seal.h"
#include "edge/http_config.h"
#include "edge/pass/pass_config.h"
#include "edge/pass/pass_groups.h"
#include "edge/site/broker.h"
#include "edge/upstream/upstreams.h"

/* Everything that can fail is in here before anything is told of it. */
struct prepared {
	struct settings *settings;
	struct edge_config *config;
	struct broker_reload broker;
	struct seal_keys *keys; /* NULL: those in use stay */
};

static void on_kept(const char *name)
{
	log_warn(
	    "a changed setting needs a restart; it keeps its value until then", log_str("setting", name));
}

/* The key file may have been for root's eyes only, and root's rights are gone. */
static bool may_be_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool refused = fd < 0 && (errno == EACCES || errno == EPERM);

	if (fd >= 0)
		close(fd);
	if (refused)
		log_warn("the key file cannot be read with the rights that are left; the keys in use stay",
		    log_str("seal_key_file", path));
	return !refused;
}

static enum result prepare_keys(struct prepared *prepared, struct error *error)
{
	const char *path = settings_string(prepared->settings, "seal-key-file");

	if (!may_be_read(path))
		return R_OK;
	enum result result = seal_keys_load_secret(&prepared->keys, path, error);
	if (result != R_OK)
		error_prefix(error, "seal-key-file");
	return result;
}

static enum result prepare(struct prepared *prepared, const struct reload *reload, struct error *error)
{
	enum result result = settings_load_again(
	    &prepared->settings, reload->edge->config->settings, reload->argc, reload->argv, on_kept, error);

	if (result == R_OK)
		result = prepare_keys(prepared, error);
	if (result == R_OK)
		result = broker_reload_prepare(&prepared->broker, prepared->settings, error);
	if (result == R_OK)
		result = edge_config_load(&prepared->config, &prepared->settings, error);
	return result;
}

static void drop(struct prepared *prepared)
{
	settings_free(prepared->settings);
	edge_config_unref(prepared->config);
	broker_reload_drop(&prepared->broker);
	if (prepared->keys)
		seal_keys_free(prepared->keys);
}

static void commit(struct prepared *prepared, const struct reload *reload)
{
	struct edge *edge = reload->edge;

	settings_set_log(prepared->config->settings);
	if (prepared->keys)
		seal_keys_replace(reload->keys, &prepared->keys);
	broker_reload(edge->broker, &prepared->broker);
	upstreams_configure(edge->upstreams, prepared->config->http->upstream);
	pass_groups_change(reload->pass_groups, prepared->config->pass->routes);
	for (int i = 0; i < reload->worker_count; i++)
		worker_configure(reload->workers[i], prepared->config);
	edge_config_unref(edge->config);
	edge->config = prepared->config;
}

static void count(enum result result)
{
	static const char name[] = "postern_edge_config_reloads_total";
	static const char help[] = "SIGHUPs, by what came of them.";

	metric_add(metrics_counter(name, result == R_OK ? "result=\"done\"" : "result=\"refused\"", help), 1);
	if (result == R_OK)
		metric_set(metrics_gauge("postern_edge_config_reload_time_seconds", NULL,
			       "When the settings in use were read again last, Unix time."),
		    clock_wall_ms() / 1000);
}

void reload_run(const struct reload *reload)
{
	struct prepared prepared = {0};
	struct error error = {""};
	enum result result = prepare(&prepared, reload, &error);

	count(result);
	if (result == R_OK) {
		commit(&prepared, reload);
		log_info("settings reloaded");
		return;
	}
	drop(&prepared);
	log_error("settings not reloaded, the running ones stay", log_str("error", error.text));
}
