/*
 * Whom we believe about the client, and what we say of ourselves: the load balancers whose PROXY header
 * counts, the CDNs whose X-Forwarded-For does, the port that visitors know, our name in Via. From the
 * settings, read-only afterwards.
 */
#ifndef EDGE_TRUST_H
#define EDGE_TRUST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/net/ip_ranges.h"
#include "common/settings/settings.h"
#include "edge/http/http_msg.h"

enum { TRUST_VIA_SIZE = 32 };

struct trust {
	bool proxy_required;
	int64_t proxy_timeout_ms;
	struct ip_ranges proxies;
	struct ip_ranges cdns;
	uint16_t https_port; /* in redirects, and where no PROXY header tells the port */
	/* Our member of Via, "1.1 postern-01234567" after a request in HTTP/1.1, by enum http_version; the
	 * pseudonym is this process's alone. Empty: none is sent. */
	char via[HTTP_VERSIONS][TRUST_VIA_SIZE];
};

enum result trust_load(struct trust *out, const struct settings *settings, struct error *error);
void trust_fini(struct trust *trust);

/* Entries of the edge's table of settings. */
#define TRUST_SETTINGS \
	{"proxy-protocol", SETTING_CHOICE, SETTING_RELOAD, "off", \
	    "Whether each connection begins with a PROXY protocol header (version 1 or 2) that says who " \
	    "the " \
	    "client is. Never guessed: `required` refuses connections without one.", \
	    "off|required", 0, 0}, \
	    {"proxy-trust", SETTING_STRING, SETTING_REPEAT | SETTING_RELOAD, NULL, \
		"Networks of the load balancers whose PROXY header counts (192.0.2.0/24,2001:db8::/32): " \
		"with " \
		"`proxy-protocol=required` other peers are refused.", \
		NULL, 0, 0}, \
	    {"proxy-timeout", SETTING_DURATION, SETTING_RELOAD, "5s", \
		"Longest wait for a complete PROXY header.", NULL, 10, 60000}, \
	    {"forwarded-trust", SETTING_STRING, SETTING_REPEAT | SETTING_RELOAD, NULL, \
		"Networks of CDNs in front of us: from those the client's address is taken from " \
		"X-Forwarded-For. From others it is the connection's.", \
		NULL, 0, 0}, \
	    {"https-port", SETTING_INTEGER, SETTING_RELOAD, "443", \
		"Port at which visitors reach `listen-https`: in redirects from port 80, and in " \
		"X-Forwarded-Port where no PROXY header tells it.", \
		NULL, 1, 65535}, \
	{ \
		"via", SETTING_SWITCH, SETTING_RELOAD, "on", \
		    "Whether requests to the upstream carry Via (RFC 9110 section 7.6.3), by which loops " \
		    "are " \
		    "found. nginx as upstream compresses their responses only with `gzip_proxied any`.", \
		    NULL, 0, 0 \
	}

#endif
