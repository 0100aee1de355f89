#include "acme/renewal/renewal_info.h"

#include <stdio.h>
#include <string.h>

#include "acme/ca/ari.h"
#include "acme/queue/breaker.h"
#include "common/base/process.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

static const char claim_sql[] =
    "UPDATE certificates c SET ari_next_poll_at = clock_timestamp() + interval '1 hour'"
    " FROM (SELECT name FROM certificates WHERE source = 'acme' AND ari_next_poll_at <= now()"
    "   ORDER BY ari_next_poll_at LIMIT $1::integer FOR UPDATE SKIP LOCKED) AS b WHERE c.name = b.name"
    " RETURNING c.name, c.version, c.directory, c.chain_pem,"
    "   extract(epoch FROM c.ari_window_start)::bigint, extract(epoch FROM c.ari_window_end)::bigint,"
    "   extract(epoch FROM c.renew_at)::bigint";

/* However late the CA's moment, a tenth of the life is left for things that go wrong; and however early, none
 * is renewed within hours of its issuance: a CA that says "now" of each new one would have them renewed for
 * ever. */
static const char keep_sql[] =
    "UPDATE certificates SET renew_at = GREATEST(LEAST(to_timestamp($3::bigint), not_after - (not_after - "
    "not_before)"
    " / 10), stored_at + LEAST(interval '6 hours', (not_after - not_before) / 10)),"
    " ari_window_start = to_timestamp($4::bigint), ari_window_end = to_timestamp($5::bigint),"
    " ari_explanation = nullif($6, ''), ari_next_poll_at = clock_timestamp() + $7::bigint * interval '1 "
    "second'"
    " WHERE name = $1 AND version = $2";

static void count(const char *result)
{
	char labels[32];
	snprintf(labels, sizeof labels, "result=\"%s\"", result);
	metric_add(metrics_counter("postern_acme_renewal_info_total", labels,
		       "Questions to the CAs when a certificate is to be renewed, by what came of them."),
	    1);
}

static enum result keep(struct pg *pg, const PGresult *rows, int row, const struct ari_plan *plan,
    int64_t again_s, struct error *error)
{
	return pg_run(pg, JOB_QUERY_MS, NULL, error, keep_sql, pg_text(pg_get(rows, row, 0)),
	    pg_int(pg_get_int(rows, row, 1)), pg_int(plan->selected), pg_int(plan->start), pg_int(plan->end),
	    pg_text(plan->explanation), pg_int(again_s));
}

/* again_s -1: not any more, for this certificate. */
static enum result ask_later(
    struct pg *pg, const PGresult *rows, int row, int64_t again_s, struct error *error)
{
	return pg_run(pg, JOB_QUERY_MS, NULL, error,
	    "UPDATE certificates SET ari_next_poll_at = CASE WHEN $3::bigint >= 0"
	    " THEN clock_timestamp() + $3::bigint * interval '1 second' END WHERE name = $1 AND version = $2",
	    pg_text(pg_get(rows, row, 0)), pg_int(pg_get_int(rows, row, 1)), pg_int(again_s));
}

/* Spread, so that what was asked about together is not asked about together for ever. */
static int64_t spread(int64_t seconds)
{
	uint32_t random = 0;
	process_random(&random, sizeof random);
	return seconds + random % (seconds / 10 + 1);
}

/* About the first certificate in `pem`. R_OK: *plan is the CA's word. R_NONE: this CA has no renewal
 * information. R_ERROR: *failure; *plan is as before. *again_s says when to ask the next time, whatever came.
 */
