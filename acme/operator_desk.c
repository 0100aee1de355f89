#include "acme/operator_desk.h"

#include <pthread.h>
#include <stdlib.h>

#include "acme/account_change.h"
#include "acme/ca_task.h"
#include "acme/revoke.h"
#include "common/clock.h"
#include "common/condition.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/schema.h"

enum { POLL_MS = 1000, CONNECT_MS = 2000, SCHEMA_MS = 2000, ROW_LEASE_MS = 60 * 1000 };

struct operator_desk {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping;
	struct pg *pg;
	const struct ca_list *cas;
	const struct seal_keys *keys;
	struct ca_sessions sessions;
};

static enum result change_account(
    struct operator_desk *desk, const struct ca_task *task, struct acme_failure *failure, struct error *error)
{
	struct account_change change = {.ca = desk->cas->cas[task->at],
	    .session = desk->sessions.sessions[task->at],
	    .db = {.pg = desk->pg,
		.keys = desk->keys,
		.directory = ca_directory_url(desk->cas->cas[task->at]),
		.failure = failure,
		.error = error},
	    .lease_ms = ROW_LEASE_MS};
	switch (task->kind) {
	case TASK_ROLLOVER: return account_roll_key(&change);
	case TASK_DEACTIVATE: return account_deactivate(&change);
	default: return account_begin_anew(&change);
	}
}

static enum result perform(
    struct operator_desk *desk, const struct ca_task *task, struct acme_failure *failure, struct error *error)
{
	const struct revoke_tools tools = {.pg = desk->pg,
	    .keys = desk->keys,
	    .session = desk->sessions.sessions[task->at],
	    .account = desk->cas->accounts[task->at],
	    .failure = failure,
	    .error = error};
	return task->kind == TASK_REVOKE ? revoke_certificate(&tools, task)
					 : change_account(desk, task, failure, error);
}

static const char *sentence_of(const struct ca_task *task)
{
	switch (task->kind) {
	case TASK_ROLLOVER: return "the account has a new key";
	case TASK_DEACTIVATE: return "the account is deactivated: nothing more is issued with it";
	case TASK_REGISTER: return "another account is made when it is needed next";
	default: break;
	}
	return task->reason == REASON_CESSATION ? "revoked" : "revoked; a new certificate is asked for";
}

/* R_LOST and a database that is away leave the task to whoever comes when its lease has run out. */
static void conclude(struct operator_desk *desk, const struct ca_task *task, enum result result,
    const struct acme_failure *failure, struct error *error)
{
	if (result == R_OK)
		result = ca_task_done(desk->pg, task, sentence_of(task), error);
	else if (result == R_ERROR) {
		log_warn("the operator's task failed", log_int("task", task->id),
		    log_str("error", failure->detail));
		result = ca_task_failed(desk->pg, task, failure, error);
	} else if (result == R_AGAIN || result == R_NONE) {
		const struct acme_failure later = {.cause = CAUSE_NETWORK,
		    .detail = "another instance works on the account, or there is none yet"};
		result = ca_task_failed(desk->pg, task, &later, error);
	}
	if (result != R_OK)
		log_warn("the operator's task is left for later", log_int("task", task->id),
		    log_str("result", result_name(result)));
}

static bool work(struct operator_desk *desk)
{
	struct ca_task task;
	struct error error = {0};
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	if (ca_task_claim(desk->pg, desk->cas, &task, &error) != R_OK)
		return false;
	enum result result = perform(desk, &task, &failure, &error);
	conclude(desk, &task, result, &failure, &error);
	ca_task_fini(&task);
	return true;
}

/* False: stop. */
static bool wait_ms(struct operator_desk *desk, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;
	bool in_time = ms > 0;
	pthread_mutex_lock(&desk->lock);
	while (!desk->stopping && in_time)
		in_time = condition_wait_until(&desk->changed, &desk->lock, until);
	bool go_on = !desk->stopping;
	pthread_mutex_unlock(&desk->lock);
	return go_on;
}

static void *run(void *arg)
{
	struct operator_desk *desk = arg;
	bool has_schema = false;
	bool more = false;
	do {
		more = false;
		if (pg_wait_ready(desk->pg, CONNECT_MS, NULL) != R_OK)
			continue;
		has_schema = has_schema || schema_check(desk->pg, SCHEMA_MS, NULL) == R_OK;
		more = has_schema && work(desk);
	} while (wait_ms(desk, more ? 0 : POLL_MS));
	return NULL;
}

struct operator_desk *operator_desk_start(
    const char *database, const struct ca_list *cas, const struct seal_keys *keys)
{
	struct operator_desk *desk = mem_alloc(sizeof *desk);
	condition_init(&desk->changed);
	pthread_mutex_init(&desk->lock, NULL);
	desk->pg = pg_new(database, "postern-acme-operator");
	desk->cas = cas;
	desk->keys = keys;
	ca_sessions_init(&desk->sessions, cas);
	if (pthread_create(&desk->thread, NULL, run, desk) != 0) {
		log_error("cannot start a thread");
		abort();
	}
	return desk;
}

void operator_desk_stop(struct operator_desk *desk)
{
	if (!desk)
		return;
	pthread_mutex_lock(&desk->lock);
	desk->stopping = true;
	pthread_cond_signal(&desk->changed);
	pthread_mutex_unlock(&desk->lock);
	pthread_join(desk->thread, NULL);
	ca_sessions_fini(&desk->sessions);
	pg_free(desk->pg);
	pthread_cond_destroy(&desk->changed);
	pthread_mutex_destroy(&desk->lock);
	free(desk);
}
