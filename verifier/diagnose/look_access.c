#include "verifier/diagnose/look_access.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/dns/public_address.h"

enum { DNS_PORT = 53 };

/* zone=address@port, as libunbound takes it. */
static bool read_stub(struct look_stub *out, const char *text)
{
	const char *equals = strchr(text, '=');
	size_t size = equals ? (size_t)(equals - text) : 0;
	if (!equals || size > HOSTNAME_MAX)
		return false;
	for (size_t i = 0; i < size; i++)
		out->zone[i] = (char)tolower((unsigned char)text[i]);
	out->zone[size && text[size - 1] == '.' ? size - 1 : size] = '\0';
	char host[NET_ADDRESS_TEXT];
	const char *at = strchr(equals, '@');
	snprintf(host, sizeof host, "%.*s", (int)strcspn(equals + 1, "@"), equals + 1);
	return net_read_host(&out->address, host, at ? (uint16_t)atoi(at + 1) : DNS_PORT);
}

void look_access_load(struct look_access *out, const struct settings *settings)
{
	*out = (struct look_access){.stub_count = 0};
	for (size_t i = 0; i < settings_count(settings, "dns-stub") && out->stub_count < DNS_SERVERS_MAX; i++)
		out->stub_count +=
		    read_stub(&out->stubs[out->stub_count], settings_string_at(settings, "dns-stub", i));
	for (size_t i = 0; i < settings_count(settings, "dns-servers") && out->server_count < DNS_SERVERS_MAX;
	     i++)
		out->server_count += net_parse_address(&out->servers[out->server_count],
					 settings_string_at(settings, "dns-servers", i), NULL) == R_OK;
}

static bool is_within(const char *name, const char *zone)
{
	size_t size = strlen(name), zone_size = strlen(zone);
	if (!zone_size)
		return true;
	return size >= zone_size && strcasecmp(name + size - zone_size, zone) == 0 &&
	       (size == zone_size || name[size - zone_size - 1] == '.');
}

const char *look_access_stub_zone(const struct look_access *access, const char *name)
{
	const char *longest = NULL;
	for (size_t i = 0; i < access->stub_count; i++) {
		const char *zone = access->stubs[i].zone;
		if (is_within(name, zone) && (!longest || strlen(zone) > strlen(longest)))
			longest = zone;
	}
	return longest;
}

size_t look_access_stub_servers(
    const struct look_access *access, const char *zone, struct ask_server out[ASK_SERVERS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < access->stub_count && count < ASK_SERVERS_MAX; i++)
		if (strcmp(access->stubs[i].zone, zone) == 0)
			out[count++] =
			    (struct ask_server){.address = access->stubs[i].address, .may_be_own = true};
	return count;
}

static bool is_same_host(const struct net_address *a, const struct net_address *b)
{
	char a_text[NET_ADDRESS_TEXT], b_text[NET_ADDRESS_TEXT];
	return strcmp(net_format_host(a, a_text), net_format_host(b, b_text)) == 0;
}

bool look_access_allow(
    const struct look_access *access, const unsigned char *bytes, size_t size, struct ask_server *out)
{
	char text[INET6_ADDRSTRLEN];
	*out = (struct ask_server){.may_be_own = false};
	if (!inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text) ||
	    !net_read_host(&out->address, text, DNS_PORT))
		return false;
	for (size_t i = 0; i < access->server_count; i++) {
		if (!is_same_host(&access->servers[i], &out->address))
			continue;
		*out = (struct ask_server){.address = access->servers[i], .may_be_own = true};
		return true;
	}
	return public_address_is(bytes, size);
}
