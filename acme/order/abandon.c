#include "acme/order/abandon.h"

#include <stdio.h>

#include "common/log/log.h"

void abandon_note(struct abandoned *abandoned, const struct job *job, size_t at)
{
	abandoned->is_one = job->step == JOB_ORDERED && job->order_url[0] != '\0';
	abandoned->at = at;
	snprintf(abandoned->order_url, sizeof abandoned->order_url, "%s", job->order_url);
}

static bool is_worth_asking(struct pg *pg, const char *directory, const char *name)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, NULL,
	    "SELECT NOT EXISTS (SELECT 1 FROM ca_health WHERE directory = $1 AND open_until IS NOT NULL)"
	    " AND NOT EXISTS (SELECT 1 FROM ca_trouble WHERE directory = $1 AND name = $2 AND cause = "
	    "'network')",
	    pg_text(directory), pg_text(name));
	bool is_worth = result == R_OK && pg_get_bool(rows, 0, 0);
	PQclear(rows);
	return is_worth;
}

static enum result read_order(struct ca_session *session, const struct account_view *account, const char *url,
    struct acme_order *order, struct acme_failure *failure)
{
	const struct ca_call call = {.kind = CA_ORDER, .url = url, .key = account->key, .kid = account->url};
	struct acme_response response;
	struct error error = {0};
	acme_response_init(&response);
	enum result result = ca_post(session, &call, &response, failure);
	if (result == R_OK)
		result = acme_parse_order(order, buf_bytes(&response.body), buf_size(&response.body), &error);
	acme_response_fini(&response);
	return result;
}

static enum result end_authorization(struct ca_session *session, const struct account_view *account,
    const char *url, struct acme_failure *failure)
{
	const struct ca_call call = {.kind = CA_DEACTIVATE,
	    .url = url,
	    .payload = "{\"status\":\"deactivated\"}",
	    .key = account->key,
	    .kid = account->url};
	struct acme_response response;
	acme_response_init(&response);
	enum result result = ca_post(session, &call, &response, failure);
	acme_response_fini(&response);
	return result;
}

void abandon_order(struct abandoned *abandoned, const struct ca_list *cas, struct ca_sessions *sessions,
    struct pg *pg, const char *name)
{
	struct ca_session *session = sessions->sessions[abandoned->at];
	struct account_view account = {.key = NULL};
	struct acme_failure failure = {.cause = CAUSE_INTERNAL};
	struct acme_order order = {.authorization_count = 0};
	struct error error = {0};
	if (!abandoned->is_one)
		return;
	abandoned->is_one = false;
	if (!is_worth_asking(pg, ca_directory_url(cas->cas[abandoned->at]), name))
		return;
	enum result result =
	    account_get(cas->accounts[abandoned->at], session, pg, &account, &failure, &error);
	if (result == R_OK)
		result = read_order(session, &account, abandoned->order_url, &order, &failure);
	for (size_t i = 0; result == R_OK && i < order.authorization_count; i++)
		result = end_authorization(session, &account, order.authorizations[i], &failure);
	log_info("the order at the other CA was given up", log_str("name", name),
	    log_str("result", result == R_OK ? "its authorizations are ended" : failure.detail));
	account_view_fini(&account);
}
