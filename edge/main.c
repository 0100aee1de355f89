/*
 * postern-edge: opens what needs rights, drops them, starts the workers, and waits for the signal that ends
 * it.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/process.h"
#include "common/daemon/admin.h"
#include "common/daemon/heartbeat.h"
#include "common/log/log.h"
#include "common/seal/seal.h"
#include "edge/admission.h"
#include "edge/conn/client_counts.h"
#include "edge/conn/conn.h"
#include "edge/conn/listener.h"
#include "edge/cpu_count.h"
#include "edge/edge_settings.h"
#include "edge/explain_desk.h"
#include "edge/front/access_log.h"
#include "edge/http_config.h"
#include "edge/pass/pass_circles.h"
#include "edge/pass/pass_config.h"
#include "edge/pass/pass_groups.h"
#include "edge/pass/pass_sessions.h"
#include "edge/reload.h"
#include "edge/tls/ticket_keys.h"
#include "edge/tls/ticket_share.h"
#include "edge/upstream/upstream_check.h"
#include "edge/upstream/upstreams.h"
#include "edge/worker.h"

enum {
	REFUSALS_MAX = 100 * 1000, /* names remembered as refused, about 100 bytes each */
	STOP_GRACE_MS = 2000,      /* a worker that does not end by then is left behind */
	JOIN_STEP_MS = 20,
};

struct node {
	struct edge edge;
	struct seal_keys *keys;
	struct admin *admin;
	_Atomic(struct heartbeat *) heartbeat; /* the broker's thread wakes it */
	struct explain_desk *explain_desk;
	struct upstream_checks *upstream_checks;
	struct pass_groups *pass_groups;
	struct worker **workers;
	int worker_count;
	struct bound {
		int *fds; /* one for each worker; -1 once a worker has taken it */
		struct listen_point point;
	} bound[WORKER_LISTENERS_MAX];
	size_t bound_count;
};

static bool is_ready(void *arg, char *reason, size_t size)
{
	struct node *node = arg;

	if (atomic_load(&node->edge.draining)) {
		snprintf(reason, size, "draining");
		return false;
	}
	for (int i = 0; i < node->worker_count; i++) {
		if (!worker_is_turning(node->workers[i])) {
			snprintf(reason, size, "worker %d is stuck", i);
			return false;
		}
	}
	return broker_is_ready(node->edge.broker, reason, size);
}

static enum result bind_address(
    struct node *node, const char *text, enum listen_kind kind, struct error *error)
{
	static const char *const protocols[] = {
	    [LISTEN_HTTP] = "http", [LISTEN_HTTPS] = "https", [LISTEN_PASS] = "passthrough"};
	char formatted[NET_ADDRESS_TEXT];
	struct net_address local;
	struct bound *bound = &node->bound[node->bound_count];

	if (node->bound_count == WORKER_LISTENERS_MAX) {
		error_set(error, "more than %d listen addresses", WORKER_LISTENERS_MAX);
		return R_LIMIT;
	}
	bound->fds = mem_alloc_array((size_t)node->worker_count, sizeof *bound->fds);
	node->bound_count++;
	for (int i = 0; i < node->worker_count; i++)
		bound->fds[i] = -1;
	enum result result = listener_bind(text, bound->fds, node->worker_count, &local, error);
	if (result != R_OK)
		return result;
	bound->point = (struct listen_point){.kind = kind, .port = net_port(&local)};
	log_info("listening", log_str("protocol", protocols[kind]),
	    log_str("address", net_format_address(&local, formatted)));
	return R_OK;
}

static enum result bind_all(
    struct node *node, const char *setting, enum listen_kind kind, struct error *error)
{
	for (size_t i = 0; i < settings_count(node->edge.config->settings, setting); i++) {
		enum result result = bind_address(
		    node, settings_string_at(node->edge.config->settings, setting, i), kind, error);

		if (result != R_OK) {
			error_prefix(error, "%s", setting);
			return result;
		}
	}
	return R_OK;
}

/* What needs rights: ports below 1024, the key file, the tokens. */
static enum result open_privileged(struct node *node, struct error *error)
{
	enum result result = seal_keys_load_secret(
	    &node->keys, settings_string(node->edge.config->settings, "seal-key-file"), error);

	if (result == R_OK)
		result = bind_all(node, "listen-https", LISTEN_HTTPS, error);
	if (result == R_OK)
		result = bind_all(node, "listen-passthrough", LISTEN_PASS, error);
	if (result == R_OK)
		result = bind_all(node, "listen-http", LISTEN_HTTP, error);
	return result;
}

/* On the listener's thread. Before the first beat nobody takes this node for one that could answer. */
static void on_question(void *arg, const char *name)
{
	struct node *node = arg;
	struct heartbeat *heartbeat = atomic_load(&node->heartbeat);

	if (heartbeat && explain_desk_ask(node->explain_desk, name))
		heartbeat_wake(heartbeat);
}

