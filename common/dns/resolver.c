#include "common/dns/resolver.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unbound.h>

#include "common/base/clock.h"
#include "common/base/condition.h"
#include "common/base/mem.h"
#include "common/daemon/metrics.h"
#include "common/dns/rdata.h"
#include "common/dns/resolver_contexts.h"

struct resolver {
	struct resolver_contexts *contexts;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t completions; /* guarded by lock */
	struct metric *lookups[RESOLVER_BOGUS + 1];
	struct histogram *duration;
};

struct resolver_query {
	struct resolver *resolver;
	struct resolver_context *context; /* NULL: none was to be had */
	enum resolver_type type;
	int64_t started_us;
	int id;
	bool done; /* guarded by the resolver's lock, as is all below */
	int64_t done_us;
	int failure; /* libunbound's */
	struct ub_result *result;
};

static const char *const outcome_labels[] = {
    [RESOLVER_FOUND] = "outcome=\"found\"",
    [RESOLVER_NO_DATA] = "outcome=\"no_data\"",
    [RESOLVER_NO_NAME] = "outcome=\"no_name\"",
    [RESOLVER_TEMPORARY] = "outcome=\"temporary\"",
    [RESOLVER_BOGUS] = "outcome=\"bogus\"",
};

static void register_metrics(struct resolver *resolver, const char *program)
{
	char name[80];
	snprintf(name, sizeof name, "postern_%s_dns_lookups_total", program);
	for (int i = RESOLVER_FOUND; i <= RESOLVER_BOGUS; i++)
		resolver->lookups[i] =
		    metrics_counter(name, outcome_labels[i], "DNS look-ups by what they came to.");
	snprintf(name, sizeof name, "postern_%s_dns_lookup_duration_seconds", program);
	resolver->duration = metrics_histogram(name, NULL, "How long a DNS look-up took.");
}

