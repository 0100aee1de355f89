#include "common/dns/resolver_setup.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unbound.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/dns/public_address.h"

#define DEBIAN_ROOT_KEY "/usr/share/dns/root.key"

/* Nothing is remembered from one look-up to the next: not an answer, not a missing one, not that a server was
 * dead a minute ago. The small caches only serve the look-up that fills them. */
static const char *const fixed_options[][2] = {
    {"cache-max-ttl:", "10"},
    {"cache-min-ttl:", "0"},
    {"cache-max-negative-ttl:", "0"},
    {"infra-host-ttl:", "0"},
    /* A server is given 0.8 s, then longer and longer: one that takes a second is heard in time. */
    {"unknown-server-time-limit:", "800"},
    {"infra-cache-max-rtt:", "4000"},
    {"val-bogus-ttl:", "0"},
    {"serve-expired:", "no"},
    {"prefetch:", "no"},
    {"aggressive-nsec:", "no"},
    {"harden-below-nxdomain:", "no"},
    {"msg-cache-size:", "512k"},
    {"rrset-cache-size:", "512k"},
    {"key-cache-size:", "256k"},
    {"neg-cache-size:", "64k"},
    /* Fewer questions on the way down: names are no secret here, unwanted name server addresses a waste. */
    {"qname-minimisation:", "no"},
    {"target-fetch-policy:", "0 0 0 0 0"},
    /* The library's 16 sockets would let a few dead servers hold up everybody else's look-ups. */
    {"outgoing-range:", "1024"},
    {"num-queries-per-thread:", "2048"},
    {"outgoing-num-tcp:", "64"},
    {"do-tcp:", "yes"},
    {"edns-buffer-size:", "1232"},
    {"do-not-query-localhost:", "no"},
    /* Zones that libunbound would answer for by itself. */
    {"unblock-lan-zones:", "yes"},
    {"insecure-lan-zones:", "yes"},
    {"local-zone:", "test. nodefault"},
    {"local-zone:", "invalid. nodefault"},
    {"local-zone:", "onion. nodefault"},
    {"local-zone:", "home.arpa. nodefault"},
};

/* Without a route, each IPv6 address of a name server costs a try. Connecting a datagram socket sends
 * nothing. */
static bool has_ipv6_route(void)
{
	struct sockaddr_in6 root = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	inet_pton(AF_INET6, "2001:500:2f::f", &root.sin6_addr);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool reached = connect(fd, (const struct sockaddr *)&root, sizeof root) == 0;
	close(fd);
	return reached;
}

static bool names_ipv6(const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strchr(list[i], ':'))
			return true;
	return false;
}

static enum result set_option(
    struct ub_ctx *context, const char *option, const char *value, struct error *error)
{
	int failure = ub_ctx_set_option(context, option, value);
	if (!failure)
		return R_OK;
	error_set(error, "libunbound refused %s %s (%s)", option, value, ub_strerror(failure));
	return R_INVALID;
}

static enum result set_fixed(
    struct ub_ctx *context, const struct resolver_options *options, struct error *error)
{
	for (size_t i = 0; i < sizeof fixed_options / sizeof *fixed_options; i++) {
		enum result result = set_option(context, fixed_options[i][0], fixed_options[i][1], error);
		if (result != R_OK)
			return result;
	}
	bool ipv6 = names_ipv6(options->servers, options->server_count) ||
		    names_ipv6(options->stubs, options->stub_count) || has_ipv6_route();
	return set_option(context, "do-ip6:", ipv6 ? "yes" : "no", error);
}

static enum result set_stub(struct ub_ctx *context, const char *stub, bool insecure, struct error *error)
{
	const char *equals = strchr(stub, '=');
	if (!equals || equals == stub || !equals[1]) {
		error_set(
		    error, "dns-stub \"%s\": must be zone=address@port, as in test=127.0.0.1@5300", stub);
		return R_INVALID;
	}
	char *zone = mem_string(stub);
	zone[equals - stub] = '\0';
	int failure = ub_ctx_set_stub(context, zone, equals + 1, 0);
	if (!failure && insecure)
		failure = ub_ctx_set_option(context, "domain-insecure:", zone);
	free(zone);
	if (!failure)
		return R_OK;
	error_set(error, "dns-stub \"%s\": must be zone=address@port, with an IP address (%s)", stub,
	    ub_strerror(failure));
	return R_INVALID;
}

static enum result set_servers(
    struct ub_ctx *context, const struct resolver_options *options, struct error *error)
{
	for (size_t i = 0; i < options->server_count; i++) {
		int failure = ub_ctx_set_fwd(context, options->servers[i]);
		if (failure) {
			error_set(error, "dns-servers: %s is no address@port (%s)", options->servers[i],
			    ub_strerror(failure));
			return R_INVALID;
		}
	}
	for (size_t i = 0; i < options->stub_count; i++) {
		enum result result = set_stub(context, options->stubs[i], !options->trust_anchor, error);
		if (result != R_OK)
			return result;
	}
	if (options->root_hints)
		return set_option(context, "root-hints:", options->root_hints, error);
	return R_OK;
}