/* On the heartbeat's thread. */
static void answer_questions(void *arg, struct pg *pg, const char *name)
{
	struct node *node = arg;

	explain_desk_answer(node->explain_desk, pg, name);
}

static enum result start_shared(struct node *node, struct error *error)
{
	const struct settings *settings = node->edge.config->settings;
	struct edge *edge = &node->edge;

	edge->clients = client_counts_new();
	edge->access_log = access_log_new(STDOUT_FILENO);
	edge->ticket_keys = ticket_keys_new();
	edge->ticket_share =
	    ticket_share_start(settings_string(settings, "database"), node->keys, edge->ticket_keys);
	edge->upstreams = upstreams_new(edge->config->http->upstream);
	edge->pass_sessions = pass_sessions_new(PASS_SESSIONS_MAX, PASS_SESSIONS_LIFE_MS);
	edge->pass_circles = pass_circles_new();
	node->pass_groups = pass_groups_hold(edge->upstreams, edge->config->pass->routes);
	enum result result = upstreams_start(edge->upstreams, error);
	if (result == R_OK)
		result = upstream_checks_start(&node->upstream_checks, edge->upstreams, error);
	if (result != R_OK)
		return result;
	edge->sites = site_cache_new((size_t)settings_number(settings, "cert-cache"), REFUSALS_MAX);
	edge->challenges = challenges_new(settings);
	edge->notices = notices_new(settings);
	edge->handshakes = handshakes_new((size_t)node->worker_count);
	node->explain_desk = explain_desk_new(edge->handshakes);
	return broker_new(&edge->broker,
	    &(struct broker_config){.settings = settings,
		.keys = node->keys,
		.cache = edge->sites,
		.deliver = conn_deliver_site,
		.on_question = on_question,
		.arg = node},
	    error);
}

static enum result hand_over_listeners(struct node *node, struct worker *worker)
{
	enum result result = R_OK;

	for (size_t i = 0; i < node->bound_count && result == R_OK; i++) {
		result = worker_add_listener(worker, node->bound[i].fds[worker->index], node->bound[i].point);
		if (result == R_OK)
			node->bound[i].fds[worker->index] = -1;
	}
	return result;
}

static enum result start_workers(struct node *node, struct error *error)
{
	enum result result = R_OK;

	node->workers = mem_alloc_array((size_t)node->worker_count, sizeof(struct worker *));
	for (int i = 0; i < node->worker_count && result == R_OK; i++) {
		result = worker_new(&node->workers[i], &node->edge, i, error);
		if (result == R_OK)
			result = hand_over_listeners(node, node->workers[i]);
	}
	for (int i = 0; i < node->worker_count && result == R_OK; i++)
		result = worker_start(node->workers[i], error);
	return result;
}

/* SIGTERM or SIGINT within the time? */
static bool wait_for_stop(int64_t ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return sigtimedwait(&set, NULL, &time) > 0;
}

static bool have_ended(struct node *node)
{
	bool ended = true;

	for (int i = 0; i < node->worker_count; i++)
		if (node->workers[i] && worker_join(node->workers[i]) == R_AGAIN)
			ended = false;
	return ended;
}

/* Until the workers have ended, a second signal comes, or the time is over. */
static void wait_for_workers(struct node *node, int64_t ms)
{
	int64_t end = clock_monotonic_ms() + ms;

	while (!have_ended(node) && clock_monotonic_ms() < end)
		if (wait_for_stop(JOIN_STEP_MS))
			return;
}

static void show_memory(void *arg)
{
	const struct edge *edge = arg;

	metric_set(metrics_gauge("postern_edge_memory_bytes", NULL,
		       "Memory of connections and what they have in flight, as max-memory counts it."),
	    admission_memory(edge));
}

static void show_sessions(void *arg)
{
	const struct edge *edge = arg;

	metric_set(metrics_gauge("postern_edge_passthrough_sessions", NULL,
		       "TLS 1.2 sessions whose server is known, for affinity=session-id."),
	    (int64_t)pass_sessions_count(edge->pass_sessions));
}

static struct metric *draining_gauge(void)
{
	return metrics_gauge("postern_edge_draining", NULL, "1 from SIGTERM on: no new visitors, please.");
}

static void drain(struct node *node)
{
	const struct settings *settings = node->edge.config->settings;
	int64_t delay = settings_number(settings, "drain-delay");
	int64_t timeout = settings_number(settings, "drain-timeout");

	atomic_store(&node->edge.draining, true);
	metric_set(draining_gauge(), 1);
	log_info("draining", log_int("delay_ms", delay), log_int("timeout_ms", timeout),
	    log_int("connections", atomic_load(&node->edge.connections)));
	if (wait_for_stop(delay))
		return;
	for (int i = 0; i < node->worker_count; i++)
		worker_drain(node->workers[i], timeout);
	wait_for_workers(node, timeout + JOIN_STEP_MS);
}

