/*
 * Which stored certificate is shown to who asks for none, or for a name that is not ours: the setting
 * `default-certificate`, by the address that the client came to.
 */
#ifndef EDGE_DEFAULT_NAMES_H
#define EDGE_DEFAULT_NAMES_H

#include "common/net/hostname.h"
#include "common/net/net.h"
#include "common/settings/settings.h"

enum { DEFAULT_NAMES_MAX = 64 };

/* One value, `ADDRESS=NAME`. */
struct default_name {
	bool has_ip;
	struct in6_addr ip; /* IPv4 mapped */
	int port;           /* 0: any */
	struct hostname name;
};

struct default_names {
	struct default_name list[DEFAULT_NAMES_MAX];
	size_t count;
};

/* R_INVALID, R_LIMIT: the error says which value, and the mend. */
enum result default_names_load(
    struct default_names *out, const struct settings *settings, struct error *error);
/* For a connection to this address: of address and port, else of the address, of the port, of all. NULL: no
 * certificate is shown. */
const struct hostname *default_names_find(const struct default_names *names, const struct net_address *local);

/* Entry of the edge's table of settings. */
#define DEFAULT_NAMES_SETTING \
	{ \
		"default-certificate", SETTING_STRING, SETTING_REPEAT | SETTING_RELOAD, NULL, \
		    "Certificate for clients that name no host or one that is not ours, `ADDRESS=NAME`: " \
		    "the " \
		    "stored certificate of NAME, where clients come to ADDRESS (`*`, `:443`, `192.0.2.1`, " \
		    "`[2001:db8::1]:443`; behind a load balancer that of the PROXY header). What such a " \
		    "client asks for gets 421, or what sorry-page and sorry-upstream say. Default: the " \
		    "alert unrecognized_name.", \
		    NULL, 0, 0 \
	}

#endif
