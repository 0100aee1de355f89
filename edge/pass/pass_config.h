/*
 * What the settings say of passing TLS on: the routes and the deadlines, as one snapshot that never changes.
 */
#ifndef EDGE_PASS_CONFIG_H
#define EDGE_PASS_CONFIG_H

#include "edge/pass/pass_routes.h"

struct pass_config {
	struct pass_routes *routes;
	struct pass_metrics domains; /* of names that are passed on by their domain's option */
	int64_t connect_ms;
	int64_t idle_ms;
};

enum result pass_config_load(struct pass_config **out, const struct settings *settings, struct error *error);
void pass_config_free(struct pass_config *config); /* NULL is fine */

/* Entries of the edge's table of settings. */
/* clang-format off */
#define PASS_SETTINGS \
	{"listen-passthrough", SETTING_ADDRESS, SETTING_REPEAT, NULL, \
	    "Address where TLS is never terminated, for other protocols than HTTP (:993, :465): connections are " \
	    "passed on by `passthrough` and by the option of that name of domains, or closed.", NULL, 0, 0}, \
	{"passthrough", SETTING_STRING, SETTING_REPEAT | SETTING_RELOAD, NULL, \
	    "TLS that is passed on unopened, by the name its hello asks for: `PATTERN[:PORT] HOST:PORT... " \
	    "[check=tcp|tls] [interval=5s] [affinity=client|session-id] [proxy=v2] [plain=on]`. Pattern: a name; " \
	    "`*.example.com`, one label more; `.example.com`, one or more; `*`, the default (on listen-https with " \
	    "its port only). Also from clients that wait for the server to speak first; plain=on: what is no TLS.", \
	    NULL, 0, 0}, \
	{"passthrough-connect-timeout", SETTING_DURATION, SETTING_RELOAD, "5s", \
	    "How long a connection to one server of `passthrough` may take; then the next one is tried.", \
	    NULL, 10, 600000}, \
	{"passthrough-idle-timeout", SETTING_DURATION, SETTING_RELOAD, "1h", \
	    "How long a connection that is passed on may be silent both ways. Mail clients wait for half an hour.", \
	    NULL, 10, 7 * 86400000}
/* clang-format on */

#endif
