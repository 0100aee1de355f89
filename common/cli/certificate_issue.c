/* `postern certificate issue NAME`: asks the issuers for a certificate, of a wildcard too, and waits a while
 * for what comes of it. What is here writes the job; the issuers drive it. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/cli/command.h"

enum { QUERY_MS = 10000, WAIT_MS = 60000, LOOK_MS = 200 };

/* As the issuers will judge it, so that the person is told now. The operator's word counts as a proof that
 * DNS is right: what was foreseen to fail is tried at once. */
static const char ask_sql[] =
    "WITH look AS MATERIALIZED (SELECT site_blocked($1) OR (EXISTS (SELECT 1 FROM domains WHERE name = $1)"
    "   AND NOT EXISTS (SELECT 1 FROM domains WHERE name = $1 AND status IN ('active', 'drifted'))) AS "
    "refused,"
    " (SELECT date_trunc('second', not_after)::text FROM certificates WHERE name = $1 AND revoked_at IS NULL"
    "   AND not_after > now() AND (source = 'upload' OR renew_at > now())) AS good_until)"
    " SELECT refused, good_until, CASE WHEN NOT refused AND good_until IS NULL"
    "   THEN enqueue_issuance($1, 'pre_issue') END FROM look";

static const char job_sql[] =
    "SELECT state, CASE WHEN state = 'idle' THEN (SELECT date_trunc('second', not_after)::text FROM "
    "certificates"
    "   WHERE name = $1 AND not_after > now() AND renew_at > now()) END, coalesce(waits_for, last_error), "
    "date_trunc('second', next_try_at)"
    " FROM issuance_jobs WHERE name = $1";

static void print_line(const char *what, const char *text)
{
	printf("%s", what);
	command_print_escaped(text ? text : "", text ? strlen(text) : 0);
	printf("\n");
}

/* R_NONE: not decided yet. */
static enum result look(struct pg *pg, const char *name, int *code)
{
	struct error error;
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, &error, job_sql, pg_text(name));
	const char *state = result == R_OK && PQntuples(rows) == 1 ? pg_get(rows, 0, 0) : "idle";
	if (result != R_OK)
		*code = command_fail(error.text);
	else if (strcmp(state, "idle") == 0 && PQntuples(rows) == 1 && pg_get(rows, 0, 1)) {
		print_line("issued: valid until ", pg_get(rows, 0, 1));
		*code = EXIT_DONE;
	} else if (strcmp(state, "idle") == 0)
		*code =
		    command_fail("the issuers closed the job without a certificate: the name is not allowed");
	else if (strcmp(state, "failed") == 0) {
		print_line("not issued: ", pg_get(rows, 0, 2));
		print_line("next try: ", pg_get(rows, 0, 3));
		*code = EXIT_FAILED;
	} else
		result = R_NONE;
	PQclear(rows);
	return result;
}

static int await(struct pg *pg, const char *name)
{
	int64_t until = clock_monotonic_ms() + WAIT_MS;
	int code = EXIT_FAILED;
	while (clock_monotonic_ms() < until) {
		if (look(pg, name, &code) != R_NONE)
			return code;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	return command_fail(
	    "not issued yet: the job stays queued for the issuers; `postern explain` shows what comes of it");
}

int command_certificate_issue(const struct settings *settings, char **words)
{
	struct hostname name;
	struct error error;
	PGresult *rows = NULL;
	struct pg *pg = NULL;
	int code = command_begin(settings, words[0], &name, &pg);
	if (code != EXIT_DONE)
		return code;
	if (pg_run(pg, QUERY_MS, &rows, &error, ask_sql, pg_text(name.text)) != R_OK)
		code = command_fail(error.text);
	else if (pg_get_bool(rows, 0, 0))
		code = command_fail("no tenant's claim of this name is active, so nothing is issued for it");
	else if (pg_get(rows, 0, 1)) {
		print_line("nothing to do: the stored certificate is good until ", pg_get(rows, 0, 1));
		printf("`postern reissue --name=%s --reason=TEXT` replaces one that was issued\n", name.text);
	} else
		code = await(pg, name.text);
	PQclear(rows);
	pg_free(pg);
	return code;
}
