#include "edge/upstream/upstream_check.h"

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/log/log.h"
#include "edge/upstream/upstream_pool.h"
#include "edge/upstream/upstream_probe.h"

/* How late a check may be, and how long the end may take. */
enum { TICK_MIN_MS = 10, TICK_MAX_MS = 250, TICKS_PER_INTERVAL = 10 };

struct upstream_checks {
	struct upstreams *upstreams;
	pthread_t thread;
	atomic_bool is_stopping;
	OSSL_LIB_CTX *libctx;
	OSSL_PROVIDER *provider;
	SSL_CTX *probe_ctx; /* whose hellos probes say */
	struct loop *loop;
	struct upstream_pool *pool;
	struct loop_timer tick;
	bool were_on;
	size_t running;
	LIST_HEAD(, check) all;
};

struct check {
	struct upstream_checks *checks;
	LIST_ENTRY(check) entry;
	struct upstream_address *address; /* a reference */
	struct upstream_probe *probe;     /* one by TCP or TLS; else by HTTP: */
	struct upstream_shelf *shelf;
	struct upstream_call *call; /* NULL: none could be had */
	struct loop_timer deadline;
};

/* ---- what comes of a check */

static void turn(
    struct upstream_address *address, enum upstream_health health, const char *problem, int64_t now)
{
	upstream_address_set_health(address, health, now);
	if (health == UPSTREAM_UP)
		log_info("an upstream address is up again", log_str("address", address->text));
	else
		log_warn("an upstream address is down: its checks fail", log_str("address", address->text),
		    log_str("problem", problem));
}

/* problem NULL: it is well. */
static void take_result(struct upstream_address *address, const char *problem, int64_t now)
{
	int health = atomic_load_explicit(&address->health, memory_order_relaxed);
	enum upstream_health said = problem ? UPSTREAM_DOWN : UPSTREAM_UP;

	if (health == UPSTREAM_UNKNOWN && !problem) {
		upstream_address_set_health(address, UPSTREAM_UP, now);
		health = UPSTREAM_UP;
	}
	address->checks_in_a_row = health == (int)said ? 0 : address->checks_in_a_row + 1;
	if (address->checks_in_a_row < UPSTREAM_CHECKS_TO_TURN)
		return;
	address->checks_in_a_row = 0;
	turn(address, said, problem, now);
}

static void drop(struct check *check)
{
	struct upstream_checks *checks = check->checks;

	if (check->call)
		upstream_call_close(check->call);
	if (check->shelf)
		upstream_shelf_leave(check->shelf);
	upstream_probe_end(check->probe);
	loop_timer_clear(checks->loop, &check->deadline);
	LIST_REMOVE(check, entry);
	check->address->is_checked = false;
	checks->running--;
	upstream_address_unref(check->address);
	free(check);
}

static void end(struct check *check, const char *problem)
{
	struct upstream_checks *checks = check->checks;
	const struct upstream_metrics *metrics = upstream_pool_metrics(checks->pool);

	metric_add(problem ? metrics->checks_failed : metrics->checks_ok, 1);
	take_result(check->address, problem, loop_now(checks->loop));
	drop(check);
}

/* What is wanting on our side (descriptors, memory, ports) says nothing of the server. */
static void fail(struct check *check, enum upstream_failure failure)
{
	if (failure == UPSTREAM_LOCAL)
		drop(check);
	else
		end(check, upstream_failure_name(failure));
}

static void drop_all(struct upstream_checks *checks, bool http_alone)
{
	struct check *check = LIST_FIRST(&checks->all);

	while (check) {
		struct check *next = LIST_NEXT(check, entry);

		if (!http_alone || check->shelf)
			drop(check);
		check = next;
	}
}

static void on_head(void *arg, struct http_head *head, bool interim)
{
	bool is_well = head->status >= 200 && head->status < 400;

	if (!interim)
		end(arg, is_well ? NULL : "its answer is neither 2xx nor 3xx");
}

