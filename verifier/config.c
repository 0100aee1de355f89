#include "verifier/config.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/certificate/certificate.h"
#include "common/dns/dns_settings.h"
#include "verifier/web/framing.h"

enum { TOKEN_LEAST = 16, FILE_MAX = 64 * 1024, DAY_S = 24 * 3600 };

static const struct setting table[] = {
    SETTINGS_OF_EVERY_DAEMON("127.0.0.1:2021"),
    {"listen", SETTING_ADDRESS, 0, ":8080", "Address of the API and the dashboard.", NULL, 0, 0},
    {"ask-listen", SETTING_ADDRESS, 0, "127.0.0.1:8081",
	"Address of the ask endpoint (GET /domains/verify?domain=NAME), on a thread and database connection "
	"of its own.",
	NULL, 0, 0},
    {"ask-cert-file", SETTING_FILE, 0, NULL,
	"PEM certificate chain of the ask endpoint. Default: plain HTTP.", NULL, 0, 0},
    {"ask-key-file", SETTING_FILE, 0, NULL, "PEM private key of the ask endpoint.", NULL, 0, 0},
    {"ask-client-ca", SETTING_FILE, 0, NULL,
	"PEM file of the CAs that vouch for those who ask: with it, whoever shows no certificate of theirs "
	"is "
	"turned away in the handshake. Needs ask-cert-file. Default: nobody has to show one.",
	NULL, 0, 0},
    {"ask-token-file", SETTING_FILE, 0, NULL,
	"File with a bearer token that the ask endpoint then demands. Default: none is needed.", NULL, 0, 0},
    {"admin-token", SETTING_STRING, SETTING_SECRET, NULL,
	"Bearer token of the API and of the dashboard's log-in, at least 16 characters. Better in "
	"admin-token-file.",
	NULL, 0, 0},
    {"admin-token-file", SETTING_FILE, 0, NULL, "File that holds the value of `admin-token`.", NULL, 0, 0},
    SETTINGS_OF_OUR_PLACE(SETTING_REQUIRED),
    SETTINGS_OF_THE_RESOLVER,
    {"txt-label", SETTING_STRING, 0, "acme_verify",
	"First label of the customers' TXT records: <txt-label>.<domain>.", NULL, 0, 0},
    {"dns-listen", SETTING_ADDRESS, 0, NULL,
	"Address (UDP and TCP) at which dns-zone is served, for customers who delegate their dns-01 "
	"validation. "
	"Default: nowhere.",
	NULL, 0, 0},
    {"dns-zone", SETTING_STRING, 0, NULL,
	"The zone that is delegated to dns-listen, for example acme.acme-saas.io: customers' "
	"_acme-challenge.<name> lead into it.",
	NULL, 0, 0},
    {"dns-ns", SETTING_STRING, SETTING_REPEAT, NULL,
	"Names of the servers of dns-zone, as its parent delegates to them; outside of the zone.", NULL, 0,
	0},
    {"pre-issue", SETTING_SWITCH, 0, "on",
	"Obtain the certificate as soon as a domain is verified and points here, before its first visitor.",
	NULL, 0, 0},
    {"reverify", SETTING_DURATION, 0, "1d",
	"How often a domain that is well is looked at again. One whose TXT record or routing is found gone "
	"twice in a "
	"row becomes `drifted`: it is served all the same, with an event. 0s: never looked at.",
	NULL, 0, 0},
    {"suspend-after", SETTING_DURATION, 0, "0s",
	"A drifted domain is suspended when TXT record and routing have both been gone for so long; at least "
	"1d, 7d is "
	"wise. Never one that has not pointed here yet. 0s: never.",
	NULL, 0, 0},
    {"quarantine", SETTING_DURATION, 0, "7d",
	"After a release of a name, for so long, TXT records from before the release prove nothing: whoever "
	"wants the "
	"name publishes a new one.",
	NULL, 0, 0},
    {"tenant-max-domains", SETTING_INTEGER, 0, "0",
	"Domains that a tenant may have, where it has no quota of its own. 0: any number.", NULL, 0,
	100000000},
    {"tenant-verifications", SETTING_INTEGER, 0, "3600",
	"Verifications by the API that a tenant has in an hour, where it has no quota of its own. 0: any "
	"number.",
	NULL, 0, 1000000},
    {"api-rate", SETTING_INTEGER, 0, "50",
	"Requests in a second that one token may send to this verifier, and twice as many at once. The admin "
	"token is "
	"not limited. 0: any number.",
	NULL, 0, 1000000},
    {"seal-public-file", SETTING_FILE, 0, NULL,
	"Public half of the key file (postern seal-key new makes FILE.pub): webhooks' secrets and the keys "
	"of "
	"certificates that customers upload are sealed to it. Default: there can be no webhooks, and nothing "
	"can be uploaded.",
	NULL, 0, 0},
    SETTINGS_OF_WEBHOOK_RULES,
    {"public-url", SETTING_URL, 0, NULL,
	"Where browsers reach the dashboard. https makes its cookie Secure. Default: whatever Host a request "
	"has.",
	NULL, 0, 0},
    SETTING_OF_FRAMING,
    SETTINGS_OF_THE_BRAND,
};

