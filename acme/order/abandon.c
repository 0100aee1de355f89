#include "acme/order/abandon.h"

#include "acme/order/authorize.h"
#include "common/log/log.h"

static bool is_worth_asking(const struct order_tools *tools, const struct job *job)
{
	PGresult *rows = NULL;
	if (job->step != JOB_ORDERED || !tools->session)
		return false;
	enum result result = pg_run(tools->pg, JOB_QUERY_MS, &rows, NULL,
	    "SELECT NOT EXISTS (SELECT 1 FROM ca_health WHERE directory = $1 AND open_until IS NOT NULL)"
	    " AND NOT EXISTS (SELECT 1 FROM ca_trouble WHERE directory = $1 AND name = $2 AND cause = "
	    "'network')",
	    pg_text(job->directory), pg_text(job->name));
	bool is_worth = result == R_OK && pg_get_bool(rows, 0, 0);
	PQclear(rows);
	return is_worth;
}

static enum result end_authorizations(
    const struct order_tools *tools, struct job *job, struct acme_failure *failure, struct error *error)
{
	struct order_run run;
	struct job_wait wait;
	enum result result = order_begin(&run, tools, job, failure, &wait, error);
	if (result == R_OK)
		result = order_fetch(&run);
	for (size_t i = 0;
	     result == R_OK && run.order.status == ACME_PENDING && i < run.order.authorization_count; i++)
		result = authorize_end(&run, run.order.authorizations[i]);
	order_end(&run);
	return result;
}

enum result abandon_order(const struct order_tools *tools, struct job *job, struct error *error)
{
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	if (is_worth_asking(tools, job)) {
		enum result result = end_authorizations(tools, job, &failure, error);
		if (result != R_OK && result != R_ERROR)
			return result;
		log_info("the order was given up", log_str("name", job->name),
		    log_str("directory", job->directory),
		    log_str(
			"result", result == R_OK ? "none of its authorizations is pending" : failure.detail));
	}
	order_refund_unused(tools->pg, job);
	return job_forget_order(tools->pg, job, error);
}
