#include "acme/webhook/courier.h"

#include <stdlib.h>

#include "acme/webhook/run.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/background.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"
#include "common/pg/schema.h"

/* How often due messages are looked for; how long a step waits for the network, or, while DNS is asked, which
 * wakes nobody, for that. */
enum { POLL_MS = 1000, CONNECT_MS = 500, NETWORK_MS = 100, DNS_MS = 10, STOP_MS = 2000 };

struct courier {
	struct courier_config config;
	struct run_tools tools;
	struct background *thread;
	struct run *runs[COURIER_ENDPOINTS_MAX];
	bool has_schema;
	int64_t look_at_ms;
	struct metric *busy;
};

static int count_busy(const struct courier *courier)
{
	int busy = 0;
	for (int i = 0; i < courier->config.endpoints; i++)
		busy += run_state(courier->runs[i]) != RUN_FREE;
	return busy;
}

static void hand_out(struct courier *courier, struct endpoint *endpoints, size_t count)
{
	size_t next = 0;
	for (int i = 0; i < courier->config.endpoints && next < count; i++)
		if (run_state(courier->runs[i]) == RUN_FREE)
			run_begin(courier->runs[i], &endpoints[next++]);
}

static void look_for_work(struct courier *courier)
{
	struct endpoint endpoints[COURIER_ENDPOINTS_MAX];
	struct error error = {0};
	size_t count = 0;
	int idle = courier->config.endpoints - count_busy(courier);
	courier->look_at_ms = clock_monotonic_ms() + POLL_MS;
	if (idle == 0)
		return;
	if (endpoint_claim(courier->tools.pg, (size_t)idle, endpoints, &count, &error) == R_ERROR)
		log_error("cannot look for webhooks to deliver", log_str("error", error.text));
	hand_out(courier, endpoints, count);
}

/* True: some request was done. */
static bool drive_network(struct courier *courier)
{
	int running = 0, left = 0;
	bool any = false;
	curl_multi_perform(courier->tools.multi, &running);
	for (CURLMsg *message; (message = curl_multi_info_read(courier->tools.multi, &left));) {
		char *run = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &run);
		run_on_sent((struct run *)(void *)run, message->data.result);
		any = true;
	}
	return any;
}

/* A run that has ended frees a place: the next look need not wait. */
static void step_runs(struct courier *courier)
{
	for (int i = 0; i < courier->config.endpoints; i++) {
		enum run_state before = run_state(courier->runs[i]);
		run_step(courier->runs[i]);
		if (before != RUN_FREE && run_state(courier->runs[i]) == RUN_FREE)
			courier->look_at_ms = 0;
	}
}

static int wait_ms(const struct courier *courier)
{
	for (int i = 0; i < courier->config.endpoints; i++)
		if (run_state(courier->runs[i]) == RUN_LOOKUP)
			return DNS_MS;
	return NETWORK_MS;
}

static void step(struct courier *courier)
{
	step_runs(courier);
	if (!drive_network(courier)) {
		curl_multi_poll(courier->tools.multi, NULL, 0, wait_ms(courier), NULL);
		drive_network(courier);
	}
	step_runs(courier);
}

static int64_t round_of(void *arg, struct background *self)
{
	struct courier *courier = arg;
	(void)self;
	if (!schema_is_ready(courier->tools.pg, CONNECT_MS, &courier->has_schema) && count_busy(courier) == 0)
		return POLL_MS;
	if (clock_monotonic_ms() >= courier->look_at_ms)
		look_for_work(courier);
	int busy = count_busy(courier);
	metric_set(courier->busy, busy);
	if (busy == 0)
		return POLL_MS;
	step(courier);
	return 0;
}

struct courier *courier_start(const struct courier_config *config)
{
	struct courier *courier = mem_alloc(sizeof *courier);
	courier->config = *config;
	courier->tools = (struct run_tools){.pg = pg_new(config->database, "postern-acme-webhooks"),
	    .multi = curl_multi_init(),
	    .keys = config->keys,
	    .rules = &courier->config.rules,
	    .resolver = config->resolver,
	    .ca_file = config->ca_file,
	    .patience_ms = config->patience_ms};
	if (!courier->tools.multi)
		abort(); /* out of memory, as in common/base/mem.h */
	curl_multi_setopt(courier->tools.multi, CURLMOPT_MAXCONNECTS, (long)config->endpoints);
	for (int i = 0; i < config->endpoints; i++)
		courier->runs[i] = run_new(&courier->tools);
	courier->busy = metrics_gauge(
	    "postern_acme_webhooks_busy", NULL, "Webhooks to which this process sends at the moment.");
	courier->thread = background_start("webhooks", round_of, courier);
	return courier;
}

/* No more is claimed: what is under way may end. */
static void finish_up(struct courier *courier)
{
	int64_t until_ms = clock_monotonic_ms() + STOP_MS;
	for (int i = 0; i < courier->config.endpoints; i++)
		run_wind_up(courier->runs[i]);
	while (count_busy(courier) > 0 && clock_monotonic_ms() < until_ms)
		step(courier);
	for (int i = 0; i < courier->config.endpoints; i++)
		run_stop(courier->runs[i]);
}

void courier_stop(struct courier *courier)
{
	if (!courier)
		return;
	background_stop(courier->thread);
	finish_up(courier);
	for (int i = 0; i < courier->config.endpoints; i++)
		run_free(courier->runs[i]);
	curl_multi_cleanup(courier->tools.multi);
	pg_free(courier->tools.pg);
	free(courier);
}
