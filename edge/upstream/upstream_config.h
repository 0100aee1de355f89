/*
 * What the settings say of upstreams, files already read. Immutable and counted by references: a reload makes
 * a new one, and whoever works by the old one goes on with it until it looks again.
 */
#ifndef EDGE_UPSTREAM_CONFIG_H
#define EDGE_UPSTREAM_CONFIG_H

#include <stdatomic.h>
#include <stddef.h>

#include "common/settings/settings.h"
#include "edge/upstream/upstream_url.h"

enum {
	UPSTREAM_URLS_MAX = 64,
	UPSTREAM_CA_MAX = 1024 * 1024,
	UPSTREAM_PATH_MAX = 1024, /* of health checks */
};

struct upstream_config {
	atomic_int references;
	struct upstream_url urls[UPSTREAM_URLS_MAX];
	size_t url_count;
	char *server_name; /* for `urls`; NULL: each URL's host */
	char *ca;          /* PEM; NULL: the system's */
	size_t ca_size;
	char *health_path; /* NULL: no checks */
	bool proxy_v2;
	bool http2; /* offered to https upstreams */
	int64_t connect_ms;
	int64_t first_byte_ms;
	int64_t idle_ms; /* between bytes of a response */
	int64_t resolve_ms;
	int64_t slow_start_ms;
	int64_t health_ms;
};

/* Reads upstream-ca. R_INVALID, R_LIMIT: the error names the setting and the mend. */
enum result upstream_config_load(
    struct upstream_config **out, const struct settings *settings, struct error *error);
struct upstream_config *upstream_config_ref(struct upstream_config *config);
void upstream_config_unref(struct upstream_config *config);

/* Entries of the edge's table of settings. */
/* clang-format off */
#define UPSTREAM_SETTINGS \
	{"upstream", SETTING_STRING, SETTING_REPEAT | SETTING_REQUIRED | SETTING_RELOAD, NULL, \
	    "Origin that requests are passed to: http://host:port, https://host:port, or h2c://host:port for " \
	    "HTTP/2 without TLS. Given several times, " \
	    "or where the name has several addresses (64 at most), the one with fewer requests of two random " \
	    "ones gets the next. A domain's own upstream (its option `upstream`) takes their place.", \
	    NULL, 0, 0}, \
	{"upstream-sni", SETTING_STRING, SETTING_RELOAD, NULL, \
	    "Name that https upstreams are asked for and whose certificate they must show. Default: the host " \
	    "of their URL, which always holds for a domain's own upstream.", NULL, 0, 0}, \
	{"upstream-ca", SETTING_FILE, SETTING_RELOAD, NULL, \
	    "PEM file of the CAs that may vouch for https upstreams. Default: the system's.", NULL, 0, 0}, \
	{"upstream-http2", SETTING_SWITCH, SETTING_RELOAD, "on", \
	    "Offer HTTP/2 beside HTTP/1.1 to https upstreams, which choose. Requests share its connections.", \
	    NULL, 0, 0}, \
	{"upstream-resolve", SETTING_DURATION, SETTING_RELOAD, "10s", \
	    "How often names of upstreams are looked up again. Addresses that are gone get nothing new; " \
	    "while a look-up fails the last known addresses stay.", NULL, 100, 86400000}, \
	{"upstream-health", SETTING_STRING, SETTING_RELOAD, NULL, \
	    "Path, such as /healthz, that each upstream address is asked for: 2xx and 3xx are well, two " \
	    "other answers or none make it down, two good ones up. Default: no checks.", NULL, 0, 0}, \
	{"upstream-health-interval", SETTING_DURATION, SETTING_RELOAD, "5s", \
	    "Time between two checks of an upstream address, and the longest that one may take (5s at " \
	    "most).", NULL, 50, 3600000}, \
	{"upstream-slow-start", SETTING_DURATION, SETTING_RELOAD, "10s", \
	    "How long an upstream address that has come back takes to get its full share.", \
	    NULL, 0, 3600000}, \
	{"upstream-proxy-protocol", SETTING_CHOICE, SETTING_RELOAD, "off", \
	    "Tell upstreams the client's address by a PROXY protocol header on each connection, which then " \
	    "carries one request only.", "off|v2", 0, 0}, \
	{"upstream-connect-timeout", SETTING_DURATION, SETTING_RELOAD, "5s", \
	    "How long a connection to one upstream address may take, with its TLS handshake, and how long a " \
	    "request waits for the first look-up of a domain's upstream.", NULL, 10, 600000}, \
	{"upstream-timeout", SETTING_DURATION, SETTING_RELOAD, "60s", \
	    "How long the upstream may take to the first byte of its answer.", NULL, 10, 86400000}, \
	{"upstream-idle-timeout", SETTING_DURATION, SETTING_RELOAD, "60s", \
	    "How long the upstream may be silent between bytes of an answer, or take none of a request.", \
	    NULL, 10, 86400000}
/* clang-format on */

#endif