static void on_failed(void *arg, enum upstream_failure failure)
{
	fail(arg, failure);
}

static void on_moved(void *arg, struct upstream_call *call)
{
	((struct check *)arg)->call = call;
}

static void on_pause(void *arg)
{
	(void)arg;
}

static void on_deadline(struct loop_timer *timer)
{
	end(loop_owner(timer, struct check, deadline), "timeout");
}

/* The connection ends with the head: no body, no end of a response is ever heard. */
static const struct upstream_user user = {
    .on_head = on_head, .on_pause = on_pause, .on_failed = on_failed, .on_moved = on_moved};

/* ---- starting one */

static void write_request(struct buf *out, const struct upstream_address *address, const char *path)
{
	struct http_head head;

	http_head_clear(&head);
	head.method = http_slice_of("GET");
	head.target = http_slice_of(path);
	http_head_add(&head, http_slice_of("Host"), http_slice_of(address->host), HTTP_HOST);
	http_head_add(&head, http_slice_of("User-Agent"), http_slice_of("postern-health"), HTTP_OTHER);
	http_head_add(&head, http_slice_of("Connection"), http_slice_of("close"), HTTP_OTHER);
	buf_init(out, UPSTREAM_OUT_MAX);
	h1_write_request(out, &head);
}

static void send_request(struct check *check, const char *path)
{
	const struct upstream_request request = {.body = HTTP_BODY_NONE, .is_whole = true};
	struct buf head;

	write_request(&head, check->address, path);
	upstream_call_attach(check->call, &user, check);
	upstream_call_start(check->call, &head, &request);
	upstream_call_flush(check->call);
	buf_fini(&head);
}

static void on_probed(void *arg, bool is_well)
{
	struct check *check = arg;
	bool is_tls = check->address->probe.kind == UPSTREAM_PROBE_TLS;

	end(check, is_well ? NULL : is_tls ? "no connection, or no TLS answer" : "no connection");
}

static int64_t longest_check(int64_t interval_ms)
{
	return interval_ms < UPSTREAM_CHECK_MAX_MS ? interval_ms : UPSTREAM_CHECK_MAX_MS;
}

static void begin_http(struct check *check)
{
	struct upstream_checks *checks = check->checks;
	const struct upstream_config *config = upstream_pool_config(checks->pool);
	enum upstream_failure failure = UPSTREAM_LOCAL;

	check->shelf = upstream_pool_visit(checks->pool, check->address);
	check->address->next_check_ms = loop_now(checks->loop) + config->health_ms;
	check->call = upstream_pool_connect(
	    checks->pool, check->shelf, &(struct upstream_client){.client = NULL}, &failure);
	if (!check->call) {
		fail(check, failure);
		return;
	}
	loop_timer_set(checks->loop, &check->deadline, longest_check(config->health_ms));
	send_request(check, config->health_path);
}

static void begin_probe(struct check *check)
{
	struct upstream_checks *checks = check->checks;
	struct upstream_address *address = check->address;
	enum upstream_failure failure = UPSTREAM_LOCAL;

	address->next_check_ms = loop_now(checks->loop) + address->probe.interval_ms;
	/* Longer than the interval, if it must be: who is only busy is not down. */
	loop_timer_set(checks->loop, &check->deadline, UPSTREAM_CHECK_MAX_MS);
	check->probe =
	    upstream_probe_begin(checks->loop, checks->probe_ctx, address, &failure, on_probed, check);
	if (!check->probe)
		fail(check, failure);
}

/* Takes the reference. */
static void begin(struct upstream_checks *checks, struct upstream_address *address)
{
	struct check *check = mem_alloc(sizeof *check);

	check->checks = checks;
	check->address = address;
	check->deadline.on_expire = on_deadline;
	LIST_INSERT_HEAD(&checks->all, check, entry);
	checks->running++;
	if (address->probe.kind == UPSTREAM_PROBE_HTTP)
		begin_http(check);
	else
		begin_probe(check);
}