/* False: a worker did not end, and nothing that it may touch can be freed. */
static bool stop_workers(struct node *node)
{
	for (int i = 0; node->workers && i < node->worker_count; i++)
		if (node->workers[i] && worker_join(node->workers[i]) == R_AGAIN)
			worker_stop(node->workers[i]);
	int64_t end = clock_monotonic_ms() + STOP_GRACE_MS;
	while (node->workers && !have_ended(node) && clock_monotonic_ms() < end)
		usleep(JOIN_STEP_MS * 1000);
	return !node->workers || have_ended(node);
}

static void close_bound(struct node *node)
{
	for (size_t i = 0; i < node->bound_count; i++) {
		for (int j = 0; j < node->worker_count; j++)
			if (node->bound[i].fds[j] >= 0)
				close(node->bound[i].fds[j]);
		free(node->bound[i].fds);
	}
}

/* The broker and the challenges' threads end before the mailboxes that they send to. */
static void free_node(struct node *node)
{
	admin_stop(node->admin);
	if (!stop_workers(node)) {
		log_error("a worker does not end; leaving it behind");
		log_flush();
		_exit(1);
	}
	if (node->edge.broker)
		broker_free(node->edge.broker);
	heartbeat_stop(atomic_load(&node->heartbeat));
	explain_desk_free(node->explain_desk);
	if (node->edge.challenges)
		challenges_free(node->edge.challenges);
	notices_free(node->edge.notices);
	for (int i = 0; node->workers && i < node->worker_count; i++)
		worker_free(node->workers[i]);
	handshakes_free(node->edge.handshakes);
	free(node->workers);
	close_bound(node);
	access_log_free(node->edge.access_log);
	client_counts_free(node->edge.clients);
	if (node->edge.sites)
		site_cache_free(node->edge.sites);
	ticket_share_stop(node->edge.ticket_share);
	ticket_keys_free(node->edge.ticket_keys);
	upstream_checks_free(node->upstream_checks);
	pass_groups_free(node->pass_groups);
	upstreams_free(node->edge.upstreams);
	pass_sessions_free(node->edge.pass_sessions);
	pass_circles_free(node->edge.pass_circles);
	if (node->keys)
		seal_keys_free(node->keys);
	edge_config_unref(node->edge.config);
}

static void wait_for_end(const struct reload *reload)
{
	while (process_wait_signal() == SIGHUP)
		reload_run(reload);
}

static enum result start(struct node *node, struct settings **settings, struct error *error)
{
	enum result result = edge_config_load(&node->edge.config, settings, error);

	if (result != R_OK)
		return result;
	int64_t workers = settings_number(node->edge.config->settings, "workers");
	node->worker_count = workers ? (int)workers : cpu_count("/sys/fs/cgroup");
	result = open_privileged(node, error);
	if (result == R_OK)
		result = process_drop_rights(settings_string(node->edge.config->settings, "user"), error);
	if (result == R_OK)
		result = start_shared(node, error);
	if (result == R_OK)
		result = start_workers(node, error);
	return result;
}

/* glibc gives the end of a worker's heap back to the kernel with each handshake that ends there, and faults
 * it in with the next one; a response's buffer it maps anew each time. A few MiB a worker stay instead. */
static void keep_freed_memory(void)
{
	mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
	mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
}

int main(int argc, char **argv)
{
	static struct node node;
	struct settings *settings = NULL;
	struct error error = {""};
	int code = 1;

	process_init();
	keep_freed_memory();
	enum result result = settings_load(&settings, &edge_settings, argc, argv, &error);
	if (result == R_NONE)
		return 0;
	if (result != R_OK) {
		fprintf(stderr, "postern-edge: %s\n", error.text);
		return 2;
	}
	settings_init_log(settings);
	const struct admin_hooks hooks = {.ready = is_ready, .arg = &node};
	result = start(&node, &settings, &error);
	if (result == R_OK)
		result = admin_start(
		    &node.admin, settings_string(node.edge.config->settings, "admin-listen"), &hooks, &error);
	if (result != R_OK) {
		log_error("cannot start", log_str("error", error.text));
		code = result == R_INVALID ? 2 : 1;
		goto out;
	}
	log_info("started", log_int("workers", node.worker_count),
	    log_int("max_connections", node.edge.config->limits.max_connections));
	atomic_store(&node.heartbeat, heartbeat_start(&(struct heartbeat_config){
					  .conninfo = settings_string(node.edge.config->settings, "database"),
					  .role = "edge",
					  .admin = node.admin,
					  .more = answer_questions,
					  .arg = &node}));
	metric_set(draining_gauge(), 0);
	metrics_before_render(show_memory, &node.edge);
	metrics_before_render(show_sessions, &node.edge);
	wait_for_end(&(struct reload){.argc = argc,
	    .argv = argv,
	    .edge = &node.edge,
	    .keys = node.keys,
	    .pass_groups = node.pass_groups,
	    .workers = node.workers,
	    .worker_count = node.worker_count});
	drain(&node);
	code = 0;
out:
	free_node(&node);
	settings_free(settings);
	if (code == 0)
		log_info("stopped");
	return code;
}
