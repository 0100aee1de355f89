#include "acme/desk/operator_desk.h"

#include <stdlib.h>

#include "acme/desk/account_change.h"
#include "acme/desk/ca_task.h"
#include "acme/desk/revoke.h"
#include "common/base/mem.h"
#include "common/daemon/background.h"
#include "common/log/log.h"
#include "common/pg/schema.h"

enum { POLL_MS = 1000, CONNECT_MS = 2000, ROW_LEASE_MS = 60 * 1000 };

struct operator_desk {
	struct background *thread;
	bool has_schema;
	struct pg *pg;
	const struct ca_list *cas;
	const struct seal_keys *keys;
	struct ca_sessions sessions;
};

static enum result change_account(
    struct operator_desk *desk, struct ca_task *task, struct acme_failure *failure, struct error *error)
{
	struct account_change change = {.ca = desk->cas->cas[task->at],
	    .task = task,
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
    struct operator_desk *desk, struct ca_task *task, struct acme_failure *failure, struct error *error)
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

static int64_t round_of(void *arg, struct background *self)
{
	struct operator_desk *desk = arg;
	(void)self;
	bool more = schema_is_ready(desk->pg, CONNECT_MS, &desk->has_schema) && work(desk);
	return more ? 0 : POLL_MS;
}

struct operator_desk *operator_desk_start(
    const char *database, const struct ca_list *cas, const struct seal_keys *keys)
{
	struct operator_desk *desk = mem_alloc(sizeof *desk);
	desk->pg = pg_new(database, "postern-acme-operator");
	desk->cas = cas;
	desk->keys = keys;
	ca_sessions_init(&desk->sessions, cas);
	desk->thread = background_start("operator-desk", round_of, desk);
	return desk;
}

void operator_desk_stop(struct operator_desk *desk)
{
	if (!desk)
		return;
	background_stop(desk->thread);
	ca_sessions_fini(&desk->sessions);
	pg_free(desk->pg);
	free(desk);
}
