/*
 * The settings by which a program is told how to ask DNS, and the resolver that follows from them. One table
 * for all programs that look names up themselves.
 */
#ifndef COMMON_DNS_DNS_SETTINGS_H
#define COMMON_DNS_DNS_SETTINGS_H

#include "common/dns/resolver.h"
#include "common/settings/settings.h"

/* Of dns-servers, and of dns-stub. */
enum { DNS_SERVERS_MAX = 16 };

/* clang-format off */
/* Entries of a program's table. */
#define SETTINGS_OF_THE_RESOLVER                                                                             \
	{"dns-servers", SETTING_STRING, SETTING_REPEAT, NULL,                                                    \
	    "Fixed DNS resolvers as host:port, separated by commas. Default: full recursion from the root.",     \
	    NULL, 0, 0},                                                                                         \
	{"dns-root-hints", SETTING_FILE, 0, NULL, "Root hints for the full recursion. Default: built in.",       \
	    NULL, 0, 0},                                                                                         \
	{"dns-trust-anchor", SETTING_STRING, 0, NULL,                                                            \
	    "File of DNSSEC trust anchors, or `none`. Default: /usr/share/dns/root.key where it is readable, for " \
	    "full recursion; stubs and dns-servers are then believed as they are.", NULL, 0, 0},                 \
	{"dns-stub", SETTING_STRING, SETTING_REPEAT, NULL,                                                       \
	    "zone=address@port: ask this server about that zone. Repeatable.", NULL, 0, 0}
/* clang-format on */

/* Starts the resolver; host names in dns-servers are looked up (blocking). `program` is the middle of the
 * names of its metrics. R_INVALID: a setting is wrong, the error names it. */
enum result dns_settings_resolver(
    struct resolver **out, const struct settings *settings, const char *program, struct error *error);

#endif
