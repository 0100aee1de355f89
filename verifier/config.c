#include "verifier/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/net.h"
#include "common/seal.h"

enum { TOKEN_LEAST = 16, FILE_MAX = 64 * 1024, TXT_LABEL_MAX = 63 };

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
    {"ask-token-file", SETTING_FILE, 0, NULL,
	"File with a bearer token that the ask endpoint then demands. Default: none is needed.", NULL, 0, 0},
    {"admin-token", SETTING_STRING, SETTING_SECRET, NULL,
	"Bearer token of the API and of the dashboard's log-in, at least 16 characters. Better in "
	"admin-token-file.",
	NULL, 0, 0},
    {"admin-token-file", SETTING_FILE, 0, NULL, "File that holds the value of `admin-token`.", NULL, 0, 0},
    {"saas-root", SETTING_STRING, SETTING_REQUIRED, NULL,
	"The platform's own domain, for example acme-saas.io. Customers' TXT records end in "
	".verify.<saas-root>.",
	NULL, 0, 0},
    {"txt-label", SETTING_STRING, 0, "acme_verify",
	"First label of the customers' TXT records: <txt-label>.<domain>.", NULL, 0, 0},
    {"cname-target", SETTING_STRING, 0, NULL,
	"What customers point their names at; {tenant} stands for the tenant. Default: nlb.<saas-root>.",
	NULL, 0, 0},
    {"apex-addresses", SETTING_STRING, SETTING_REPEAT, NULL,
	"IPv4 and IPv6 addresses for domains that can't have a CNAME (shop.com itself), separated by commas.",
	NULL, 0, 0},
    {"dns-servers", SETTING_STRING, SETTING_REPEAT, NULL,
	"Fixed DNS resolvers as host:port, separated by commas. Default: full recursion from the root.", NULL,
	0, 0},
    {"dns-root-hints", SETTING_FILE, 0, NULL, "Root hints for the full recursion. Default: built in.", NULL,
	0, 0},
    {"dns-trust-anchor", SETTING_STRING, 0, NULL,
	"File of DNSSEC trust anchors, or `none`. Default: /usr/share/dns/root.key where it is readable, for "
	"full "
	"recursion; stubs and dns-servers are then believed as they are.",
	NULL, 0, 0},
    {"dns-stub", SETTING_STRING, SETTING_REPEAT, NULL,
	"zone=address@port: ask this server about that zone. Repeatable.", NULL, 0, 0},
    {"pre-issue", SETTING_SWITCH, 0, "on",
	"Obtain the certificate as soon as a domain is verified and points here, before its first visitor.",
	NULL, 0, 0},
    {"seal-public-file", SETTING_FILE, 0, NULL,
	"Public half of the key file (postern seal-key new makes FILE.pub). Checked at start; what customers "
	"upload is sealed to it.",
	NULL, 0, 0},
    {"public-url", SETTING_URL, 0, NULL,
	"Where browsers reach the dashboard. https makes its cookie Secure. Default: whatever Host a request "
	"has.",
	NULL, 0, 0},
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

static enum result load_ask_tls(struct config *config, struct error *error)
{
	const char *certificate = settings_string(config->settings, "ask-cert-file");
	const char *key = settings_string(config->settings, "ask-key-file");
	if (!certificate != !key) {
		error_set(error, "%s is not set: ask-cert-file and ask-key-file go together",
		    certificate ? "ask-key-file" : "ask-cert-file");
		return R_INVALID;
	}
	if (!certificate)
		return R_OK;
	enum result result = read_file(&config->ask_certificate, "ask-cert-file", certificate, error);
	return result == R_OK ? read_file(&config->ask_key, "ask-key-file", key, error) : result;
}

/* Nothing is uploaded yet that would be sealed; a wrong file is told now rather than then. */
static enum result check_seal_file(const struct config *config, struct error *error)
{
	struct seal_keys *keys = NULL;
	const char *path = settings_string(config->settings, "seal-public-file");
	if (!path)
		return R_OK;
	enum result result = seal_keys_load_public(&keys, path, error);
	if (result != R_OK)
		error_prefix(error, "seal-public-file");
	seal_keys_free(keys);
	return result == R_OK ? R_OK : R_INVALID;
}

static enum result check_name(
    struct hostname *out, const char *setting, const char *name, struct error *error)
{
	enum hostname_problem problem = hostname_parse(out, name, strlen(name));
	if (problem == HOSTNAME_OK)
		return R_OK;
	error_set(error, "%s: \"%s\" %s", setting, name, hostname_problem_text(problem));
	return R_INVALID;
}

static char *replace_tenant(const char *template, const char *tenant)
{
	static const char mark[] = "{tenant}";
	const char *found = strstr(template, mark);
	if (!found)
		return mem_string(template);
	size_t size = strlen(template) + strlen(tenant) + 1;
	char *text = mem_alloc(size);
	snprintf(text, size, "%.*s%s%s", (int)(found - template), template, tenant, found + strlen(mark));
	return text;
}

