/*
 * Which names are passed on without terminating their TLS: the values of the setting `passthrough`, each
 * `PATTERN[:PORT] SERVER… [option=value…]`, as a table that never changes.
 *
 * Patterns: `mail.example.com` that name; `*.example.com` names with one label more; `.example.com` with one
 * or more; `*` the default, for names that nobody routes and for who names none. The first of this list that
 * fits wins, of suffixes the longest; with the same pattern that with the port of the listener.
 */
#ifndef EDGE_PASS_ROUTES_H
#define EDGE_PASS_ROUTES_H

#include "common/net/hostname.h"
#include "common/settings/settings.h"
#include "edge/pass/pass_metrics.h"
#include "edge/pass/pass_target.h"

struct pass_routes;

enum { PASS_ROUTES_MAX = 1024, PASS_ANY_PORT = 0, PASS_LABEL_MAX = HOSTNAME_MAX + 2 + 6 };

struct pass_route {
	char label[PASS_LABEL_MAX + 1]; /* pattern and port, normalised: in logs and metrics */
	int port;                       /* of the listeners that it is for, or PASS_ANY_PORT */
	struct pass_target target;
	struct pass_metrics metrics;
};

/* Reads the setting `passthrough`. R_INVALID, R_LIMIT: the error says which value, and the mend. */
enum result pass_routes_load(struct pass_routes **out, const struct settings *settings, struct error *error);
void pass_routes_free(struct pass_routes *routes); /* NULL is fine */

/* The route of a normalised name, the defaults left aside; NULL: it is not passed on. */
const struct pass_route *pass_routes_find(const struct pass_routes *routes, const char *name, int port);
/* The default. One without a port counts where TLS is never terminated (`passes_only`): elsewhere a name that
 * nobody routes is one that we may serve. */
const struct pass_route *pass_routes_default(const struct pass_routes *routes, int port, bool passes_only);

/* All of them, for who keeps their groups. */
size_t pass_routes_count(const struct pass_routes *routes);
const struct pass_route *pass_routes_at(const struct pass_routes *routes, size_t index);

#endif
