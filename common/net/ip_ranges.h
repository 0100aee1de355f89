/*
 * Is this address in one of those networks? Lists of CIDRs as settings and domains name them: trusted load
 * balancers, trusted CDNs, who may visit. An IPv4-mapped IPv6 address counts as IPv4, and so does a network
 * of such.
 */
#ifndef COMMON_IP_RANGES_H
#define COMMON_IP_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/net/net.h"
#include "common/settings/settings.h"

enum { IP_RANGES_MAX = 1024 };

struct ip_range {
	int family;              /* AF_INET, AF_INET6 */
	unsigned char bytes[16]; /* network order; nothing behind the prefix */
	unsigned bits;
};

struct ip_ranges {
	const struct ip_range *ranges;
	size_t count;
};

/* 192.0.2.0/24, 2001:db8::/32, or an address alone, in `out` with no bit undefined. The error names the value
 * and the mend. */
enum result ip_range_parse(struct ip_range *out, const char *text, struct error *error);

/* The values of a repeatable setting, each as ip_range_parse takes it. The error names the setting, the value
 * and the mend. */
enum result ip_ranges_load(
    struct ip_ranges *out, const struct settings *settings, const char *setting, struct error *error);
void ip_ranges_fini(struct ip_ranges *ranges);

/* No address (AF_UNSPEC, Unix) is in no network. */
bool ip_ranges_contain(const struct ip_ranges *ranges, const struct net_address *address);
/* The same for an address without port, as net_format_host writes it. */
bool ip_ranges_contain_text(const struct ip_ranges *ranges, const char *address);

#endif
