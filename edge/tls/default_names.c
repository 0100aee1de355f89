#include "edge/tls/default_names.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct in6_addr mapped(struct in_addr v4)
{
	struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	memcpy(&ip.s6_addr[12], &v4, sizeof v4);
	return ip;
}

static bool read_ip(struct default_name *out, const char *text)
{
	struct in_addr v4;

	out->has_ip = true;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		out->ip = mapped(v4);
		return true;
	}
	return inet_pton(AF_INET6, text, &out->ip) == 1;
}

static bool read_port(struct default_name *out, const char *text)
{
	char *end = NULL;
	unsigned long port = strtoul(text, &end, 10);

	out->port = (int)port;
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && port > 0 && port <= UINT16_MAX;
}

/* `*`, `:port`, `v4`, `v4:port`, `[v6]`, `[v6]:port`; cuts it into parts. */
static bool read_address(struct default_name *out, char *text)
{
	char *bracket = text[0] == '[' ? strchr(text, ']') : NULL;
	char *colon = bracket ? bracket + 1 : strchr(text, ':');

	if (strcmp(text, "*") == 0)
		return true;
	if (!bracket && colon && strchr(colon + 1, ':'))
		return false; /* 2001:db8::1:443 could mean either */
	if (colon && *colon == ':' && !read_port(out, colon + 1))
		return false;
	if (colon && *colon != ':' && *colon != '\0')
		return false;
	if (colon)
		*colon = '\0';
	if (bracket)
		*bracket = '\0';
	return text[0] == '\0' || read_ip(out, text + (bracket ? 1 : 0));
}

static enum result read_value(struct default_name *out, const char *value, struct error *error)
{
	char address[NET_ADDRESS_TEXT];
	const char *equals = strchr(value, '=');
	size_t size = equals ? (size_t)(equals - value) : 0;

	if (size == 0 || size >= sizeof address) {
		error_set(error, "`%s`: write ADDRESS=NAME, such as *=www.example.com", value);
		return R_INVALID;
	}
	memcpy(address, value, size);
	address[size] = '\0';
	if (!read_address(out, address)) {
		error_set(error,
		    "`%s` is no address: write *, :443, 192.0.2.1, 192.0.2.1:443 or [2001:db8::1]:443",
		    value);
		return R_INVALID;
	}
	const char *name = equals + 1;
	enum hostname_problem problem = name[0] == '*'
					    ? hostname_parse_wildcard(&out->name, name, strlen(name))
					    : hostname_parse(&out->name, name, strlen(name));
	if (problem == HOSTNAME_OK)
		return R_OK;
	error_set(error, "`%s` %s", name, hostname_problem_text(problem));
	return R_INVALID;
}

static bool is_same_address(const struct default_name *one, const struct default_name *other)
{
	return one->has_ip == other->has_ip && one->port == other->port &&
	       memcmp(&one->ip, &other->ip, sizeof one->ip) == 0;
}

static enum result add_value(struct default_names *names, const char *value, struct error *error)
{
	struct default_name *added = &names->list[names->count];
	enum result result = read_value(added, value, error);

	for (size_t i = 0; i < names->count && result == R_OK; i++) {
		if (!is_same_address(&names->list[i], added))
			continue;
		error_set(error, "`%s`: its address has a certificate already; leave one of them", value);
		result = R_INVALID;
	}
	return result;
}

enum result default_names_load(
    struct default_names *out, const struct settings *settings, struct error *error)
{
	size_t count = settings_count(settings, "default-certificate");
	enum result result = R_OK;

	*out = (struct default_names){.count = 0};
	if (count > DEFAULT_NAMES_MAX) {
		error_set(error, "default-certificate: more than %d values", DEFAULT_NAMES_MAX);
		return R_LIMIT;
	}
	for (; out->count < count && result == R_OK; out->count++)
		result =
		    add_value(out, settings_string_at(settings, "default-certificate", out->count), error);
	if (result != R_OK)
		error_prefix(error, "default-certificate");
	return result;
}

static struct in6_addr ip_of(const struct net_address *address)
{
	return address->storage.ss_family == AF_INET ? mapped(address->storage.v4.sin_addr)
						     : address->storage.v6.sin6_addr;
}

/* How well does it fit? -1: not at all. */
static int fit(const struct default_name *one, const struct in6_addr *ip, int port)
{
	if (one->has_ip && memcmp(&one->ip, ip, sizeof *ip) != 0)
		return -1;
	if (one->port != 0 && one->port != port)
		return -1;
	return (one->has_ip ? 2 : 0) + (one->port != 0 ? 1 : 0);
}

const struct hostname *default_names_find(const struct default_names *names, const struct net_address *local)
{
	struct in6_addr ip = ip_of(local);
	const struct hostname *found = NULL;
	int best = -1;

	for (size_t i = 0; i < names->count; i++) {
		int now = fit(&names->list[i], &ip, net_port(local));

		if (now <= best)
			continue;
		best = now;
		found = &names->list[i].name;
	}
	return found;
}
