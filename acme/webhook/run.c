#include "acme/webhook/run.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/crash_point.h"
#include "acme/webhook/signature.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

/* SECRET_MAX: bytes of a secret. RUN_MS: then others that wait have their turn. A record that the database
 * does not take is tried until the lease cannot be ours any more. */
enum {
	SECRET_MAX = 64,
	QUESTIONS = 2,
	ADDRESSES_MAX = 8,
	ADDRESSES_SIZE = ADDRESSES_MAX * 50,
	RUN_MS = 20 * 1000
};
enum { STATUS_GONE = 410 };

struct run {
	const struct run_tools *tools;
	enum run_state state;
	struct endpoint endpoint;
	struct message message;
	struct webhook_target target;
	bool is_looked_up;
	char addresses[ADDRESSES_SIZE]; /* as CURLOPT_RESOLVE takes them */
	struct resolver_query *queries[QUESTIONS];
	struct post *post;
	struct outcome outcome;
	int64_t begun_ms;
	int64_t held_until_ms; /* our own clock's view of the lease */
};

struct run *run_new(const struct run_tools *tools)
{
	struct run *run = mem_alloc(sizeof *run);
	run->tools = tools;
	run->post = post_new(tools->rules, tools->ca_file);
	return run;
}

void run_free(struct run *run)
{
	if (!run)
		return;
	post_free(run->post);
	free(run);
}

enum run_state run_state(const struct run *run)
{
	return run->state;
}

static void let_go(struct run *run)
{
	message_fini(&run->message);
	endpoint_fini(&run->endpoint);
	run->state = RUN_FREE;
}

static void release(struct run *run)
{
	struct error error = {0};
	if (endpoint_release(run->tools->pg, &run->endpoint, &error) != R_OK)
		log_warn("a webhook is not given back: it waits until its lease has run out",
		    log_int("webhook", run->endpoint.id), log_str("error", error.text));
	let_go(run);
}

void run_begin(struct run *run, struct endpoint *endpoint)
{
	run->endpoint = *endpoint;
	*endpoint = (struct endpoint){.id = 0};
	run->is_looked_up = false;
	run->begun_ms = clock_monotonic_ms();
	run->held_until_ms = run->begun_ms + DELIVERY_LEASE_MS;
	run->state = RUN_NEXT;
}

/* Nothing was sent. */
static void end_unsent(struct run *run, const char *kind, const char *error)
{
	run->outcome = (struct outcome){.kind = kind};
	snprintf(run->outcome.error, sizeof run->outcome.error, "%s", error);
	run->state = RUN_ENDED;
}

/* ---- sending */

/* R_NONE: there is no such secret. */
static enum result sign_with(struct run *run, const struct endpoint_secret *secret, int64_t timestamp,
    char out[SIGNATURE_SIZE], struct error *error)
{
	char name[24];
	struct buf plain;
	if (!secret->sealed)
		return R_NONE;
	snprintf(name, sizeof name, "%lld", (long long)run->endpoint.id);
	const struct seal_place place = {.kind = "webhook_secret", .name = name, .version = secret->version};
	buf_init(&plain, SECRET_MAX);
	enum result result = seal_open(run->tools->keys, &place, secret->sealed, secret->size, &plain, error);
	if (result == R_OK)
		signature_make(
		    out, buf_bytes(&plain), buf_size(&plain), run->message.id, timestamp, run->message.body);
	buf_wipe(&plain);
	return result;
}

/* The former secret that does not open any more is no reason not to send. */
static enum result sign(
    struct run *run, int64_t timestamp, char out[ENDPOINT_SECRETS * SIGNATURE_SIZE], struct error *error)
{
	char former[SIGNATURE_SIZE];
	enum result result = sign_with(run, &run->endpoint.secrets[0], timestamp, out, error);
	if (result == R_OK && sign_with(run, &run->endpoint.secrets[1], timestamp, former, NULL) == R_OK) {
		strcat(out, " ");
		strcat(out, former);
	}
	return result;
}

