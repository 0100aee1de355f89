/*
 * What a webhook may be sent to: which URLs, looked at when one is entered and again when something is sent,
 * and which addresses, looked at for each connection, whatever a name was resolved to. Public addresses by
 * https, and what the operator allows beyond them. The checks are pure; looks nothing up.
 */
#ifndef COMMON_DNS_WEBHOOK_TARGET_H
#define COMMON_DNS_WEBHOOK_TARGET_H

#include <stdint.h>

#include "common/net/hostname.h"
#include "common/net/ip_ranges.h"
#include "common/settings/settings.h"

enum { WEBHOOK_URL_MAX = 2000 };

struct webhook_rules {
	bool http; /* without TLS too */
	struct ip_ranges allowed;
};

/* clang-format off */
/* Entries of a program's table. */
#define SETTINGS_OF_WEBHOOK_RULES                                                                            \
	{"webhook-allow", SETTING_STRING, SETTING_REPEAT, NULL,                                                  \
	    "Networks (CIDRs) that webhooks may be sent to although they are not public: loopback, private, "    \
	    "link-local. Tenants' webhooks too, who read the beginning of what is answered there. Default: none.", \
	    NULL, 0, 0},                                                                                         \
	{"webhook-http", SETTING_SWITCH, 0, "off",                                                               \
	    "Webhooks may have http URLs: what they say is then readable on the way.", NULL, 0, 0}
/* clang-format on */

/* R_INVALID: the error names the setting and the mend. */
enum result webhook_rules_load(
    struct webhook_rules *out, const struct settings *settings, struct error *error);
void webhook_rules_fini(struct webhook_rules *rules);

struct webhook_target {
	char url[WEBHOOK_URL_MAX + 1];
	struct hostname host; /* an A-label name; "" where the URL has an address */
	uint16_t port;
};

/* The URL, normalised. R_INVALID: the error says, as what follows "url: ", what is wrong with it and the
 * mend. */
enum result webhook_target_parse(
    struct webhook_target *out, const struct webhook_rules *rules, const char *url, struct error *error);

/* May a connection be made to these 4 or 16 bytes in network order? */
bool webhook_may_reach(const struct webhook_rules *rules, const unsigned char *bytes, size_t size);

#endif
