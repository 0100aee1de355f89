#include "common/daemon/heartbeat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clean_text.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/version.h"
#include "common/daemon/background.h"
#include "common/log/log.h"
#include "common/pg/schema.h"

enum { BEAT_MS = 30 * 1000, RETRY_MS = 1000, QUERY_MS = 1000, LEAVE_MS = 500, HOST_MAX = 255 };

struct heartbeat {
	struct heartbeat_config config;
	struct pg *pg;
	struct background *rounds;
	int64_t started_ms, beat_at_ms;
	bool schema_seen, failing;
	char host[HOST_MAX + 1];
	char node[HEARTBEAT_NODE_MAX + 1];
};

/* The process says it once, however often it fails: others complain about the database, too. */
static void report(struct heartbeat *heartbeat, enum result result, const struct error *error)
{
	if (result != R_OK && !heartbeat->failing)
		log_warn("the fleet does not hear that this process is alive", log_str("error", error->text));
	heartbeat->failing = result != R_OK;
}

static enum result beat(struct heartbeat *heartbeat)
{
	const struct heartbeat_config *config = &heartbeat->config;
	struct error error = {""};

	enum result result =
	    pg_run(heartbeat->pg, QUERY_MS, NULL, &error, "SELECT node_beat($1, $2, $3, $4, $5)",
		pg_text(heartbeat->node), pg_text(config->role), pg_text(heartbeat->host),
		pg_text(POSTERN_VERSION), pg_int(clock_monotonic_ms() - heartbeat->started_ms));
	report(heartbeat, result, &error);
	return result;
}

static int64_t run(void *arg, struct background *self)
{
	struct heartbeat *heartbeat = arg;
	enum result result = R_OK;

	(void)self;
	if (!schema_is_ready(heartbeat->pg, QUERY_MS, &heartbeat->schema_seen))
		return RETRY_MS;
	if (clock_monotonic_ms() >= heartbeat->beat_at_ms) {
		result = beat(heartbeat);
		bool is_down = result == R_DOWN || result == R_TIMEOUT;
		heartbeat->beat_at_ms = clock_monotonic_ms() + (is_down ? RETRY_MS : BEAT_MS);
	}
	if (result == R_OK && heartbeat->config.more)
		heartbeat->config.more(heartbeat->config.arg, heartbeat->pg, heartbeat->node);
	int64_t left = heartbeat->beat_at_ms - clock_monotonic_ms();
	return left > 0 ? left : 0;
}

static void name_node(struct heartbeat *heartbeat)
{
	char host[HOST_MAX + 1] = "";
	const struct admin *admin = heartbeat->config.admin;
	const char *port = admin ? strrchr(admin_address(admin), ':') : "";

	if (gethostname(host, HOST_MAX) != 0 || !host[0])
		snprintf(host, sizeof host, "localhost");
	clean_text(heartbeat->host, sizeof heartbeat->host, host);
	snprintf(heartbeat->node, sizeof heartbeat->node, "%s@%s%s", heartbeat->config.role, heartbeat->host,
	    port ? port : "");
}

struct heartbeat *heartbeat_start(const struct heartbeat_config *config)
{
	struct heartbeat *heartbeat = mem_alloc(sizeof *heartbeat);
	char role[64];

	heartbeat->config = *config;
	heartbeat->started_ms = clock_monotonic_ms();
	name_node(heartbeat);
	snprintf(role, sizeof role, "postern-%s-heartbeat", config->role);
	heartbeat->pg = pg_new(config->conninfo, role);
	heartbeat->rounds = background_start("heartbeat", run, heartbeat);
	return heartbeat;
}

const char *heartbeat_node(const struct heartbeat *heartbeat)
{
	return heartbeat->node;
}

void heartbeat_wake(struct heartbeat *heartbeat)
{
	background_wake(heartbeat->rounds);
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
	if (!heartbeat)
		return;
	background_stop(heartbeat->rounds);
	if (pg_is_ready(heartbeat->pg))
		pg_run(
		    heartbeat->pg, LEAVE_MS, NULL, NULL, "SELECT node_leave($1)", pg_text(heartbeat->node));
	pg_free(heartbeat->pg);
	free(heartbeat);
}
