#include "edge/worker.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/conn/conn.h"
#include "edge/conn/conn_table.h"
#include "edge/conn/listener.h"
#include "edge/edge_metrics.h"
#include "edge/http/h2_slots.h"
#include "edge/pass/pass_pipes.h"
#include "edge/site/cert_wait.h"
#include "edge/tls/challenge_cert.h"
#include "edge/tls/hot_site.h"
#include "edge/tls/tls_context.h"
#include "edge/upstream/upstream_pool.h"

/* What main tells a worker, by its mailbox. */
struct order {
	struct message message;
	int64_t timeout_ms; /* of the drain; 0: stop now */
};

struct new_config {
	struct message message;
	struct edge_config *config;
};

static enum result make_crypto(struct worker *worker, struct error *error)
{
	struct edge *edge = worker->edge;
	size_t hot_count = (size_t)settings_number(worker->config->settings, "hot-certificates");

	worker->libctx = OSSL_LIB_CTX_new();
	worker->provider = worker->libctx ? OSSL_PROVIDER_load(worker->libctx, "default") : NULL;
	if (!worker->provider) {
		error_set(error, "OpenSSL has no library context to give: %s",
		    ERR_error_string(ERR_get_error(), NULL));
		return R_ERROR;
	}
	worker->tls = tls_context_new(worker->libctx, edge->ticket_keys, error);
	worker->hot_sites = hot_sites_new(worker->libctx, edge->sites, hot_count);
	worker->challenge_certs = challenge_certs_new(worker->libctx);
	return worker->tls && worker->hot_sites ? R_OK : R_ERROR;
}

static enum result make_loop(struct worker *worker, struct error *error)
{
	worker->loop = loop_new();
	worker->mailbox = worker->loop ? mailbox_new(worker->loop, worker) : NULL;
	if (worker->mailbox)
		return R_OK;
	error_set(error, "a worker cannot have its descriptors: raise the limit of open files");
	return R_LIMIT;
}

static void stop_accepting(struct worker *worker);
static void on_settled(struct loop_timer *timer);

static void on_drain_timeout(struct loop_timer *timer)
{
	struct worker *worker = loop_owner(timer, struct worker, drain_timer);

	stop_accepting(worker);
	conn_abort_all(worker);
	worker_connection_ended(worker);
}

static void on_beat(struct loop_timer *timer)
{
	struct worker *worker = loop_owner(timer, struct worker, beat_timer);

	atomic_store(&worker->beat_ms, clock_monotonic_ms());
	loop_timer_set(worker->loop, timer, WORKER_BEAT_MS);
}

bool worker_is_turning(const struct worker *worker)
{
	return clock_monotonic_ms() - atomic_load(&worker->beat_ms) < WORKER_STUCK_MS;
}

enum result worker_new(struct worker **out, struct edge *edge, int index, struct error *error)
{
	struct worker *worker = mem_alloc(sizeof *worker);

	worker->edge = edge;
	worker->config = edge_config_ref(edge->config);
	worker->index = index;
	worker->scratch = mem_alloc(WORKER_SCRATCH);
	worker->metrics = edge_metrics_new();
	worker->resume_task.run = conn_resume_some;
	worker->drain_timer.on_expire = on_drain_timeout;
	worker->settle_timer.on_expire = on_settled;
	worker->beat_timer.on_expire = on_beat;
	TAILQ_INIT(&worker->resuming);
	if (make_loop(worker, error) != R_OK || make_crypto(worker, error) != R_OK) {
		worker_free(worker);
		return R_ERROR;
	}
	worker->conns = conn_table_new();
	worker->pass_pipes = pass_pipes_new();
	worker->h2_slots = h2_slots_new();
	worker->upstreams = upstream_pool_new(worker->loop, edge->upstreams, worker->libctx);
	worker->waits = cert_wait_new(&(struct cert_wait_config){
	    .loop = worker->loop,
	    .mailbox = worker->mailbox,
	    .broker = edge->broker,
	    .sites = edge->sites,
	    .issue_ms = settings_number(worker->config->settings, "issue-wait"),
	});
	*out = worker;
	return R_OK;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	for (size_t i = 0; i < worker->listener_count; i++)
		listener_free(worker->listeners[i]);
	/* Late replies find nobody, but hold references that go with them. */
	mailbox_free(worker->mailbox);
	cert_wait_free(worker->waits);
	upstream_pool_free(worker->upstreams);
	conn_table_free(worker->conns);
	pass_pipes_free(worker->pass_pipes);
	h2_slots_free(worker->h2_slots);
	challenge_certs_free(worker->challenge_certs);
	hot_sites_free(worker->hot_sites);
	tls_context_free(worker->tls);
	if (worker->provider)
		OSSL_PROVIDER_unload(worker->provider);
	OSSL_LIB_CTX_free(worker->libctx);
	loop_free(worker->loop);
	edge_metrics_free(worker->metrics);
	edge_config_unref(worker->config);
	free(worker->scratch);
	free(worker);
}