static void send_message(struct run *run)
{
	struct error error = {0};
	char signatures[ENDPOINT_SECRETS * SIGNATURE_SIZE];
	int64_t timestamp = clock_wall_ms() / 1000;
	if (sign(run, timestamp, signatures, &error) != R_OK) {
		log_error("a webhook's secret cannot be opened: is a key missing in seal-key-file?",
		    log_int("webhook", run->endpoint.id), log_str("error", error.text));
		end_unsent(run, "secret", "The platform cannot sign at the moment; it will be tried again.");
		return;
	}
	const struct post_request request = {.target = &run->target,
	    .addresses = run->target.host.text[0] ? run->addresses : NULL,
	    .id = run->message.id,
	    .timestamp = timestamp,
	    .signatures = signatures,
	    .body = run->message.body};
	post_begin(run->post, run->tools->multi, &request, run);
	run->state = RUN_SENDING;
}

/* ---- addresses */

static void start_lookup(struct run *run)
{
	const char *host = run->target.host.text;
	const struct resolver_question questions[QUESTIONS] = {{host, RESOLVER_A}, {host, RESOLVER_AAAA}};
	resolver_start(run->tools->resolver, host, questions, QUESTIONS, run->queries);
	run->state = RUN_LOOKUP;
}

static bool is_lookup_done(const struct run *run)
{
	for (int i = 0; i < QUESTIONS; i++)
		if (!resolver_is_done(run->queries[i]))
			return false;
	return true;
}

/* Those that may be reached; *barred: others were left out. */
static int add_addresses(struct run *run, const struct resolver_answer *answer, int count, bool *barred)
{
	char text[INET6_ADDRSTRLEN];
	for (size_t i = 0; i < answer->count && count < ADDRESSES_MAX; i++) {
		const struct resolver_value *value = &answer->values[i];
		if (!webhook_may_reach(run->tools->rules, value->bytes, value->size)) {
			*barred = true;
			continue;
		}
		bool is_v4 = value->size == 4;
		size_t used = strlen(run->addresses);
		inet_ntop(is_v4 ? AF_INET : AF_INET6, value->bytes, text, sizeof text);
		snprintf(run->addresses + used, sizeof run->addresses - used, is_v4 ? "%s%s" : "%s[%s]",
		    count ? "," : "", text);
		count++;
	}
	return count;
}

static void say_no_address(struct run *run, const struct resolver_answer answers[QUESTIONS], bool barred)
{
	if (barred) {
		end_unsent(run, "barred",
		    "Its name leads to an address that is not a public one: nothing was sent.");
		return;
	}
	for (int i = 0; i < QUESTIONS; i++) {
		if (answers[i].outcome != RESOLVER_TEMPORARY && answers[i].outcome != RESOLVER_BOGUS)
			continue;
		end_unsent(run, "network", answers[i].detail);
		return;
	}
	end_unsent(run, "network", "Its name has no address in DNS.");
}

static void finish_lookup(struct run *run)
{
	struct resolver_answer answers[QUESTIONS];
	bool barred = false;
	int count = 0;
	run->addresses[0] = '\0';
	for (int i = 0; i < QUESTIONS; i++) {
		resolver_finish(run->queries[i], &answers[i]);
		if (answers[i].outcome == RESOLVER_FOUND)
			count = add_addresses(run, &answers[i], count, &barred);
	}
	run->is_looked_up = count > 0;
	if (run->is_looked_up)
		send_message(run);
	else
		say_no_address(run, answers, barred);
	for (int i = 0; i < QUESTIONS; i++)
		resolver_answer_free(&answers[i]);
}

/* ---- the next message, and what became of it */

