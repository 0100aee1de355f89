/*
 * Where customers' names are to lead: the target of their CNAME records, and the addresses for those that
 * cannot have one. Settings of every program that judges where a name leads.
 */
#ifndef COMMON_DNS_OUR_PLACE_H
#define COMMON_DNS_OUR_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/net/hostname.h"
#include "common/settings/settings.h"

enum { OUR_ADDRESSES_MAX = 16, TENANT_MAX = 63 };

struct our_address {
	unsigned char bytes[16];
	size_t size; /* 4 or 16 */
	char text[46];
};

struct our_place {
	struct hostname saas_root; /* "" where it is not set */
	char *target;              /* may hold {tenant}; NULL: neither cname-target nor saas-root is set */
	struct our_address apex[OUR_ADDRESSES_MAX];
	size_t apex_count;
};

/* clang-format off */
/* Entries of a program's table. */
#define SETTINGS_OF_OUR_PLACE(saas_root_flags)                                                               \
	{"saas-root", SETTING_STRING, saas_root_flags, NULL,                                                     \
	    "The platform's own domain, for example acme-saas.io. Customers' TXT records end in "                \
	    ".verify.<saas-root>.", NULL, 0, 0},                                                                 \
	{"cname-target", SETTING_STRING, 0, NULL,                                                                \
	    "What customers point their names at; {tenant} stands for the tenant. Default: nlb.<saas-root>.",    \
	    NULL, 0, 0},                                                                                         \
	{"apex-addresses", SETTING_STRING, SETTING_REPEAT, NULL,                                                 \
	    "IPv4 and IPv6 addresses for domains that can't have a CNAME (shop.com itself), separated by commas.", \
	    NULL, 0, 0}
/* clang-format on */

/* R_INVALID: the error names the setting. Looks nothing up. */
enum result our_place_load(struct our_place *out, const struct settings *settings, struct error *error);
void our_place_fini(struct our_place *place);

/* The target for a tenant; it fits, as both parts were checked. */
void our_place_target(const struct our_place *place, const char *tenant, char target[HOSTNAME_MAX + 1]);
/* Does the target differ from tenant to tenant? */
bool our_place_has_tenants(const struct our_place *place);

#endif