static enum result fetch(struct ca_session *session, const char *pem, struct ari_plan *plan, int64_t *again_s,
    struct acme_failure *failure)
{
	struct acme_directory directory;
	struct acme_response response;
	struct error error = {0};
	char id[ARI_CERT_ID_SIZE];
	char url[ACME_URL_SIZE + ARI_CERT_ID_SIZE];
	uint32_t random = 0;
	*again_s = ARI_ASK_S;
	acme_response_init(&response);
	enum result result = ca_directory(session, &directory, failure);
	if (result == R_OK && directory.renewal_info[0] == '\0')
		result = R_NONE;
	if (result != R_OK)
		goto out;
	if (ari_cert_id(id, pem, &error) != R_OK) {
		result = R_NONE;
		goto out;
	}
	snprintf(url, sizeof url, "%s/%s", directory.renewal_info, id);
	result = ca_get(session, CA_RENEWAL_INFO, url, &response, failure);
	*again_s = ari_ask_again_s(response.retry_after);
	if (result != R_OK)
		goto out;
	process_random(&random, sizeof random);
	if (ari_read(plan, buf_bytes(&response.body), buf_size(&response.body), random, &error) != R_OK) {
		acme_failure_set(failure, CAUSE_CA, "%s", error.text);
		result = R_ERROR;
	}
out:
	acme_response_fini(&response);
	return result;
}

static bool is_trouble(const struct acme_failure *failure)
{
	return failure->cause == CAUSE_NETWORK || failure->status == 429 || failure->status >= 500 ||
	       failure->held_ms > 0;
}

static enum result ask(struct pg *pg, struct ca_session *session, const char *breaker, const PGresult *rows,
    int row, struct error *error)
{
	struct acme_failure failure = {.cause = CAUSE_CA};
	struct ari_plan plan = {.start = pg_get_int(rows, row, 4), .end = pg_get_int(rows, row, 5)};
	plan.selected = plan.start ? pg_get_int(rows, row, 6) : 0;
	int64_t before = plan.start;
	int64_t again_s = 0;
	enum result result = fetch(session, pg_get(rows, row, 3), &plan, &again_s, &failure);
	count(result == R_OK ? "answered" : result == R_NONE ? "none" : "failed");
	if (result == R_ERROR && is_trouble(&failure))
		breaker_open(pg, breaker, &failure);
	else
		breaker_report(pg, breaker, pg_get(rows, row, 0), NULL);
	if (result == R_NONE)
		return ask_later(pg, rows, row, -1, error);
	if (result == R_OK) {
		if (plan.start != before)
			log_info("the CA says when to renew", log_str("name", pg_get(rows, row, 0)),
			    log_int("at", plan.selected), log_str("explanation", plan.explanation));
		return keep(pg, rows, row, &plan, spread(again_s), error);
	}
	log_info("the CA does not say when to renew", log_str("name", pg_get(rows, row, 0)),
	    log_str("error", failure.detail));
	return ask_later(pg, rows, row, spread(again_s), error);
}

/* A CA that orders leave alone is not asked either. What it does with these questions has a breaker of its
 * own: a CA may issue and not say when to renew. */
static enum result ask_or_wait(struct pg *pg, const struct ca_list *cas, struct ca_sessions *sessions,
    const PGresult *rows, int row, struct error *error)
{
	const char *directory = pg_get(rows, row, 2);
	size_t at = ca_list_find(cas, directory);
	if (at == cas->count)
		return ask_later(pg, rows, row, -1, error);
	char breaker[ACME_URL_SIZE + sizeof "#renewal-info"];
	struct breaker_probe probe;
	struct job_wait wait;
	snprintf(breaker, sizeof breaker, "%s#renewal-info", directory);
	enum result result = breaker_look(pg, directory, &wait, error);
	if (result == R_OK)
		result = breaker_enter(pg, breaker, &probe, &wait, error);
	if (result == R_LIMIT)
		return ask_later(pg, rows, row, spread(wait.ms / 1000 + 1), error);
	return result == R_OK ? ask(pg, sessions->sessions[at], breaker, rows, row, error) : result;
}

enum result renewal_info_step(
    struct pg *pg, const struct ca_list *cas, struct ca_sessions *sessions, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error, claim_sql, pg_int(RENEWAL_INFO_BATCH));
	for (int row = 0; result == R_OK && row < PQntuples(rows); row++)
		result = ask_or_wait(pg, cas, sessions, rows, row, error);
	PQclear(rows);
	return result;
}
