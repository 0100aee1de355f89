#include "common/dns/dns_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/net/net.h"

/* ip@port, as libunbound wants it. */
static enum result read_server(char **out, const char *text, struct error *error)
{
	struct net_address address;
	enum result result = net_parse_address(&address, text, error);
	if (result != R_OK)
		return R_INVALID;
	char host[NET_ADDRESS_TEXT];
	char server[NET_ADDRESS_TEXT + 8];
	net_format_host(&address, host);
	const char *start = host[0] == '[' ? host + 1 : host;
	snprintf(server, sizeof server, "%.*s@%d", (int)strcspn(start, "]"), start, net_port(&address));
	*out = mem_string(server);
	return R_OK;
}

static enum result read_servers(
    char *servers[DNS_SERVERS_MAX], size_t *count, const struct settings *settings, struct error *error)
{
	enum result result = R_OK;
	for (size_t i = 0; result == R_OK && i < settings_count(settings, "dns-servers"); i++) {
		const char *text = settings_string_at(settings, "dns-servers", i);
		if (*count == DNS_SERVERS_MAX) {
			error_set(error, "at most %d servers", DNS_SERVERS_MAX);
			result = R_INVALID;
		} else if (text[0] != '\0') {
			result = read_server(&servers[*count], text, error);
			*count += result == R_OK;
		}
	}
	if (result != R_OK)
		error_prefix(error, "dns-servers");
	return result;
}

enum result dns_settings_resolver(
    struct resolver **out, const struct settings *settings, const char *program, struct error *error)
{
	char *servers[DNS_SERVERS_MAX] = {NULL};
	const char *stubs[DNS_SERVERS_MAX];
	struct resolver_options options = {.servers = (const char *const *)servers,
	    .stubs = stubs,
	    .stub_count = settings_count(settings, "dns-stub"),
	    .root_hints = settings_string(settings, "dns-root-hints"),
	    .trust_anchor = settings_string(settings, "dns-trust-anchor"),
	    .program = program};
	if (options.stub_count > DNS_SERVERS_MAX) {
		error_set(error, "dns-stub: at most %d stubs", DNS_SERVERS_MAX);
		return R_INVALID;
	}
	for (size_t i = 0; i < options.stub_count; i++)
		stubs[i] = settings_string_at(settings, "dns-stub", i);
	enum result result = read_servers(servers, &options.server_count, settings, error);
	if (result == R_OK)
		result = resolver_new(out, &options, error);
	for (size_t i = 0; i < DNS_SERVERS_MAX; i++)
		free(servers[i]);
	return result;
}
