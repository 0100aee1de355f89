#include "verifier/diagnose/cdn.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/net/ip_ranges.h"

#define CLOUDFLARE "Cloudflare"
#define FASTLY "Fastly"

static const struct {
	const char *suffix, *title;
} names[] = {
    {"cdn.cloudflare.net", CLOUDFLARE},
    {"cloudfront.net", "Amazon CloudFront"},
    {"fastly.net", FASTLY},
    {"fastlylb.net", FASTLY},
    {"akamaiedge.net", "Akamai"},
    {"akamai.net", "Akamai"},
    {"edgekey.net", "Akamai"},
    {"edgesuite.net", "Akamai"},
    {"azurefd.net", "Azure Front Door"},
    {"azureedge.net", "Azure CDN"},
    {"b-cdn.net", "bunny.net"},
    {"impervadns.net", "Imperva"},
    {"incapdns.net", "Imperva"},
    {"cdn77.org", "CDN77"},
    {"kxcdn.com", "KeyCDN"},
    {"gcdn.co", "Gcore"},
};

/* As the operators publish them (www.cloudflare.com/ips, api.fastly.com/public-ip-list). Others share their
 * addresses with what is no CDN. */
static const struct {
	const char *network, *title;
} networks[] = {
    {"103.21.244.0/22", CLOUDFLARE},
    {"103.22.200.0/22", CLOUDFLARE},
    {"103.31.4.0/22", CLOUDFLARE},
    {"104.16.0.0/13", CLOUDFLARE},
    {"104.24.0.0/14", CLOUDFLARE},
    {"108.162.192.0/18", CLOUDFLARE},
    {"131.0.72.0/22", CLOUDFLARE},
    {"141.101.64.0/18", CLOUDFLARE},
    {"162.158.0.0/15", CLOUDFLARE},
    {"172.64.0.0/13", CLOUDFLARE},
    {"173.245.48.0/20", CLOUDFLARE},
    {"188.114.96.0/20", CLOUDFLARE},
    {"190.93.240.0/20", CLOUDFLARE},
    {"197.234.240.0/22", CLOUDFLARE},
    {"198.41.128.0/17", CLOUDFLARE},
    {"2400:cb00::/32", CLOUDFLARE},
    {"2405:8100::/32", CLOUDFLARE},
    {"2405:b500::/32", CLOUDFLARE},
    {"2606:4700::/32", CLOUDFLARE},
    {"2803:f800::/32", CLOUDFLARE},
    {"2a06:98c0::/29", CLOUDFLARE},
    {"2c0f:f248::/32", CLOUDFLARE},
    {"23.235.32.0/20", FASTLY},
    {"43.249.72.0/22", FASTLY},
    {"103.244.50.0/24", FASTLY},
    {"103.245.222.0/23", FASTLY},
    {"103.245.224.0/24", FASTLY},
    {"104.156.80.0/20", FASTLY},
    {"140.248.64.0/18", FASTLY},
    {"140.248.128.0/17", FASTLY},
    {"146.75.0.0/17", FASTLY},
    {"151.101.0.0/16", FASTLY},
    {"157.52.64.0/18", FASTLY},
    {"167.82.0.0/17", FASTLY},
    {"167.82.128.0/20", FASTLY},
    {"167.82.160.0/20", FASTLY},
    {"167.82.224.0/20", FASTLY},
    {"172.111.64.0/18", FASTLY},
    {"185.31.16.0/22", FASTLY},
    {"199.27.72.0/21", FASTLY},
    {"199.232.0.0/16", FASTLY},
    {"2a04:4e40::/32", FASTLY},
    {"2a04:4e42::/32", FASTLY},
};

static bool is_under(const char *name, const char *suffix)
{
	size_t size = strlen(name), suffix_size = strlen(suffix);
	return size > suffix_size && name[size - suffix_size - 1] == '.' &&
	       strcasecmp(name + size - suffix_size, suffix) == 0;
}

const char *cdn_of_name(const char *name)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (is_under(name, names[i].suffix))
			return names[i].title;
	return NULL;
}

const char *cdn_of_address(const unsigned char *bytes, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	struct net_address address;
	struct ip_range range;
	inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text);
	if (!net_read_host(&address, text, 0))
		return NULL;
	for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
		if (ip_range_parse(&range, networks[i].network, NULL) == R_OK &&
		    ip_ranges_contain(&(struct ip_ranges){&range, 1}, &address))
			return networks[i].title;
	return NULL;
}