const struct settings_program config_program = {
    .name = "postern-verifier",
    .summary = "API, dashboard, DNS checks and ask endpoint of the on-demand-TLS edge",
    .table = table,
    .count = sizeof table / sizeof *table,
    .description =
	"The customers' side of the edge: it takes domains, tells which DNS records to publish, looks "
	"whether they are "
	"there, by click and by itself, and answers whether a certificate may be had for a name.\n\n"
	"DNS is asked live, from the root and validating, with no answer out of a cache. Where that is not "
	"wanted, "
	"dns-servers names resolvers to use instead.\n\n"
	"Any number of instances may run on one database. None of them can read a private key.",
};

static enum result read_file(char **out, const char *setting, const char *path, struct error *error)
{
	FILE *file = fopen(path, "re");
	if (!file) {
		error_set(error, "%s: %s: %s", setting, path, strerror(errno));
		return R_INVALID;
	}
	char *text = mem_alloc(FILE_MAX + 1);
	size_t size = fread(text, 1, FILE_MAX + 1, file);
	fclose(file);
	if (size > FILE_MAX || strlen(text) != size) {
		error_set(error, "%s: %s: must be text of at most %d bytes", setting, path, FILE_MAX);
		OPENSSL_cleanse(text, FILE_MAX + 1);
		free(text);
		return R_INVALID;
	}
	*out = text;
	return R_OK;
}

static enum result hash_token(
    unsigned char hash[CONFIG_HASH], const char *setting, const char *token, struct error *error)
{
	size_t size = strcspn(token, "\r\n");
	bool printable = true;
	for (size_t i = 0; i < size; i++)
		printable = printable && token[i] > ' ' && token[i] < 0x7f;
	if (size < TOKEN_LEAST || !printable || token[size + strspn(token + size, "\r\n")]) {
		error_set(error,
		    "%s: a token is one line of at least %d characters without spaces (openssl rand -hex 24 "
		    "makes one)",
		    setting, TOKEN_LEAST);
		return R_INVALID;
	}
	SHA256((const unsigned char *)token, size, hash);
	return R_OK;
}

static enum result load_tokens(struct config *config, struct error *error)
{
	const char *admin = settings_string(config->settings, "admin-token");
	if (!admin) {
		error_set(error, "admin-token-file is not set: name a file that holds the API's bearer token "
				 "(openssl rand -hex 24 >FILE makes one)");
		return R_INVALID;
	}
	enum result result = hash_token(config->admin_token_hash, "admin-token", admin, error);
	const char *path = settings_string(config->settings, "ask-token-file");
	if (result != R_OK || !path)
		return result;
	char *token = NULL;
	result = read_file(&token, "ask-token-file", path, error);
	if (result == R_OK)
		result = hash_token(config->ask_token_hash, "ask-token-file", token, error);
	config->ask_token_set = true;
	if (token)
		OPENSSL_cleanse(token, strlen(token));
	free(token);
	return result;
}

static enum result load_client_ca(struct config *config, struct error *error)
{
	const char *path = settings_string(config->settings, "ask-client-ca");
	if (!path)
		return R_OK;
	if (!config->ask_certificate) {
		error_set(error,
		    "ask-client-ca: only TLS has clients with certificates: set ask-cert-file and "
		    "ask-key-file, too");
		return R_INVALID;
	}
	enum result result = read_file(&config->ask_client_ca, "ask-client-ca", path, error);
	if (result != R_OK)
		return result;
	result = certificate_check_bundle(config->ask_client_ca, strlen(config->ask_client_ca), error);
	if (result != R_OK)
		error_prefix(error, "ask-client-ca: %s", path);
	return result;
}

static enum result load_ask_tls(struct config *config, struct error *error)
{
	const char *certificate = settings_string(config->settings, "ask-cert-file");
	const char *key = settings_string(config->settings, "ask-key-file");
	enum result result = R_OK;
	if (!certificate != !key) {
		error_set(error, "%s is not set: ask-cert-file and ask-key-file go together",
		    certificate ? "ask-key-file" : "ask-cert-file");
		return R_INVALID;
	}
	if (certificate)
		result = read_file(&config->ask_certificate, "ask-cert-file", certificate, error);
	if (certificate && result == R_OK)
		result = read_file(&config->ask_key, "ask-key-file", key, error);
	return result == R_OK ? load_client_ca(config, error) : result;
}