/* ---- the thread */

static void begin_due(struct upstream_checks *checks, bool with_http)
{
	struct upstream_address *due[UPSTREAM_CHECKS_AT_ONCE];
	size_t room = UPSTREAM_CHECKS_AT_ONCE - checks->running;
	size_t count = upstreams_due_checks(checks->upstreams, loop_now(checks->loop), with_http, due, room);

	for (size_t i = 0; i < count; i++)
		begin(checks, due[i]);
}

/* What is under way ends with it: nobody would take its word back. */
static void forget_http(struct upstream_checks *checks)
{
	drop_all(checks, true);
	upstreams_forget_health(checks->upstreams);
}

static int64_t tick_ms(const struct upstream_config *config)
{
	int64_t ms = config->health_path ? config->health_ms / TICKS_PER_INTERVAL : TICK_MAX_MS;

	if (ms < TICK_MIN_MS)
		return TICK_MIN_MS;
	return ms < TICK_MAX_MS ? ms : TICK_MAX_MS;
}

static void on_tick(struct loop_timer *timer)
{
	struct upstream_checks *checks = loop_owner(timer, struct upstream_checks, tick);
	const struct upstream_config *config = upstream_pool_config(checks->pool);

	if (atomic_load(&checks->is_stopping)) {
		loop_stop(checks->loop);
		return;
	}
	if (!config->health_path && checks->were_on)
		forget_http(checks);
	begin_due(checks, config->health_path);
	checks->were_on = config->health_path;
	loop_timer_set(checks->loop, &checks->tick, tick_ms(config));
}

static void *run(void *arg)
{
	struct upstream_checks *checks = arg;

	pthread_setname_np(pthread_self(), "upstream-checks");
	loop_timer_set(checks->loop, &checks->tick, TICK_MIN_MS);
	loop_run(checks->loop);
	drop_all(checks, false);
	OPENSSL_thread_stop_ex(checks->libctx);
	return NULL;
}

static enum result make(struct upstream_checks *checks, struct error *error)
{
	checks->loop = loop_new();
	checks->libctx = OSSL_LIB_CTX_new();
	checks->provider = checks->libctx ? OSSL_PROVIDER_load(checks->libctx, "default") : NULL;
	checks->probe_ctx =
	    checks->provider ? SSL_CTX_new_ex(checks->libctx, NULL, TLS_client_method()) : NULL;
	if (!checks->loop || !checks->probe_ctx) {
		error_set(error, "the health checks cannot have what they need: descriptors or memory");
		return R_LIMIT;
	}
	checks->pool = upstream_pool_new(checks->loop, checks->upstreams, checks->libctx);
	int failure = pthread_create(&checks->thread, NULL, run, checks);
	if (failure == 0)
		return R_OK;
	error_set(error, "a thread for health checks cannot be started: error %d", failure);
	return R_ERROR;
}

static void fini(struct upstream_checks *checks)
{
	upstream_pool_free(checks->pool);
	if (checks->loop)
		loop_free(checks->loop);
	SSL_CTX_free(checks->probe_ctx);
	if (checks->provider)
		OSSL_PROVIDER_unload(checks->provider);
	OSSL_LIB_CTX_free(checks->libctx);
	free(checks);
}

enum result upstream_checks_start(
    struct upstream_checks **out, struct upstreams *upstreams, struct error *error)
{
	struct upstream_checks *checks = mem_alloc(sizeof *checks);

	checks->upstreams = upstreams;
	checks->tick.on_expire = on_tick;
	LIST_INIT(&checks->all);
	enum result result = make(checks, error);
	if (result == R_OK)
		*out = checks;
	else
		fini(checks);
	return result;
}

void upstream_checks_free(struct upstream_checks *checks)
{
	if (!checks)
		return;
	atomic_store(&checks->is_stopping, true);
	pthread_join(checks->thread, NULL);
	fini(checks);
}
