/* `postern reissue`: begins, shows and cancels campaigns of re-issue. The issuers do the work
 * (acme/renewal/reissue.h), paced by the CA's quota; what is here writes a row and reads it. */
#include <stdio.h>
#include <string.h>

#include "common/cli/command.h"

enum { QUERY_MS = 60000 };

struct campaign {
	const char *selector;
	const char *value;
	const char *reason;
};

static int wrong_usage(void)
{
	fprintf(stderr,
	    "postern: usage: postern reissue (--all | --name=NAME | --issuer=TEXT | --directory=URL)"
	    " --reason=TEXT [--dry-run]\n"
	    "         postern reissue --status\n"
	    "         postern reissue --cancel [--reason=TEXT]\n");
	return EXIT_USAGE;
}

/* False: none is chosen, or more than one. */
static bool choose(const struct settings *settings, struct campaign *campaign)
{
	static const char *const selectors[] = {"name", "issuer", "directory"};
	int chosen = 0;
	campaign->reason = settings_string(settings, "reason");
	campaign->value = "";
	if (settings_switch(settings, "all")) {
		campaign->selector = "all";
		chosen++;
	}
	for (size_t i = 0; i < sizeof selectors / sizeof *selectors; i++) {
		const char *value = settings_string(settings, selectors[i]);
		if (!value)
			continue;
		campaign->selector = selectors[i];
		campaign->value = value;
		chosen++;
	}
	return chosen == 1 && campaign->reason && strlen(campaign->reason) <= 200;
}

static bool show_status(struct pg *pg)
{
	return command_print_rows(pg, "campaigns", "none",
		   "SELECT p.id, p.selector, nullif(p.value, '') AS value, p.reason, p.state, p.seen, "
		   "p.enqueued,"
		   " CASE WHEN p.state <> 'cancelled' THEN (SELECT count(*) FROM certificates c "
		   "WHERE reissue_means(p.selector, p.value, c.source, c.name, c.directory, c.issuer) AND "
		   "c.stored_at < p.created_at) END AS still_old,"
		   " date_trunc('second', p.created_at) AS created_at,"
		   " date_trunc('second', p.finished_at) AS all_enqueued_at FROM reissues p ORDER BY p.id "
		   "DESC LIMIT 20",
		   NULL, 0) &&
	       command_print_rows(pg, "jobs of campaigns", "none",
		   "SELECT state, waits_on, count(*), date_trunc('second', min(next_try_at)) AS next,"
		   " date_trunc('second', max(next_try_at)) AS last, max(waits_for) AS waits_for FROM "
		   "issuance_jobs"
		   " WHERE lane = 'reissue' AND state <> 'idle' GROUP BY state, waits_on ORDER BY state",
		   NULL, 0);
}

static int cancel(struct pg *pg, const struct settings *settings)
{
	struct error error;
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, &error,
	    "WITH cancelled AS (UPDATE reissues SET state = 'cancelled', finished_at = now() WHERE state = "
	    "'running'"
	    "   AND ($1::text IS NULL OR reason = $1) RETURNING id),"
	    " dropped AS (UPDATE issuance_jobs SET state = 'idle', waits_on = NULL, waits_for = NULL"
	    "   WHERE lane = 'reissue' AND reason = 'reissue' AND state IN ('queued', 'failed') AND step = "
	    "'none'"
	    "   AND NOT EXISTS (SELECT 1 FROM reissues WHERE state = 'running' AND id NOT IN (SELECT id FROM "
	    "cancelled))"
	    "   RETURNING name)"
	    " SELECT (SELECT count(*) FROM cancelled), (SELECT count(*) FROM dropped)",
	    pg_text(settings_string(settings, "reason")));
	if (result != R_OK)
		return command_fail(error.text);
	printf("cancelled %s campaigns and %s jobs that had not begun\n", pg_get(rows, 0, 0),
	    pg_get(rows, 0, 1));
	PQclear(rows);
	return EXIT_DONE;
}

static int dry_run(struct pg *pg, const struct campaign *campaign)
{
	const struct pg_param params[] = {pg_text(campaign->selector), pg_text(campaign->value)};
	bool done = command_print_rows(pg, "would be issued anew (nothing is changed)", "none",
	    "SELECT count(*) AS certificates, count(DISTINCT c.issuer) AS issuers, min(c.name) AS first,"
	    " max(c.name) AS last, date_trunc('second', min(c.not_after)) AS first_expiry"
	    " FROM (SELECT $1::text AS selector, $2::text AS value) AS p JOIN certificates c ON "
	    "reissue_means(p.selector, p.value, c.source, c.name, c.directory, c.issuer)"
	    " HAVING count(*) > 0",
	    params, 2);
	return done ? EXIT_DONE : EXIT_FAILED;
}

static int begin(struct pg *pg, const struct campaign *campaign)
{
	struct error error;
	PGresult *rows = NULL;
	enum result result = pg_run(pg, QUERY_MS, &rows, &error,
	    "INSERT INTO reissues (selector, value, reason) VALUES ($1, $2, $3)"
	    " ON CONFLICT (selector, value, reason) WHERE state <> 'cancelled' DO NOTHING RETURNING id",
	    pg_text(campaign->selector), pg_text(campaign->value), pg_text(campaign->reason));
	if (result != R_OK)
		return command_fail(error.text);
	if (PQntuples(rows) == 1)
		printf("campaign %s begins; the issuers pace it by the CA's quota\n", pg_get(rows, 0, 0));
	else
		printf("this campaign is there already, and is not doubled; another --reason makes another "
		       "one\n");
	PQclear(rows);
	return show_status(pg) ? EXIT_DONE : EXIT_FAILED;
}

int command_reissue(const struct settings *settings, char **words)
{
	(void)words;
	struct campaign campaign = {.selector = NULL};
	struct hostname name;
	int code = EXIT_DONE;
	bool shows = settings_switch(settings, "status");
	bool cancels = settings_switch(settings, "cancel");
	if (shows && cancels)
		return wrong_usage();
	if (!shows && !cancels && !choose(settings, &campaign))
		return wrong_usage();
	if (campaign.selector && strcmp(campaign.selector, "name") == 0) {
		code = command_parse_name(&name, campaign.value);
		if (code != EXIT_DONE)
			return code;
		campaign.value = name.text;
	}
	struct pg *pg = command_connect(settings);
	if (!pg)
		return EXIT_FAILED;
	code = shows                                  ? (show_status(pg) ? EXIT_DONE : EXIT_FAILED)
	       : cancels                              ? cancel(pg, settings)
	       : settings_switch(settings, "dry-run") ? dry_run(pg, &campaign)
						      : begin(pg, &campaign);
	pg_free(pg);
	return code;
}
