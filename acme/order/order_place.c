/*
 * newOrder (RFC 8555 section 7.4), with the profile and the certificate that it replaces where the CA knows
 * of these, and the commit of the order's URL. See order.h.
 */
#include <stdio.h>
#include <string.h>

#include "acme/ca/ari.h"
#include "acme/order/order.h"
#include "common/log/log.h"
#include "common/net/hostname.h"

enum { PAYLOAD_MAX = 1024, EXTRAS = 2 };

/* What newOrder may carry beside the name; empty: left out. */
struct extras {
	char profile[ACME_PROFILE_SIZE];
	char replaces[ARI_CERT_ID_SIZE];
	bool is_exempt; /* from the CA's limits: it replaces within the time that the CA suggested */
};

/* RFC 9773 section 5: only the same CA and account may be told. No certificate of theirs, no extra. */
static enum result find_replaced(
    struct order_run *run, const struct acme_directory *directory, struct extras *extras)
{
	PGresult *rows = NULL;
	if (directory->renewal_info[0] == '\0')
		return R_OK;
	enum result result = pg_run(run->tools->pg, JOB_QUERY_MS, &rows, run->error,
	    "SELECT chain_pem, coalesce(now() BETWEEN ari_window_start AND ari_window_end, false)"
	    " FROM certificates WHERE name = $1 AND directory = $2 AND account_url = $3"
	    " AND source = 'acme' AND not_after > now()",
	    pg_text(run->job->name), pg_text(ca_directory_url(run->tools->ca)), pg_text(run->account.url));
	if (result == R_OK && PQntuples(rows) == 1 &&
	    ari_cert_id(extras->replaces, pg_get(rows, 0, 0), NULL) == R_OK)
		extras->is_exempt = pg_get_bool(rows, 0, 1);
	PQclear(rows);
	return order_judge_query(run, result);
}

static enum result choose_profile(
    struct order_run *run, const struct acme_directory *directory, struct extras *extras)
{
	const struct ca_config *config = ca_config(run->tools->ca);
	if (!config->profile)
		return R_OK;
	if (acme_directory_has_profile(directory, config->profile)) {
		snprintf(extras->profile, sizeof extras->profile, "%s", config->profile);
		return R_OK;
	}
	if (!config->profile_required)
		return R_OK;
	acme_failure_set(run->failure, CAUSE_CA, "the CA does not offer the profile %s, which is required",
	    config->profile);
	return R_ERROR;
}

static enum result post(struct order_run *run, const struct acme_directory *directory,
    const struct extras *extras, struct acme_response *response)
{
	struct buf payload;
	buf_init(&payload, PAYLOAD_MAX);
	buf_append_format(&payload, "{\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]", run->job->name);
	if (extras->profile[0] != '\0')
		buf_append_format(&payload, ",\"profile\":\"%s\"", extras->profile);
	if (extras->replaces[0] != '\0')
		buf_append_format(&payload, ",\"replaces\":\"%s\"", extras->replaces);
	buf_append_string(&payload, "}");
	enum result result =
	    order_post(run, CA_NEW_ORDER, directory->new_order, buf_string(&payload), response);
	buf_fini(&payload);
	return result;
}

/* A refusal for what was optional: true, and without it the order may go through. A `replaces` that is
 * refused again and again would let the certificate expire. */
static bool drop_refused(const struct order_run *run, struct extras *extras)
{
	const struct acme_failure *failure = run->failure;
	bool is_malformed = strcmp(failure->type, "malformed") == 0;
	char *refused = NULL;
	if (extras->replaces[0] != '\0' &&
	    (is_malformed || failure->status == 404 || failure->status == 409 ||
		strcmp(failure->type, "alreadyReplaced") == 0))
		refused = extras->replaces;
	else if (extras->profile[0] != '\0' && !ca_config(run->tools->ca)->profile_required &&
		 (is_malformed || strcmp(failure->type, "invalidProfile") == 0))
		refused = extras->profile;
	if (!refused)
		return false;
	log_info("newOrder is sent again without what was refused", log_str("name", run->job->name),
	    log_str("refused", refused), log_str("error", failure->detail));
	refused[0] = '\0';
	return true;
}

/* Without what it replaces an order counts like any other. */
static enum result lose_exemption(struct order_run *run, struct extras *extras)
{
	if (!extras->is_exempt || extras->replaces[0] != '\0')
		return R_OK;
	extras->is_exempt = false;
	enum result result = order_take_budget(run, false);
	if (result == R_OK)
		result = order_judge_query(run, job_set_ordering(run->tools->pg, run->job,
						    ca_directory_url(run->tools->ca), true, run->error));
	return result;
}

static enum result keep(struct order_run *run, const struct acme_response *response)
{
	if (response->location[0] == '\0')
		return order_fail(run, CAUSE_CA, "newOrder came without the order's URL");
	enum result result =
	    order_judge_query(run, job_set_ordered(run->tools->pg, run->job, response->location, run->error));
	if (result != R_OK)
		return result;
	run->was_placed = true;
	return order_take(run, response);
}

static struct preflight_asker asker_of(struct order_run *run, const struct acme_directory *directory)
{
	return (struct preflight_asker){.pg = run->tools->pg,
	    .job = run->job,
	    .directory = directory,
	    .account_url = run->account.url,
	    .types = run->tools->types};
}

/* An order that cannot succeed costs of the CA's quota what one that does would. */
static enum result look_first(struct order_run *run, const struct acme_directory *directory)
{
	const struct preflight_asker asker = asker_of(run, directory);
	enum result result =
	    preflight_check(run->tools->preflight, &asker, run->methods, run->failure, run->error);
	run->has_methods = result == R_OK;
	return result == R_ERROR && run->failure->foreseen ? result : order_judge_query(run, result);
}

enum result order_find_methods(struct order_run *run)
{
	struct acme_directory directory;
	if (run->has_methods)
		return R_OK;
	enum result result = ca_directory(run->tools->session, &directory, run->failure);
	if (result != R_OK)
		return result;
	const struct preflight_asker asker = asker_of(run, &directory);
	preflight_find_methods(run->tools->preflight, &asker, run->methods);
	run->has_methods = true;
	return R_OK;
}

/* Between the POST and the commit of the order's URL a crash loses the order: no CA lists an account's
 * orders. */
enum result order_place(struct order_run *run)
{
	struct acme_directory directory;
	struct acme_response response;
	struct extras extras = {.profile = ""};
	enum result result = ca_directory(run->tools->session, &directory, run->failure);
	if (result == R_OK)
		result = choose_profile(run, &directory, &extras);
	if (result == R_OK)
		result = find_replaced(run, &directory, &extras);
	if (result == R_OK)
		result = look_first(run, &directory);
	if (result == R_OK)
		result = order_take_budget(run, extras.is_exempt);
	if (result == R_OK)
		result = order_judge_query(
		    run, job_set_ordering(run->tools->pg, run->job, ca_directory_url(run->tools->ca),
			     !extras.is_exempt, run->error));
	if (result != R_OK)
		return result;

	acme_response_init(&response);
	result = post(run, &directory, &extras, &response);
	for (int i = 0; i < EXTRAS && result == R_ERROR && drop_refused(run, &extras); i++) {
		result = lose_exemption(run, &extras);
		if (result == R_OK)
			result = post(run, &directory, &extras, &response);
	}
	if (result == R_ERROR)
		result = order_refused(run, extras.is_exempt);
	if (result == R_OK)
		result = keep(run, &response);
	acme_response_fini(&response);
	return result;
}
