#include "edge/pass/pass_routes.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "edge/loop/loop.h"
#include "edge/loop/name_table.h"

struct entry {
	struct name_entry entry; /* by the route's label */
	struct pass_route route;
};

struct pass_routes {
	struct name_table by_label;
	struct entry *entries[PASS_ROUTES_MAX];
	size_t count;
	bool has_suffixes; /* a hello costs a look-up for each label only where there are some */
};

/* ---- reading */

/* `name:port` or `name`: cuts the port off. False: what is behind the colon is none. */
static bool split_port(char *pattern, int *port)
{
	char *colon = strrchr(pattern, ':');
	char *end = NULL;

	*port = PASS_ANY_PORT;
	if (!colon)
		return true;
	unsigned long number = strtoul(colon + 1, &end, 10);
	if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || number == 0 || number > UINT16_MAX)
		return false;
	*port = (int)number;
	*colon = '\0';
	return true;
}

static void write_label(char label[PASS_LABEL_MAX + 1], const char *prefix, const char *name, int port)
{
	if (port == PASS_ANY_PORT)
		snprintf(label, PASS_LABEL_MAX + 1, "%s%s", prefix, name);
	else
		snprintf(label, PASS_LABEL_MAX + 1, "%s%s:%d", prefix, name, port);
}

/* *exact: the name, where the pattern is one; else empty. */
static enum result read_pattern(
    struct pass_route *route, char *pattern, struct hostname *exact, struct error *error)
{
	struct hostname name = {""};
	const char *prefix = strncmp(pattern, "*.", 2) == 0 ? "*." : pattern[0] == '.' ? "." : "";

	exact->text[0] = '\0';
	if (!split_port(pattern, &route->port)) {
		error_set(error, "`%s` ends in no port: write name:443", pattern);
		return R_INVALID;
	}
	if (strcmp(pattern, "*") == 0) {
		write_label(route->label, "*", "", route->port);
		return R_OK;
	}
	const char *rest = pattern + strlen(prefix);
	enum hostname_problem problem = hostname_parse(&name, rest, strlen(rest));
	if (problem == HOSTNAME_IP_LITERAL) {
		error_set(error,
		    "`%s` is an address: a value begins with a name, and its servers follow, with "
		    "blanks between, not commas",
		    pattern);
		return R_INVALID;
	}
	/* Of a platform's own suffix (`*.apps.example`) nobody else has names. */
	if (problem != HOSTNAME_OK && !(prefix[0] && problem == HOSTNAME_PUBLIC_SUFFIX)) {
		error_set(error, "`%s` %s", pattern, hostname_problem_text(problem));
		return R_INVALID;
	}
	if (prefix[0] == '\0')
		*exact = name;
	write_label(route->label, prefix, name.text, route->port);
	return R_OK;
}

static enum result read_route(struct pass_route *route, const char *value, struct error *error)
{
	struct hostname exact;
	char pattern[PASS_LABEL_MAX + 1];
	size_t size = strcspn(value, " \t");

	if (size > PASS_LABEL_MAX) {
		error_set(error, "`%.40s...` is longer than any name with a port", value);
		return R_INVALID;
	}
	memcpy(pattern, value, size);
	pattern[size] = '\0';
	enum result result = read_pattern(route, pattern, &exact, error);
	if (result != R_OK)
		return result;
	result = pass_target_parse(&route->target, value + size, exact.text[0] ? exact.text : NULL, error);
	if (result == R_OK && route->target.takes_plain && route->label[0] != '*') {
		error_set(error, "plain=on is for the default, `*`: what is not TLS has no name");
		result = R_INVALID;
	}
	if (result != R_OK)
		error_prefix(error, "%s", route->label);
	return result;
}

static enum result add_route(struct pass_routes *routes, const char *value, struct error *error)
{
	struct entry *entry = mem_alloc(sizeof *entry);
	enum result result = read_route(&entry->route, value, error);

	if (result == R_OK && name_table_find(&routes->by_label, entry->route.label)) {
		error_set(error, "`%s` is there twice: name all servers in one value", entry->route.label);
		result = R_INVALID;
	}
	if (result != R_OK) {
		free(entry);
		return result;
	}
	entry->entry.name = entry->route.label;
	entry->route.metrics = pass_metrics_of(entry->route.label);
	name_table_add(&routes->by_label, &entry->entry);
	routes->entries[routes->count++] = entry;
	routes->has_suffixes = routes->has_suffixes || entry->route.label[0] == '.';
	return R_OK;
}

enum result pass_routes_load(struct pass_routes **out, const struct settings *settings, struct error *error)
{
	struct pass_routes *routes = mem_alloc(sizeof *routes);
	size_t count = settings_count(settings, "passthrough");
	enum result result = R_OK;

	if (count > PASS_ROUTES_MAX) {
		error_set(error, "more than %d values; let a suffix stand for many names", PASS_ROUTES_MAX);
		result = R_LIMIT;
	}
	for (size_t i = 0; i < count && result == R_OK; i++)
		result = add_route(routes, settings_string_at(settings, "passthrough", i), error);
	if (result == R_OK) {
		*out = routes;
		return R_OK;
	}
	error_prefix(error, "passthrough");
	pass_routes_free(routes);
	return result;
}

void pass_routes_free(struct pass_routes *routes)
{
	if (!routes)
		return;
	for (size_t i = 0; i < routes->count; i++)
		free(routes->entries[i]);
	name_table_fini(&routes->by_label);
	free(routes);
}

/* ---- finding */

static const struct pass_route *find_label(const struct pass_routes *routes, const char *label)
{
	struct name_entry *entry = name_table_find(&routes->by_label, label);

	return entry ? &loop_owner(entry, struct entry, entry)->route : NULL;
}

/* That of the port, then that of all ports. */
static const struct pass_route *find_pattern(
    const struct pass_routes *routes, const char *prefix, const char *name, int port)
{
	char label[PASS_LABEL_MAX + 1];

	write_label(label, prefix, name, port);
	const struct pass_route *route = find_label(routes, label);
	if (route)
		return route;
	write_label(label, prefix, name, PASS_ANY_PORT);
	return find_label(routes, label);
}

const struct pass_route *pass_routes_find(const struct pass_routes *routes, const char *name, int port)
{
	if (routes->count == 0)
		return NULL;
	const struct pass_route *route = find_pattern(routes, "", name, port);
	const char *dot = strchr(name, '.');
	if (!route && dot)
		route = find_pattern(routes, "*", dot, port);
	for (; routes->has_suffixes && !route && dot; dot = strchr(dot + 1, '.'))
		route = find_pattern(routes, "", dot, port);
	return route;
}

const struct pass_route *pass_routes_default(const struct pass_routes *routes, int port, bool passes_only)
{
	char label[PASS_LABEL_MAX + 1];

	if (routes->count == 0)
		return NULL;
	if (passes_only)
		return find_pattern(routes, "*", "", port);
	write_label(label, "*", "", port);
	return find_label(routes, label);
}

size_t pass_routes_count(const struct pass_routes *routes)
{
	return routes->count;
}

const struct pass_route *pass_routes_at(const struct pass_routes *routes, size_t index)
{
	return &routes->entries[index]->route;
}