static enum result load_seal_file(struct config *config, struct error *error)
{
	const char *path = settings_string(config->settings, "seal-public-file");
	if (!path)
		return R_OK;
	enum result result = seal_keys_load_public(&config->seal_keys, path, error);
	if (result != R_OK)
		error_prefix(error, "seal-public-file");
	return result == R_OK ? R_OK : R_INVALID;
}

static enum result load_txt_label(struct config *config, struct error *error)
{
	const char *set = settings_string(config->settings, "txt-label");
	config->txt_label = set ? set : "";
	size_t size = strlen(config->txt_label);
	if (size >= 1 && size <= TXT_LABEL_MAX &&
	    strspn(config->txt_label, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size)
		return R_OK;
	error_set(error, "txt-label: \"%s\" must be 1 to 63 of a-z 0-9 _ -", config->txt_label);
	return R_INVALID;
}

static enum result load_public_url(struct config *config, struct error *error)
{
	const char *url = settings_string(config->settings, "public-url");
	if (!url)
		return R_OK;
	const char *host = strstr(url, "://");
	size_t size = host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
	if (!host || size >= sizeof config->origin) {
		error_set(error, "public-url: \"%s\" must be an http or https URL", url);
		return R_INVALID;
	}
	for (size_t i = 0; i < size; i++)
		config->origin[i] = (char)tolower((unsigned char)url[i]);
	const char *authority = config->origin + (host - url) + 3;
	hostname_parse(&config->public_host, authority, strcspn(authority, ":"));
	config->secure_cookie = strncmp(config->origin, "https:", 6) == 0;
	return R_OK;
}

/* `--listen=` takes the default away; without a listener there is nothing to do. */
static enum result check_listeners(const struct config *config, struct error *error)
{
	static const char *const names[] = {"listen", "ask-listen"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!settings_string(config->settings, names[i])) {
			error_set(error, "%s is empty: give an address, as in --%s=127.0.0.1:8080", names[i],
			    names[i]);
			return R_INVALID;
		}
	}
	return R_OK;
}

/* Settings are milliseconds. */
static int64_t seconds_of(const struct config *config, const char *setting)
{
	return (settings_number(config->settings, setting) + 999) / 1000;
}

static int number_or_any(const struct config *config, const char *setting)
{
	int64_t number = settings_number(config->settings, setting);
	return number ? (int)number : -1;
}

static enum result load_rules(struct config *config, struct error *error)
{
	config->rules = (struct claim_rules){.pre_issue = settings_switch(config->settings, "pre-issue"),
	    .reverify_s = seconds_of(config, "reverify"),
	    .suspend_s = seconds_of(config, "suspend-after"),
	    .quarantine_s = seconds_of(config, "quarantine"),
	    .quota = number_or_any(config, "tenant-max-domains"),
	    .verifications = number_or_any(config, "tenant-verifications")};
	config->api_rate = (int)settings_number(config->settings, "api-rate");
	if (!config->rules.suspend_s || config->rules.suspend_s >= DAY_S)
		return R_OK;
	error_set(error, "suspend-after: must be 0s (never) or 1d at least: DNS may be wrong for hours");
	return R_INVALID;
}

static enum result load_all(struct config *config, struct error *error)
{
	enum result result = our_place_load(&config->place, config->settings, error);
	if (result == R_OK)
		result = load_rules(config, error);
	if (result == R_OK)
		result = check_listeners(config, error);
	if (result == R_OK)
		result = load_txt_label(config, error);
	if (result == R_OK)
		result = load_public_url(config, error);
	if (result == R_OK)
		result = framing_load(&config->frame_ancestors, config->settings, error);
	if (result == R_OK)
		result = brand_load(&config->brand, config->settings, error);
	if (result == R_OK)
		result = load_tokens(config, error);
	if (result == R_OK)
		result = load_ask_tls(config, error);
	if (result == R_OK)
		result = load_seal_file(config, error);
	if (result == R_OK)
		result = webhook_rules_load(&config->webhooks, config->settings, error);
	return result;
}

enum result config_load(struct config **out, int argc, char **argv, struct error *error)
{
	struct config *config = mem_alloc(sizeof *config);
	enum result result = settings_load(&config->settings, &config_program, argc, argv, error);
	if (result == R_OK)
		result = load_all(config, error);
	if (result != R_OK) {
		config_free(config);
		return result;
	}
	*out = config;
	return R_OK;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	settings_free(config->settings);
	our_place_fini(&config->place);
	webhook_rules_fini(&config->webhooks);
	seal_keys_free(config->seal_keys);
	brand_fini(&config->brand);
	free(config->frame_ancestors);
	if (config->ask_key)
		OPENSSL_cleanse(config->ask_key, strlen(config->ask_key));
	free(config->ask_key);
	free(config->ask_certificate);
	free(config->ask_client_ca);
	free(config);
}

bool config_is_tenant(const char *text)
{
	size_t size = strlen(text);
	return size >= 1 && size <= TENANT_MAX && isalnum((unsigned char)text[0]) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size;
}
