/*
 * To which servers bytes are passed, and how: what a setting or a domain's option says of it
 * (common/domain/passthrough), as upstreams take it. Pure: looks nothing up.
 */
#ifndef EDGE_PASS_TARGET_H
#define EDGE_PASS_TARGET_H

#include "common/domain/passthrough.h"
#include "edge/upstream/upstreams.h"

struct pass_target {
	struct upstream_url servers[PASSTHROUGH_SERVERS_MAX];
	size_t count;
	enum passthrough_affinity affinity;
	bool proxy_v2;
	bool takes_plain; /* also what does not begin like TLS */
	struct upstream_probe_plan probe;
	char key[PASSTHROUGH_TEXT_MAX + UPSTREAM_HOST_MAX + 64]; /* the group's, among upstreams */
};

/* `name` is what a TLS check asks for, NULL: none. R_INVALID: the error says what is wrong and the mend. */
enum result pass_target_parse(
    struct pass_target *out, const char *text, const char *name, struct error *error);

#endif
