/*
 * postern-acme: claims issuance jobs, drives the CA, stores sealed certificates. Main reads what needs
 * reading, opens what needs rights, drops them, starts the threads and waits for a signal.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/account/ca_list.h"
#include "acme/account/ceilings_share.h"
#include "acme/acme_settings.h"
#include "acme/ca/acme_http.h"
#include "acme/desk/operator_desk.h"
#include "acme/issuer.h"
#include "acme/preflight/preflight.h"
#include "acme/renewal/enquiry.h"
#include "acme/renewal/renew.h"
#include "common/base/process.h"
#include "common/daemon/admin.h"
#include "common/daemon/heartbeat.h"
#include "common/dns/dns_settings.h"
#include "common/log/log.h"
#include "common/pg/pg.h"
#include "common/seal/seal.h"

enum { EXIT_FAILED = 1, EXIT_WRONG_SETTINGS = 2 };

struct daemon {
	struct settings *settings;
	struct seal_keys *keys;
	struct ask_endpoint ask; /* url NULL: nobody is asked */
	struct ca_config first;
	struct ca_config fallback; /* directory_url NULL: there is none */
	struct ca_list cas;
	struct dns_proof proof;
	struct preflight *preflight;
	struct issuer *issuer;
	struct renew *renew;
	struct enquiry *enquiry;
	struct operator_desk *desk;
	struct courier_config webhooks;
	struct courier *courier;
	struct admin *admin;
	struct heartbeat *heartbeat;
	atomic_bool abandon;
	atomic_bool started; /* issuer and account may be looked at */
};

/* On the admin thread. */
static bool is_ready(void *arg, char *reason, size_t size)
{
	struct daemon *daemon = arg;
	const char *missing = NULL;
	if (!atomic_load(&daemon->started))
		missing = "starting";
	else if (!issuer_is_connected(daemon->issuer, reason, size))
		return false;
	else if (!ca_list_has_account(&daemon->cas))
		missing = "there is no account at the CA yet";
	if (missing)
		snprintf(reason, size, "%s", missing);
	return !missing;
}

static enum result check_conninfo(const char *setting, const char *conninfo, struct error *error)
{
	enum result result = pg_check_conninfo(conninfo, error);
	if (result != R_OK)
		error_prefix(error, "%s", setting);
	return result;
}

static enum result read_settings(struct daemon *daemon, struct issuer_config *config, struct error *error)
{
	const struct settings *settings = daemon->settings;
	enum result result = acme_settings_ca(settings, "acme", &daemon->first, error);
	if (result == R_OK)
		result = acme_settings_ca(settings, "acme-fallback", &daemon->fallback, error);
	if (result == R_NONE)
		result = R_OK;
	if (result == R_OK && daemon->fallback.directory_url &&
	    strcmp(daemon->fallback.directory_url, daemon->first.directory_url) == 0) {
		error_set(error, "acme-fallback-directory is the same as acme-directory; name another CA");
		result = R_INVALID;
	}
	config->key_type = csr_key_type(settings_string(settings, "certificate-key"));
	config->database = settings_string(settings, "database");
	config->database_listen = settings_string(settings, "database-listen");
	if (!config->database_listen)
		config->database_listen = config->database;
	config->jobs = (int)settings_number(settings, "jobs");
	config->lease_ms = settings_number(settings, "job-lease");
	if (result == R_OK)
		result = check_conninfo("database", config->database, error);
	if (result == R_OK)
		result = check_conninfo("database-listen", config->database_listen, error);
	const struct ask_endpoint_config ask = ask_endpoint_settings(settings);
	if (result == R_OK && ask.url)
		result = ask_endpoint_init(&daemon->ask, &ask, error);
	if (result == R_OK)
		result = acme_settings_webhooks(settings, &daemon->webhooks, error);
	for (size_t i = 0; result == R_OK && i < settings_count(settings, "challenge-types"); i++)
		result = challenge_types_add(
		    &config->types, settings_string_at(settings, "challenge-types", i), error);
	if (result == R_OK)
		result =
		    seal_keys_load_secret(&daemon->keys, settings_string(settings, "seal-key-file"), error);
	return result;
}

/* On the heartbeat's thread. */
static void share_ceilings(void *arg, struct pg *pg, const char *node)
{
	(void)node;
	const struct daemon *daemon = arg;
	ceilings_share(&daemon->cas, pg);
}

static void add_ca(struct daemon *daemon, const struct ca_config *config, int64_t lease_ms)
{
	struct ca *ca = ca_new(config, &daemon->abandon);
	ca_list_add(&daemon->cas, ca, account_new(ca, daemon->keys, lease_ms));
}

