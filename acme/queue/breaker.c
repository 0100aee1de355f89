#include "acme/queue/breaker.h"

#include <stdio.h>
#include <string.h>

#include "common/daemon/metrics.h"
#include "common/log/log.h"

#define UNTIL(time) \
	"ceil(extract(epoch FROM " time " - clock_timestamp()) * 1000)::bigint," \
	" to_char(" time " AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"')," \
	" CASE WHEN open_until IS NOT NULL THEN left(last_error, 200) END"

static enum result wait_for(struct job_wait *wait, const PGresult *rows)
{
	const char *why = pg_get(rows, 0, 2);
	wait->ms = pg_get_int(rows, 0, 0);
	wait->on = "ca";
	snprintf(wait->text, sizeof wait->text, "the CA, which is left alone until %s: %s",
	    pg_get(rows, 0, 1), why ? why : "work resumes little by little");
	return R_LIMIT;
}

enum result breaker_enter(struct pg *pg, const char *directory, struct breaker_probe *probe,
    struct job_wait *wait, struct error *error)
{
	PGresult *rows = NULL;
	probe->until[0] = '\0';
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT " UNTIL("not_before") ", probe FROM breaker_enter($1, $2::bigint)"
					  " LEFT JOIN ca_health ON directory = $1",
	    pg_text(directory), pg_int(BREAKER_PROBE_MS));
	if (result != R_OK)
		return result;
	if (pg_get(rows, 0, 0))
		result = wait_for(wait, rows);
	else if (pg_get(rows, 0, 3))
		snprintf(probe->until, sizeof probe->until, "%s", pg_get(rows, 0, 3));
	PQclear(rows);
	return result;
}

enum result breaker_look(struct pg *pg, const char *directory, struct job_wait *wait, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT " UNTIL(
		"open_until") " FROM ca_health WHERE directory = $1 AND open_until > clock_timestamp()",
	    pg_text(directory));
	if (result == R_OK && PQntuples(rows) == 1)
		result = wait_for(wait, rows);
	PQclear(rows);
	return result;
}

void breaker_leave(struct pg *pg, const char *directory, const struct breaker_probe *probe)
{
	struct error error = {""};
	if (probe->until[0] != '\0' && pg_run(pg, JOB_QUERY_MS, NULL, &error, "SELECT breaker_leave($1, $2)",
					   pg_text(directory), pg_text(probe->until)) != R_OK)
		log_warn("cannot hand a try of the CA over", log_str("directory", directory),
		    log_str("error", error.text));
}

static bool is_the_cas_own(const struct acme_failure *failure)
{
	return failure->cause == CAUSE_NETWORK || (failure->cause == CAUSE_CA && failure->status >= 500);
}

static bool shows_that_it_works(const struct acme_failure *failure)
{
	if (failure->foreseen)
		return false;
	switch (failure->cause) {
	case CAUSE_DNS:
	case CAUSE_CONNECTION:
	case CAUSE_TLS:
	case CAUSE_UNAUTHORIZED:
	case CAUSE_CAA: return true;
	default: return false;
	}
}

static void warn(const char *directory, const struct error *error)
{
	log_warn(
	    "cannot note how the CA does", log_str("directory", directory), log_str("error", error->text));
}

static enum result report_failed(struct pg *pg, const char *directory, const char *name,
    const struct acme_failure *failure, int threshold, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT breaker_failed($1, $2, $3, $4::bigint, $5::integer)", pg_text(directory), pg_text(name),
	    pg_text(failure->detail), pg_int(failure->retry_after), pg_int(threshold));
	if (result == R_OK && pg_get_bool(rows, 0, 0)) {
		metric_add(metrics_counter("postern_acme_breaker_opened_total", NULL,
			       "Times that this process found a CA unfit and had the fleet leave it alone."),
		    1);
		log_warn("the CA is left alone for a while", log_str("directory", directory),
		    log_str("error", failure->detail), log_int("retry_after", failure->retry_after));
	}
	PQclear(rows);
	return result;
}

void breaker_report(
    struct pg *pg, const char *directory, const char *name, const struct acme_failure *failure)
{
	struct error error = {""};
	enum result result = R_OK;
	if (failure && is_the_cas_own(failure))
		result = report_failed(pg, directory, name, failure, BREAKER_THRESHOLD, &error);
	else if (!failure || shows_that_it_works(failure))
		result =
		    pg_run(pg, JOB_QUERY_MS, NULL, &error, "SELECT breaker_worked($1)", pg_text(directory));
	if (result != R_OK)
		warn(directory, &error);
}

void breaker_open(struct pg *pg, const char *directory, const struct acme_failure *failure)
{
	struct error error = {""};
	if (report_failed(pg, directory, "", failure, 1, &error) != R_OK)
		warn(directory, &error);
}

enum result breaker_show(struct pg *pg, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT directory, open_until IS NOT NULL FROM ca_health ORDER BY directory LIMIT 8", NULL, 0);
	for (int row = 0; result == R_OK && row < PQntuples(rows); row++) {
		char labels[300];
		metric_set(metrics_gauge("postern_acme_breaker_open",
			       metrics_label(labels, sizeof labels, "directory", pg_get(rows, row, 0)),
			       "1 while the fleet leaves this CA alone, or has one job try it."),
		    pg_get_bool(rows, row, 1));
	}
	PQclear(rows);
	return result;
}