static void prepare(struct run *run)
{
	struct error error = {0};
	if (run->is_looked_up) {
		send_message(run);
		return;
	}
	if (webhook_target_parse(&run->target, run->tools->rules, run->endpoint.url, &error) != R_OK) {
		char why[DELIVERY_ERROR_SIZE];
		snprintf(why, sizeof why, "Its url is not allowed any more, it %.300s.", error.text);
		end_unsent(run, "barred", why);
	} else if (run->target.host.text[0]) {
		start_lookup(run);
	} else {
		send_message(run);
	}
}

static void fetch_next(struct run *run)
{
	struct error error = {0};
	enum result result = R_NONE;
	if (clock_monotonic_ms() - run->begun_ms < RUN_MS)
		result = message_next(run->tools->pg, &run->endpoint, &run->message, &error);
	if (result == R_OK)
		prepare(run);
	else if (result == R_LOST)
		let_go(run);
	else
		release(run);
}

static void count(const struct outcome *outcome)
{
	char labels[40];
	snprintf(labels, sizeof labels, "result=\"%s\"", outcome->kind);
	metric_add(metrics_counter("postern_acme_webhook_tries_total", labels,
		       "Messages sent to webhooks, or tried to, by what came of it."),
	    1);
	if (outcome->status)
		histogram_observe_us(metrics_histogram("postern_acme_webhook_seconds", NULL,
					 "How long webhooks took to answer."),
		    (int64_t)outcome->took_ms * 1000);
}

static void switch_off(struct run *run, const char *reason, const char *detail)
{
	struct error error = {0};
	if (endpoint_switch_off(run->tools->pg, &run->endpoint, reason, detail, &error) == R_OK)
		log_warn("a webhook is switched off", log_int("webhook", run->endpoint.id),
		    log_str("reason", reason));
}

static void conclude(struct run *run, bool too_long)
{
	const struct outcome *outcome = &run->outcome;
	count(outcome);
	message_fini(&run->message);
	if (outcome->delivered) {
		run->held_until_ms = clock_monotonic_ms() + DELIVERY_LEASE_MS;
		run->state = RUN_NEXT;
		return;
	}
	log_info("webhook not delivered", log_int("webhook", run->endpoint.id),
	    log_str("kind", outcome->kind), log_int("status", outcome->status),
	    log_str("error", outcome->error));
	if (outcome->status == STATUS_GONE)
		switch_off(run, "gone", "it answered 410, which says that it is gone for good");
	else if (too_long)
		switch_off(run, "failing", "nothing that was sent to it for days was taken");
	let_go(run);
}

static void record(struct run *run)
{
	struct error error = {0};
	bool too_long = false;
	const struct run_tools *tools = run->tools;
	enum result result = delivery_record(
	    tools->pg, &run->endpoint, &run->message, &run->outcome, tools->patience_ms, &too_long, &error);
	if (result == R_OK) {
		conclude(run, too_long);
	} else if (result == R_LOST || clock_monotonic_ms() >= run->held_until_ms) {
		log_warn("what came of a webhook's message is not recorded: it is sent again",
		    log_int("webhook", run->endpoint.id), log_str("error", error.text));
		let_go(run);
	}
}

void run_step(struct run *run)
{
	for (enum run_state before = RUN_FREE; run->state != before;) {
		before = run->state;
		if (run->state == RUN_NEXT)
			fetch_next(run);
		else if (run->state == RUN_LOOKUP && is_lookup_done(run))
			finish_lookup(run);
		else if (run->state == RUN_ENDED)
			record(run);
	}
}

void run_wind_up(struct run *run)
{
	run->begun_ms = clock_monotonic_ms() - RUN_MS;
}

void run_on_sent(struct run *run, CURLcode code)
{
	post_end(run->post, run->tools->multi, code, &run->outcome);
	run->state = RUN_ENDED;
	crash_point("webhook-sent");
}

void run_stop(struct run *run)
{
	if (run->state == RUN_FREE)
		return;
	if (run->state == RUN_SENDING)
		post_cancel(run->post, run->tools->multi);
	for (int i = 0; run->state == RUN_LOOKUP && i < QUESTIONS; i++)
		resolver_cancel(run->queries[i]);
	release(run);
}
