/* What the operator asks of the issuers: a row of ca_tasks, and a look at what came of it. Only postern-acme
 * opens account keys and speaks to the CA. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/cli/command.h"

enum { QUERY_MS = 10000, WAIT_MS = 60000, LOOK_MS = 200 };

static const char tasks_sql[] =
    "SELECT id, kind, directory, name, state, attempts, requested_at::timestamptz(0) AS asked, result"
    " FROM ca_tasks ORDER BY id DESC LIMIT 20";

/* Waits for the end of a task; the exit code. */
static int await(struct pg *pg, const char *id)
{
	int64_t until = clock_monotonic_ms() + WAIT_MS;
	struct error error;
	while (clock_monotonic_ms() < until) {
		PGresult *rows = NULL;
		if (pg_run(pg, QUERY_MS, &rows, &error, "SELECT state, result FROM ca_tasks WHERE id = $1",
			pg_text(id)) != R_OK)
			return command_fail(error.text);
		const char *state = PQntuples(rows) == 1 ? pg_get(rows, 0, 0) : "failed";
		const char *result = PQntuples(rows) == 1 ? pg_get(rows, 0, 1) : NULL;
		bool is_done = strcmp(state, "done") == 0;
		bool is_over = is_done || strcmp(state, "failed") == 0;
		if (is_over) {
			printf("%s: ", state);
			command_print_escaped(result ? result : "", result ? strlen(result) : 0);
			printf("\n");
		}
		PQclear(rows);
		if (is_over)
			return is_done ? EXIT_DONE : EXIT_FAILED;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	fprintf(stderr,
	    "postern: task %s is not done yet; it stays queued until a postern-acme that has this CA does "
	    "it. "
	    "`postern acme tasks` shows what comes of it\n",
	    id);
	return EXIT_FAILED;
}

/* `sql` inserts one task and returns its id. */
static int ask(const struct settings *settings, const char *none, const char *sql,
    const struct pg_param *params, int count)
{
	PGresult *rows = NULL;
	struct error error;
	int code = EXIT_FAILED;
	struct pg *pg = command_connect(settings);
	if (!pg)
		return EXIT_FAILED;
	if (pg_query(pg, QUERY_MS, &rows, &error, sql, params, count) != R_OK)
		command_fail(error.text);
	else if (PQntuples(rows) != 1)
		command_fail(none);
	else
		code = await(pg, pg_get(rows, 0, 0));
	PQclear(rows);
	pg_free(pg);
	return code;
}

int command_acme_tasks(const struct settings *settings, char **words)
{
	(void)words;
	struct pg *pg = command_connect(settings);
	bool shown = pg && command_print_rows(pg, "tasks", "none", tasks_sql, NULL, 0);
	pg_free(pg);
	return shown ? EXIT_DONE : EXIT_FAILED;
}

static int ask_of_account(const struct settings *settings, const char *kind)
{
	const struct pg_param params[] = {pg_text(kind), pg_text(settings_string(settings, "directory"))};
	return ask(settings,
	    "there is no account there, or there are several: name the CA by --directory=URL",
	    "WITH found AS (SELECT directory FROM ca_accounts WHERE directory = $2 OR $2 IS NULL)"
	    " INSERT INTO ca_tasks (kind, directory) SELECT $1, directory FROM found"
	    " WHERE (SELECT count(*) FROM found) = 1 RETURNING id",
	    params, 2);
}

int command_acme_rollover(const struct settings *settings, char **words)
{
	(void)words;
	return ask_of_account(settings, "rollover");
}

int command_acme_register(const struct settings *settings, char **words)
{
	(void)words;
	return ask_of_account(settings, "register");
}

int command_acme_deactivate(const struct settings *settings, char **words)
{
	(void)words;
	if (settings_string(settings, "directory"))
		return ask_of_account(settings, "deactivate");
	fprintf(stderr, "postern: deactivation cannot be undone: name the CA by --directory=URL\n");
	return EXIT_USAGE;
}

/* RFC 5280 section 5.3.1, those that a subscriber may give. */
static const char *code_of(const char *reason)
{
	static const char *const reasons[][2] = {{"unspecified", "0"}, {"keyCompromise", "1"},
	    {"affiliationChanged", "3"}, {"superseded", "4"}, {"cessationOfOperation", "5"}};
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (strcmp(reasons[i][0], reason) == 0)
			return reasons[i][1];
	return NULL;
}

int command_certificate_revoke(const struct settings *settings, char **words)
{
	const struct pg_param params[] = {pg_text(words[0]),
	    pg_text(code_of(settings_string(settings, "reason"))),
	    pg_text(settings_switch(settings, "by-key") ? "t" : "f")};
	return ask(settings, "there is no certificate of this name that our CA issued",
	    "INSERT INTO ca_tasks (kind, directory, name, version, reason, by_key, chain_pem, key_sealed)"
	    " SELECT 'revoke', directory, name, version, $2::integer, $3, chain_pem, CASE WHEN $3 THEN "
	    "key_sealed END"
	    " FROM certificates WHERE name = lower($1) AND source = 'acme' RETURNING id",
	    params, 3);
}