static enum result start_preflight(struct daemon *daemon, struct error *error)
{
	const struct settings *settings = daemon->settings;
	struct resolver *resolver = NULL;
	struct preflight_config config = {.dns_zone = settings_string(settings, "dns-zone"),
	    .port = (int)settings_number(settings, "preflight-port"),
	    .allow_private = settings_switch(settings, "preflight-allow-private"),
	    .is_on = settings_switch(settings, "preflight")};
	enum result result = our_place_load(&config.place, settings, error);
	if (result == R_OK)
		result = dns_settings_resolver(&resolver, settings, "acme", error);
	if (result != R_OK) {
		our_place_fini(&config.place);
		return result;
	}
	config.lookup = lookup_new(resolver);
	daemon->proof = (struct dns_proof){.lookup = config.lookup, .zone = config.dns_zone};
	daemon->preflight = preflight_new(&config);
	return R_OK;
}

static void start_courier(struct daemon *daemon)
{
	daemon->webhooks.keys = daemon->keys;
	daemon->webhooks.resolver = lookup_resolver(daemon->proof.lookup);
	if (daemon->webhooks.endpoints > 0)
		daemon->courier = courier_start(&daemon->webhooks);
}

static enum result start(struct daemon *daemon, struct issuer_config *config, struct error *error)
{
	const struct settings *settings = daemon->settings;
	const struct admin_hooks hooks = {.ready = is_ready, .arg = daemon};
	enum result result =
	    admin_start(&daemon->admin, settings_string(settings, "admin-listen"), &hooks, error);
	if (result == R_OK)
		result = process_drop_rights(settings_string(settings, "user"), error);
	if (result == R_OK)
		result = acme_http_global_init(error);
	if (result == R_OK)
		result = start_preflight(daemon, error);
	if (result != R_OK)
		return result;
	add_ca(daemon, &daemon->first, config->lease_ms);
	if (daemon->fallback.directory_url)
		add_ca(daemon, &daemon->fallback, config->lease_ms);
	config->preflight = daemon->preflight;
	config->challenge_context =
	    (struct challenge_context){.persist_record_seen = dns_proof_persist_record_seen,
		.is_delegated = dns_proof_is_delegated,
		.arg = &daemon->proof};
	config->keys = daemon->keys;
	config->cas = &daemon->cas;
	config->ask = daemon->ask.url ? &daemon->ask : NULL;
	config->abandon = &daemon->abandon;
	daemon->issuer = issuer_start(config);
	daemon->renew = renew_start(config->database);
	daemon->enquiry = enquiry_start(config->database, &daemon->cas, daemon->proof.lookup);
	daemon->desk = operator_desk_start(config->database, &daemon->cas, daemon->keys);
	daemon->heartbeat = heartbeat_start(&(struct heartbeat_config){.conninfo = config->database,
	    .role = "acme",
	    .admin = daemon->admin,
	    .more = share_ceilings,
	    .arg = daemon});
	start_courier(daemon);
	atomic_store(&daemon->started, true);
	log_info("postern-acme started", log_str("directory", daemon->first.directory_url),
	    log_int("jobs", config->jobs));
	return R_OK;
}

static void stop(struct daemon *daemon)
{
	heartbeat_stop(daemon->heartbeat);
	admin_stop(daemon->admin);
	issuer_stop(daemon->issuer);
	renew_stop(daemon->renew);
	enquiry_stop(daemon->enquiry);
	operator_desk_stop(daemon->desk);
	courier_stop(daemon->courier);
	webhook_rules_fini(&daemon->webhooks.rules);
	ca_list_fini(&daemon->cas);
	preflight_free(daemon->preflight);
	lookup_free(daemon->proof.lookup);
	free(daemon->first.external.key);
	free(daemon->fallback.external.key);
	ask_endpoint_fini(&daemon->ask);
	seal_keys_free(daemon->keys);
	settings_free(daemon->settings);
}

static void wait_for_stop(void)
{
	int signal_number = process_wait_signal();
	while (signal_number == SIGHUP)
		signal_number = process_wait_signal();
	log_info("stopping", log_int("signal", signal_number));
}

int main(int argc, char **argv)
{
	struct daemon daemon = {.settings = NULL};
	struct issuer_config config = {.jobs = 0};
	struct error error = {0};
	process_init();
	enum result result = settings_load(&daemon.settings, &acme_program, argc, argv, &error);
	if (result == R_NONE)
		return EXIT_SUCCESS;
	if (result == R_OK) {
		settings_init_log(daemon.settings);
		result = read_settings(&daemon, &config, &error);
	}
	if (result != R_OK) {
		fprintf(stderr, "postern-acme: %s\n", error.text);
		stop(&daemon);
		return EXIT_WRONG_SETTINGS;
	}
	result = start(&daemon, &config, &error);
	if (result == R_OK)
		wait_for_stop();
	else
		fprintf(stderr, "postern-acme: %s\n", error.text);
	stop(&daemon);
	return result == R_OK ? EXIT_SUCCESS : result == R_INVALID ? EXIT_WRONG_SETTINGS : EXIT_FAILED;
}
