#include "edge/pass/pass_target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void write_key(struct pass_target *target)
{
	const struct upstream_probe_plan *probe = &target->probe;
	size_t room = sizeof target->key;
	size_t size = (size_t)snprintf(target->key, room, "pass %d %" PRId64 " %d %s", probe->kind,
	    probe->interval_ms, probe->proxy_v2, probe->name);

	for (size_t i = 0; i < target->count && size < room; i++)
		size +=
		    (size_t)snprintf(target->key + size, room - size, " %s", target->servers[i].authority);
}

static enum result take_server(struct upstream_url *out, const char *server, struct error *error)
{
	char url[UPSTREAM_URL_MAX + 1];
	int size = snprintf(url, sizeof url, "http://%s", server);

	if (size < (int)sizeof url && upstream_url_parse(out, url, NULL) == R_OK)
		return R_OK;
	error_set(error, "`%s`: no server; write host:port or [v6]:port", server);
	return R_INVALID;
}

enum result pass_target_parse(
    struct pass_target *out, const char *text, const char *name, struct error *error)
{
	static const enum upstream_probe_kind kinds[] = {
	    [PASSTHROUGH_CHECK_OFF] = UPSTREAM_PROBE_NONE,
	    [PASSTHROUGH_CHECK_TCP] = UPSTREAM_PROBE_TCP,
	    [PASSTHROUGH_CHECK_TLS] = UPSTREAM_PROBE_TLS,
	};
	struct passthrough words;
	enum result result = passthrough_parse(&words, text, error);

	*out = (struct pass_target){.affinity = words.affinity,
	    .proxy_v2 = words.proxy_v2,
	    .takes_plain = words.takes_plain,
	    .probe = {
		.kind = kinds[words.check], .interval_ms = words.interval_ms, .proxy_v2 = words.proxy_v2}};
	for (; result == R_OK && out->count < words.count; out->count++)
		result = take_server(&out->servers[out->count], words.servers[out->count], error);
	if (result != R_OK)
		return result;
	if (name && words.check == PASSTHROUGH_CHECK_TLS)
		snprintf(out->probe.name, sizeof out->probe.name, "%s", name);
	write_key(out);
	return R_OK;
}
