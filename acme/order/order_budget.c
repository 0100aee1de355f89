#include <string.h>

#include "acme/order/order.h"
#include "acme/queue/budget.h"
#include "common/log/log.h"

enum result order_take_budget(struct order_run *run, bool is_exempt)
{
	const struct order_tools *tools = run->tools;
	if (is_exempt)
		return R_OK;
	enum result result = budget_take(tools->pg, &ca_config(tools->ca)->ceilings,
	    ca_directory_url(tools->ca), run->job, run->wait, run->error);
	return result == R_LIMIT ? result : order_judge_query(run, result);
}

/* A request that may have reached the CA, and whose answer was lost or is the CA's own trouble, may be
 * counted. */
static bool was_not_counted(const struct acme_failure *failure)
{
	return failure->status >= 400 && failure->status < 500;
}

enum result order_refused(struct order_run *run, bool is_exempt)
{
	const struct order_tools *tools = run->tools;
	const char *name = run->job->name;
	enum result result = R_OK;
	if (!is_exempt && was_not_counted(run->failure))
		result = budget_refund_order(tools->pg, ca_directory_url(tools->ca), name, run->error);
	if (result == R_DOWN || result == R_TIMEOUT)
		return R_DOWN;
	if (result != R_OK)
		log_warn("the ledger gets nothing back for a refusal", log_str("name", name),
		    log_str("error", run->error->text));
	return R_ERROR;
}

static bool is_of_validation(const struct acme_failure *failure)
{
	switch (failure->cause) {
	case CAUSE_DNS:
	case CAUSE_CONNECTION:
	case CAUSE_TLS:
	case CAUSE_UNAUTHORIZED:
	case CAUSE_CAA: return failure->status == 0;
	default: return false;
	}
}

void order_refund_unused(struct pg *pg, struct job *job)
{
	struct error error = {""};
	if (job->step != JOB_ORDERED || !job->is_charged)
		return;
	job->is_charged = false;
	if (budget_refund_certificate(pg, job->directory, job->name, &error) != R_OK)
		log_warn("the ledger gets nothing back for an order", log_str("name", job->name),
		    log_str("error", error.text));
}

void order_settle_budget(
    struct pg *pg, const struct ca *ca, struct job *job, const struct acme_failure *failure)
{
	const char *directory = ca_directory_url(ca);
	struct error error = {""};
	enum result result = R_OK;
	/* Limits of our own have no status. */
	if (failure->status != 0)
		result = budget_learn(pg, directory, job->name, failure, &error);
	if (result == R_OK && job->step == JOB_ORDERED && is_of_validation(failure))
		result = budget_count_failure(pg, &ca_config(ca)->ceilings, directory, job->name, &error);
	if (result != R_OK)
		log_warn("the ledger is not told of a failure", log_str("name", job->name),
		    log_str("error", error.text));
	if (acme_cause_ends_order(failure->cause) && !failure->keeps_order)
		order_refund_unused(pg, job);
}