enum result resolver_new(struct resolver **out, const struct resolver_options *options, struct error *error)
{
	struct resolver_contexts *contexts = NULL;
	enum result result = resolver_contexts_new(&contexts, options, error);
	if (result != R_OK)
		return result;
	struct resolver *resolver = mem_alloc(sizeof *resolver);
	resolver->contexts = contexts;
	pthread_mutex_init(&resolver->lock, NULL);
	condition_init(&resolver->changed);
	register_metrics(resolver, options->program);
	*out = resolver;
	return R_OK;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	resolver_contexts_free(resolver->contexts);
	pthread_cond_destroy(&resolver->changed);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static void mark_done(struct resolver_query *query, int failure, struct ub_result *result)
{
	struct resolver *resolver = query->resolver;
	pthread_mutex_lock(&resolver->lock);
	query->failure = failure;
	query->result = result;
	query->done_us = clock_monotonic_us();
	query->done = true;
	resolver->completions++;
	pthread_cond_broadcast(&resolver->changed);
	pthread_mutex_unlock(&resolver->lock);
}

static void on_answer(void *arg, int failure, struct ub_result *result)
{
	mark_done(arg, failure, result);
}

static struct resolver_query *start_one(
    struct resolver *resolver, struct resolver_context *context, const struct resolver_question *question)
{
	enum { CLASS_IN = 1 };
	struct resolver_query *query = mem_alloc(sizeof *query);
	query->resolver = resolver;
	query->context = context;
	query->type = question->type;
	query->started_us = clock_monotonic_us();
	int failure = UB_NOMEM;
	if (context)
		failure = ub_resolve_async(resolver_context_ub(context), question->name, (int)question->type,
		    CLASS_IN, query, on_answer, &query->id);
	if (failure)
		mark_done(query, failure, NULL);
	return query;
}

void resolver_start(struct resolver *resolver, const char *subject, const struct resolver_question *questions,
    size_t count, struct resolver_query **queries)
{
	struct resolver_context *context = resolver_contexts_take(resolver->contexts, subject, count);
	for (size_t i = 0; i < count; i++)
		queries[i] = start_one(resolver, context, &questions[i]);
}

bool resolver_is_done(const struct resolver_query *query)
{
	pthread_mutex_lock(&query->resolver->lock);
	bool done = query->done;
	pthread_mutex_unlock(&query->resolver->lock);
	return done;
}

/* Returns whether the answer came in time. */
static bool wait_until_done(struct resolver_query *query, int64_t deadline_us)
{
	struct resolver *resolver = query->resolver;
	pthread_mutex_lock(&resolver->lock);
	while (!query->done && condition_wait_until(&resolver->changed, &resolver->lock, deadline_us / 1000))
		continue;
	bool done = query->done;
	pthread_mutex_unlock(&resolver->lock);
	if (done)
		return true;
	if (ub_cancel(resolver_context_ub(query->context), query->id) == 0)
		return false;
	/* Too late to cancel: its callback is running at this moment, and holds our pointer until it is
	 * through. */
	pthread_mutex_lock(&resolver->lock);
	while (!query->done)
		pthread_cond_wait(&resolver->changed, &resolver->lock);
	pthread_mutex_unlock(&resolver->lock);
	return true;
}

static void take_values(struct resolver_answer *out, const struct ub_result *result, enum resolver_type type)
{
	size_t count = 0;
	while (result->data[count])
		count++;
	out->values = mem_alloc_array(count + 1, sizeof *out->values);
	size_t wanted = type == RESOLVER_A ? 4 : type == RESOLVER_AAAA ? 16 : 0;
	for (size_t i = 0; i < count; i++) {
		const unsigned char *rdata = (const unsigned char *)result->data[i];
		size_t size = (size_t)result->len[i];
		if (type == RESOLVER_TXT)
			out->values[out->count++] = rdata_read_text(rdata, size);
		else if (type == RESOLVER_CNAME || type == RESOLVER_NS)
			out->values[out->count++] = rdata_read_name(rdata, size);
		else if (size == wanted || type == RESOLVER_CAA)
			out->values[out->count++] = (struct resolver_value){mem_copy(rdata, size), size};
	}
}

static void take_canonical(struct resolver_answer *out, const char *name)
{
	size_t size = name ? strlen(name) : 0;
	if (size && name[size - 1] == '.')
		size--;
	if (size >= sizeof out->canonical)
		size = 0;
	for (size_t i = 0; i < size; i++)
		out->canonical[i] = (char)tolower((unsigned char)name[i]);
}

static void take_result(struct resolver_answer *out, const struct ub_result *result, enum resolver_type type)
{
	out->secure = result->secure;
	take_canonical(out, result->canonname);
	if (result->bogus) {
		out->outcome = RESOLVER_BOGUS;
		snprintf(out->detail, sizeof out->detail, "DNSSEC validation failed: %s",
		    result->why_bogus ? result->why_bogus : "no reason given");
	} else if (result->havedata) {
		out->outcome = RESOLVER_FOUND;
		take_values(out, result, type);
	} else if (result->nxdomain) {
		out->outcome = RESOLVER_NO_NAME;
	} else if (result->rcode == 0) {
		out->outcome = RESOLVER_NO_DATA;
	} else {
		out->outcome = RESOLVER_TEMPORARY;
		snprintf(out->detail, sizeof out->detail,
		    "none of the domain's name servers gave a usable answer");
	}
}

static void query_free(struct resolver_query *query)
{
	resolver_contexts_give(query->resolver->contexts, query->context);
	ub_resolve_free(query->result);
	free(query);
}

static void finish(struct resolver_query *query, int timeout_ms, struct resolver_answer *out)
{
	struct resolver *resolver = query->resolver;
	*out = (struct resolver_answer){.outcome = RESOLVER_TEMPORARY};
	if (!wait_until_done(query, query->started_us + timeout_ms * INT64_C(1000)))
		snprintf(out->detail, sizeof out->detail,
		    "the domain's name servers did not answer within %d ms", timeout_ms);
	else if (!query->result)
		snprintf(
		    out->detail, sizeof out->detail, "the look-up failed: %s", ub_strerror(query->failure));
	else
		take_result(out, query->result, query->type);
	metric_add(resolver->lookups[out->outcome], 1);
	int64_t end = query->done ? query->done_us : clock_monotonic_us();
	histogram_observe_us(resolver->duration, end - query->started_us);
	query_free(query);
}

void resolver_finish(struct resolver_query *query, struct resolver_answer *out)
{
	finish(query, RESOLVER_DEADLINE_MS, out);
}

void resolver_ask(struct resolver *resolver, const char *subject, const struct resolver_question *questions,
    size_t count, int timeout_ms, struct resolver_answer *answers)
{
	struct resolver_query **queries = mem_alloc_array(count, sizeof *queries);
	resolver_start(resolver, subject, questions, count, queries);
	for (size_t i = 0; i < count; i++)
		finish(queries[i], timeout_ms, &answers[i]);
	free(queries);
}

void resolver_cancel(struct resolver_query *query)
{
	wait_until_done(query, 0);
	query_free(query);
}

void resolver_answer_free(struct resolver_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		free(answer->values[i].bytes);
	free(answer->values);
	*answer = (struct resolver_answer){.outcome = RESOLVER_TEMPORARY};
}

uint64_t resolver_wait(struct resolver *resolver, uint64_t seen, int timeout_ms)
{
	int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
	pthread_mutex_lock(&resolver->lock);
	while (resolver->completions == seen &&
	       condition_wait_until(&resolver->changed, &resolver->lock, deadline_ms))
		continue;
	uint64_t now = resolver->completions;
	pthread_mutex_unlock(&resolver->lock);
	return now;
}

void resolver_wake(struct resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->completions++;
	pthread_cond_broadcast(&resolver->changed);
	pthread_mutex_unlock(&resolver->lock);
}