static bool is_readable(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* No trust anchor, no validation. */
static const char *choose_anchor(const struct resolver_options *options)
{
	if (options->trust_anchor)
		return strcmp(options->trust_anchor, "none") == 0 ? NULL : options->trust_anchor;
	return !options->server_count && is_readable(DEBIAN_ROOT_KEY) ? DEBIAN_ROOT_KEY : NULL;
}

/* Networks that no name server of a stranger's zone is asked in: whoever owns a zone chooses where its name
 * servers' names lead. */
static const char *const inner_networks[] = {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8",
    "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "::/8", "fc00::/7", "fe80::/10"};

/* Has the text an address of our own networks? Separated by what no address holds. */
static bool names_inner_address(const char *text)
{
	char word[INET6_ADDRSTRLEN];
	while (*text) {
		unsigned char bytes[16];
		size_t size = strspn(text, "0123456789abcdefABCDEF.:");
		snprintf(word, sizeof word, "%.*s", (int)size, text);
		int family = strchr(word, ':') ? AF_INET6 : AF_INET;
		if (size < sizeof word && inet_pton(family, word, bytes) == 1 &&
		    !public_address_is(bytes, family == AF_INET6 ? 16 : 4))
			return true;
		text += size ? size : 1;
	}
	return false;
}

static bool file_names_inner_address(const char *path)
{
	enum { READ_MAX = 64 * 1024 };
	FILE *file = path ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	char *text = mem_alloc(READ_MAX + 1);
	text[fread(text, 1, READ_MAX, file)] = '\0';
	bool found = names_inner_address(text);
	free(text);
	fclose(file);
	return found;
}

static bool list_names_inner_address(const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (names_inner_address(list[i]))
			return true;
	return false;
}

/* Where the operator's own settings lead into our networks, libunbound would not go there either. */
static enum result shut_inner_networks(
    struct ub_ctx *context, const struct resolver_options *options, struct error *error)
{
	enum result result = R_OK;
	if (list_names_inner_address(options->servers, options->server_count) ||
	    list_names_inner_address(options->stubs, options->stub_count) ||
	    file_names_inner_address(options->root_hints))
		return R_OK;
	for (size_t i = 0; result == R_OK && i < sizeof inner_networks / sizeof *inner_networks; i++)
		result = set_option(context, "do-not-query-address:", inner_networks[i], error);
	return result;
}

static enum result set_all(
    struct ub_ctx *context, const struct resolver_options *options, struct error *error)
{
	enum result result = set_fixed(context, options, error);
	if (result == R_OK)
		result = set_servers(context, options, error);
	if (result == R_OK)
		result = shut_inner_networks(context, options, error);
	const char *anchor = choose_anchor(options);
	if (result == R_OK && anchor && ub_ctx_add_ta_file(context, anchor) != 0) {
		error_set(error, "dns-trust-anchor \"%s\" was refused", anchor);
		result = R_INVALID;
	}
	if (result == R_OK && ub_ctx_async(context, 1) != 0) {
		error_set(error, "libunbound has no threads");
		result = R_ERROR;
	}
	return result;
}

/* libunbound reads hints and anchors when the context becomes final, and tells what was wrong with them only
 * in its log. Touching a local zone makes it final. */
static enum result finish(struct ub_ctx *context, struct error *error)
{
	char *said = NULL;
	size_t size = 0;
	FILE *log = open_memstream(&said, &size);
	ub_ctx_debugout(context, log);
	int failure = ub_ctx_zone_remove(context, "test.");
	ub_ctx_debugout(context, NULL);
	if (log)
		fclose(log);
	if (failure) {
		const char *cause = said ? strstr(said, "error: ") : NULL;
		error_set(error, "dns-root-hints or dns-trust-anchor: %.*s",
		    cause ? (int)strcspn(cause + 7, "\n") : (int)strlen(ub_strerror(failure)),
		    cause ? cause + 7 : ub_strerror(failure));
	}
	free(said);
	return failure ? R_INVALID : R_OK;
}

enum result resolver_setup(struct ub_ctx **out, const struct resolver_options *options, struct error *error)
{
	struct ub_ctx *context = ub_ctx_create();
	if (!context) {
		error_set(error, "libunbound could not be started");
		return R_ERROR;
	}
	ub_ctx_debuglevel(context, 0);
	enum result result = set_all(context, options, error);
	if (result == R_OK)
		result = finish(context, error);
	if (result != R_OK) {
		ub_ctx_delete(context);
		return result;
	}
	*out = context;
	return R_OK;
}