enum result worker_add_listener(struct worker *worker, int fd, struct listen_point point)
{
	if (worker->listener_count == WORKER_LISTENERS_MAX)
		return R_LIMIT;
	worker->listeners[worker->listener_count++] = listener_new(worker, fd, point);
	return R_OK;
}

static void *run(void *arg)
{
	struct worker *worker = arg;
	char name[16];

	snprintf(name, sizeof name, "worker-%d", worker->index);
	pthread_setname_np(pthread_self(), name);
	on_beat(&worker->beat_timer);
	buf_keep_spares();
	loop_run(worker->loop);
	buf_forget_spares();
	OPENSSL_thread_stop_ex(worker->libctx);
	return NULL;
}

enum result worker_start(struct worker *worker, struct error *error)
{
	for (size_t i = 0; i < worker->listener_count; i++) {
		if (listener_start(worker->listeners[i]) != R_OK) {
			error_set(error, "a listener cannot be watched");
			return R_LIMIT;
		}
	}
	atomic_store(&worker->beat_ms, clock_monotonic_ms());
	int failure = pthread_create(&worker->thread, NULL, run, worker);
	if (failure) {
		error_set(error, "a worker's thread cannot be started: error %d", failure);
		return R_ERROR;
	}
	worker->started = true;
	return R_OK;
}

void worker_connection_ended(struct worker *worker)
{
	if (worker->closed && conn_table_count(worker->conns) == 0)
		loop_stop(worker->loop);
}

/* All that is queued is accepted before anything is closed: closing resets what is queued. */
static void stop_accepting(struct worker *worker)
{
	int accepted = 0;
	int reset = 0;

	if (worker->closed)
		return;
	worker->closed = true;
	for (size_t i = 0; i < worker->listener_count; i++)
		accepted += listener_accept_queued(worker->listeners[i]);
	for (size_t i = 0; i < worker->listener_count; i++) {
		reset += listener_queued(worker->listeners[i]);
		listener_close(worker->listeners[i]);
	}
	metric_add(worker->metrics->drain_accepted, accepted);
	metric_add(worker->metrics->drain_reset, reset);
	log_info("listeners closed", log_int("worker", worker->index), log_int("accepted", accepted),
	    log_int("reset", reset));
}

static void on_settled(struct loop_timer *timer)
{
	struct worker *worker = loop_owner(timer, struct worker, settle_timer);

	stop_accepting(worker);
	worker_connection_ended(worker);
}

static void begin_drain(struct worker *worker, int64_t timeout_ms)
{
	worker->draining = true;
	for (size_t i = 0; i < worker->listener_count; i++)
		listener_stop_new(worker->listeners[i]);
	loop_timer_set(worker->loop, &worker->settle_timer, WORKER_SETTLE_MS);
	loop_timer_set(worker->loop, &worker->drain_timer, timeout_ms);
	conn_drain_all(worker);
}

static void on_order(struct message *message, void *receiver)
{
	struct order *order = loop_owner(message, struct order, message);
	struct worker *worker = receiver;

	if (order->timeout_ms > 0) {
		begin_drain(worker, order->timeout_ms);
	} else {
		worker->draining = true;
		stop_accepting(worker);
		conn_abort_all(worker);
		worker_connection_ended(worker);
	}
	free(order);
}

static void send_order(struct worker *worker, int64_t timeout_ms)
{
	struct order *order = mem_alloc(sizeof *order);

	order->message.deliver = on_order;
	order->timeout_ms = timeout_ms;
	mailbox_send(worker->mailbox, &order->message);
}

void worker_drain(struct worker *worker, int64_t timeout_ms)
{
	send_order(worker, timeout_ms > 0 ? timeout_ms : 1);
}

void worker_stop(struct worker *worker)
{
	send_order(worker, 0);
}

static void on_new_config(struct message *message, void *receiver)
{
	struct new_config *news = loop_owner(message, struct new_config, message);
	struct worker *worker = receiver;

	edge_config_unref(worker->config);
	worker->config = news->config;
	cert_wait_set_issue_ms(worker->waits, settings_number(news->config->settings, "issue-wait"));
	free(news);
}

void worker_configure(struct worker *worker, struct edge_config *config)
{
	struct new_config *news = mem_alloc(sizeof *news);

	news->message.deliver = on_new_config;
	news->config = edge_config_ref(config);
	mailbox_send(worker->mailbox, &news->message);
}

enum result worker_join(struct worker *worker)
{
	if (!worker->started)
		return R_OK;
	if (pthread_tryjoin_np(worker->thread, NULL) == EBUSY)
		return R_AGAIN;
	worker->started = false;
	return R_OK;
}
