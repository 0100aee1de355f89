/*
 * postern-verifier: API, dashboard, DNS checks and the ask endpoint. Binds its sockets and reads its secrets,
 * drops its rights, and only then starts the threads that speak to strangers.
 */
#include <stdatomic.h>
#include <stdio.h>

#include "common/base/process.h"
#include "common/daemon/admin.h"
#include "common/daemon/heartbeat.h"
#include "common/dns/dns_settings.h"
#include "common/log/log.h"
#include "common/pg/schema.h"
#include "verifier/api/api.h"
#include "verifier/ask/ask.h"
#include "verifier/claim/poller.h"
#include "verifier/claim/upload_watch.h"
#include "verifier/diagnose/diagnoser.h"
#include "verifier/dns/dns_server.h"
#include "verifier/http/mhd.h"
#include "verifier/wiping.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, READY_QUERY_MS = 1000 };

struct verifier {
	struct config *config;
	struct resolver *resolver;
	struct diagnoser *diagnoser;
	struct pg_pool *pool;
	struct admin *admin;
	struct heartbeat *heartbeat;
	struct ask *ask;
	struct api *api;
	struct poller *poller;
	struct upload_watch *uploads;
	atomic_bool schema_fits; /* seen once: a migration for the next release takes no running one away */
	struct dns_server *dns;
	struct dns_sockets dns_sockets;
	int api_fd, ask_fd;
};

static bool is_ready(void *arg, char *reason, size_t size)
{
	struct verifier *verifier = arg;
	struct error error = {""};
	struct pg *pg = pg_pool_take(verifier->pool, &error);
	enum result result = pg ? schema_check(pg, READY_QUERY_MS, &error) : R_DOWN;
	if (result == R_OK)
		atomic_store(&verifier->schema_fits, true);
	bool ready = result == R_OK || (result == R_INVALID && atomic_load(&verifier->schema_fits));
	if (pg)
		pg_pool_give(verifier->pool, pg);
	if (!ready)
		snprintf(reason, size, "database: %s", error.text);
	return ready;
}

static enum result bind_all(struct verifier *verifier, struct error *error)
{
	const struct settings *settings = verifier->config->settings;
	enum result result = pg_check_conninfo(settings_string(settings, "database"), error);
	if (result != R_OK) {
		error_prefix(error, "database");
		return result;
	}
	result = mhd_bind(&verifier->api_fd, "listen", settings_string(settings, "listen"), error);
	if (result == R_OK)
		result =
		    mhd_bind(&verifier->ask_fd, "ask-listen", settings_string(settings, "ask-listen"), error);
	return result == R_OK ? dns_server_bind(&verifier->dns_sockets, settings, error) : result;
}

static enum result start_all(struct verifier *verifier, struct error *error)
{
	const struct settings *settings = verifier->config->settings;
	struct admin_hooks hooks = {.ready = is_ready, .arg = verifier};
	verifier->diagnoser = diagnoser_new(verifier->config, verifier->resolver);
	verifier->pool = pg_pool_new(settings_string(settings, "database"), "postern-verifier");
	enum result result =
	    admin_start(&verifier->admin, settings_string(settings, "admin-listen"), &hooks, error);
	if (result == R_OK)
		result = ask_start(&verifier->ask, verifier->config, verifier->ask_fd, error);
	if (result == R_OK)
		result = api_start(&verifier->api,
		    &(struct api_parts){
			verifier->config, verifier->pool, verifier->resolver, verifier->diagnoser},
		    verifier->api_fd, error);
	if (result == R_OK)
		result = dns_server_start(&verifier->dns, settings, &verifier->dns_sockets, error);
	if (result == R_OK)
		result = poller_start(
		    &verifier->poller, verifier->config, verifier->resolver, verifier->diagnoser, error);
	if (result == R_OK)
		verifier->heartbeat = heartbeat_start(
		    &(struct heartbeat_config){.conninfo = settings_string(settings, "database"),
			.role = "verifier",
			.admin = verifier->admin});
	if (result == R_OK)
		verifier->uploads = upload_watch_start(verifier->pool);
	return result;
}

/* The API first: its requests in flight need everything else. */
static void stop_all(struct verifier *verifier)
{
	api_stop(verifier->api);
	upload_watch_stop(verifier->uploads);
	poller_stop(verifier->poller);
	ask_stop(verifier->ask);
	dns_server_stop(verifier->dns);
	heartbeat_stop(verifier->heartbeat);
	admin_stop(verifier->admin);
	diagnoser_free(verifier->diagnoser);
	resolver_free(verifier->resolver);
	pg_pool_free(verifier->pool);
	config_free(verifier->config);
}

static int fail(struct verifier *verifier, enum result result, const struct error *error)
{
	if (verifier->config)
		log_error("cannot start", log_str("error", error->text));
	else
		fprintf(stderr, "postern-verifier: %s\n", error->text);
	stop_all(verifier);
	return result == R_INVALID ? EXIT_USAGE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct verifier verifier = {.dns_sockets = {-1, -1}, .api_fd = -1, .ask_fd = -1};
	struct error error = {""};
	process_init();
	wiping_start();
	enum result result = config_load(&verifier.config, argc, argv, &error);
	if (result == R_NONE)
		return 0;
	if (result != R_OK)
		return fail(&verifier, result, &error);
	settings_init_log(verifier.config->settings);
	result = bind_all(&verifier, &error);
	if (result == R_OK)
		result = process_drop_rights(settings_string(verifier.config->settings, "user"), &error);
	if (result == R_OK)
		result =
		    dns_settings_resolver(&verifier.resolver, verifier.config->settings, "verifier", &error);
	if (result == R_OK)
		result = start_all(&verifier, &error);
	if (result != R_OK)
		return fail(&verifier, result, &error);
	log_info("started", log_str("saas-root", verifier.config->place.saas_root.text));
	int signal_number = process_wait_signal();
	log_info("stopping", log_int("signal", signal_number));
	stop_all(&verifier);
	return 0;
}