/* Checked with the longest tenant there can be, so that no later tenant makes a name too long. */
static enum result load_cname_target(struct config *config, struct error *error)
{
	const char *set = settings_string(config->settings, "cname-target");
	char fallback[HOSTNAME_MAX + 8];
	snprintf(fallback, sizeof fallback, "nlb.%s", config->saas_root.text);
	char longest[CONFIG_TENANT_MAX + 1];
	memset(longest, 'x', CONFIG_TENANT_MAX);
	longest[CONFIG_TENANT_MAX] = '\0';
	char *example = replace_tenant(set ? set : fallback, longest);
	struct hostname name;
	enum result result = check_name(&name, "cname-target", example, error);
	if (result == R_OK)
		config->cname_target =
		    set && strstr(set, "{tenant}") ? mem_string(set) : mem_string(name.text);
	free(example);
	return result;
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

/* Calls `take` for each part of a repeatable, comma-separated setting. */
static enum result each_part(struct config *config, const char *setting,
    enum result (*take)(struct config *config, const char *part, struct error *error), struct error *error)
{
	enum result result = R_OK;
	for (size_t i = 0; i < settings_count(config->settings, setting) && result == R_OK; i++) {
		char *copy = mem_string(settings_string_at(config->settings, setting, i));
		char *rest = copy;
		for (char *part; result == R_OK && (part = strsep(&rest, ", \t"));)
			if (*part)
				result = take(config, part, error);
		free(copy);
	}
	if (result != R_OK)
		error_prefix(error, "%s", setting);
	return result;
}

static enum result take_apex_address(struct config *config, const char *part, struct error *error)
{
	if (config->apex_count == CONFIG_ADDRESSES_MAX) {
		error_set(error, "at most %d addresses", CONFIG_ADDRESSES_MAX);
		return R_INVALID;
	}
	struct config_address *address = &config->apex[config->apex_count++];
	int family = strchr(part, ':') ? AF_INET6 : AF_INET;
	address->size = family == AF_INET6 ? 16 : 4;
	if (inet_pton(family, part, address->bytes) != 1) {
		error_set(error, "\"%s\" is no IP address", part);
		return R_INVALID;
	}
	inet_ntop(family, address->bytes, address->text, sizeof address->text);
	return R_OK;
}

static enum result take_dns_server(struct config *config, const char *part, struct error *error)
{
	if (config->dns_server_count == CONFIG_SERVERS_MAX) {
		error_set(error, "at most %d servers", CONFIG_SERVERS_MAX);
		return R_INVALID;
	}
	struct net_address address;
	enum result result = net_parse_address(&address, part, error);
	if (result != R_OK)
		return R_INVALID;
	unsigned port = ntohs(address.storage.ss_family == AF_INET6
				  ? ((const struct sockaddr_in6 *)&address.storage)->sin6_port
				  : ((const struct sockaddr_in *)&address.storage)->sin_port);
	char host[NET_ADDRESS_TEXT];
	net_format_host(&address, host);
	char text[NET_ADDRESS_TEXT + 8];
	snprintf(text, sizeof text, "%.*s@%u", (int)strcspn(host[0] == '[' ? host + 1 : host, "]"),
	    host[0] == '[' ? host + 1 : host, port);
	config->dns_servers[config->dns_server_count++] = mem_string(text);
	return R_OK;
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

static enum result load_all(struct config *config, struct error *error)
{
	config->pre_issue = settings_switch(config->settings, "pre-issue");
	enum result result = check_name(
	    &config->saas_root, "saas-root", settings_string(config->settings, "saas-root"), error);
	if (result == R_OK)
		result = check_listeners(config, error);
	if (result == R_OK)
		result = load_txt_label(config, error);
	if (result == R_OK)
		result = load_cname_target(config, error);
	if (result == R_OK)
		result = each_part(config, "apex-addresses", take_apex_address, error);
	if (result == R_OK)
		result = each_part(config, "dns-servers", take_dns_server, error);
	if (result == R_OK)
		result = load_public_url(config, error);
	if (result == R_OK)
		result = load_tokens(config, error);
	if (result == R_OK)
		result = load_ask_tls(config, error);
	if (result == R_OK)
		result = check_seal_file(config, error);
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
	free(config->cname_target);
	for (size_t i = 0; i < config->dns_server_count; i++)
		free(config->dns_servers[i]);
	if (config->ask_key)
		OPENSSL_cleanse(config->ask_key, strlen(config->ask_key));
	free(config->ask_key);
	free(config->ask_certificate);
	free(config);
}

void config_cname_target(const struct config *config, const char *tenant, char target[HOSTNAME_MAX + 1])
{
	char *text = replace_tenant(config->cname_target, tenant);
	snprintf(target, HOSTNAME_MAX + 1, "%s", text);
	free(text);
}

bool config_is_tenant(const char *text)
{
	size_t size = strlen(text);
	return size >= 1 && size <= CONFIG_TENANT_MAX && isalnum((unsigned char)text[0]) &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == size;
}
