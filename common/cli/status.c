/* `postern status` and `postern explain`: the tables as a person wants to read them. Neither needs a key. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/cli/command.h"
#include "common/domain/delegation.h"
#include "common/explain/explain.h"
#include "common/explain/explain_edges.h"
#include "common/explain/explain_summary.h"
#include "common/explain/overview.h"
#include "common/net/hostname.h"
#include "common/pg/schema.h"

enum { SUMMARY_MS = 10000, TIME_TEXT = 48 };

struct page_part {
	const char *title;
	const char *none;
	const char *sql;
};

static const struct page_part status_parts[] = {
    {"nodes", "none has been heard of", overview_nodes_sql},
    {"domains", "none", overview_domains_sql},
    {"certificates", "none",
	"SELECT count(*) AS stored, count(*) FILTER (WHERE renew_at <= now()) AS due,"
	" count(*) FILTER (WHERE not_after <= now()) AS expired,"
	" date_trunc('second', min(not_after) FILTER (WHERE not_after > now())) AS next_expiry,"
	" count(*) FILTER (WHERE source = 'upload') AS uploaded,"
	" count(*) FILTER (WHERE source = 'upload' AND not_after BETWEEN now() AND now() + interval '30 "
	"days')"
	" AS of_these_end_in_30_days FROM certificates"},
    {"issuance jobs", "none",
	"SELECT state, count(*), count(*) FILTER (WHERE state = 'running' AND lease_until < "
	"clock_timestamp()) AS"
	" orphaned FROM issuance_jobs GROUP BY state ORDER BY state"},
    {"accounts at CAs", "none",
	"SELECT directory, status, account_url, contact, key_version,"
	" key_next_sealed IS NOT NULL AS rollover_begun FROM ca_accounts ORDER BY directory"},
    {"waiting", "nothing", overview_waiting_sql},
    {"CAs", "none used yet",
	"SELECT directory, CASE WHEN open_until IS NULL THEN 'works' WHEN open_until > clock_timestamp() THEN"
	" 'left alone' ELSE 'tried by one' END AS state, failures, date_trunc('second', open_until) AS until,"
	" last_error FROM ca_health ORDER BY directory"},
    {"quota in use", "nothing used", overview_budget_sql},
    {"failures by cause", "none", overview_failures_sql},
    {"renewals by day", "none", overview_renewals_sql},
    {"next renewals", "none",
	"SELECT name, date_trunc('second', renew_at) AS renew_at, date_trunc('second', not_after) AS "
	"not_after"
	" FROM certificates WHERE renew_at <= now() + interval '1 day' ORDER BY renew_at LIMIT 10"},
};

/* What only the operator's own command shows, beside what the API says too. */
static const struct page_part own_parts[] = {
    {"order in progress", "none",
	"SELECT step, lease_owner, date_trunc('second', lease_until) AS lease_until, order_url FROM "
	"issuance_jobs"
	" WHERE name = $1 AND step <> 'none'"},
    {"key of the certificate", "none",
	"SELECT name, version, key_id FROM certificates"
	" WHERE name IN ($1, '*' || substr($1, strpos($1, '.')))"},
    {"lasting proof (dns-persist-01): add one of these TXT records",
	"no account at a CA that says how records name it",
	"SELECT '_validation-persist.' || regexp_replace($1, '^[*][.]', '') AS name,"
	" issuer_names[1] || '; accounturi=' || account_url || CASE WHEN $1 LIKE '*.%' THEN '; "
	"policy=wildcard' "
	"ELSE '' END AS value,"
	" directory FROM ca_accounts WHERE status = 'valid' AND account_url IS NOT NULL"
	" AND issuer_names <> '{}' ORDER BY directory"},
    {"CAs in trouble with it", "none",
	"SELECT directory, cause, count, date_trunc('second', last_at) AS last,"
	" date_trunc('second', retry_at) AS passed_over_until FROM ca_trouble WHERE name = $1 ORDER BY "
	"directory"},
    {"live challenges", "none",
	"SELECT type, date_trunc('second', created_at) AS created_at, date_trunc('second', expires_at) AS "
	"expires_at,"
	" date_trunc('second', seen_at) AS answered_at FROM challenges"
	" WHERE name = $1 AND expires_at > clock_timestamp() ORDER BY id"},
};

static bool print_part(
    struct pg *pg, const char *title, const char *none, const char *sql, const struct pg_param *params)
{
	return command_print_rows(pg, title, none, sql, params, explain_params(sql));
}

static bool print_parts(
    struct pg *pg, const struct page_part *parts, size_t count, const struct pg_param *params)
{
	for (size_t i = 0; i < count; i++)
		if (!print_part(pg, parts[i].title, parts[i].none, parts[i].sql, params))
			return false;
	return true;
}

int command_status(const struct settings *settings, char **words)
{
	(void)words;
	const struct pg_param params[] = {pg_text(NULL)};
	struct pg *pg = command_connect(settings);
	if (!pg)
		return EXIT_FAILED;
	printf("database\n  version=%d\n", SCHEMA_VERSION);
	bool done = print_parts(pg, status_parts, sizeof status_parts / sizeof *status_parts, params);
	pg_free(pg);
	return done ? EXIT_DONE : EXIT_FAILED;
}

static const char *field(const PGresult *rows, const char *name)
{
	return pg_get(rows, 0, PQfnumber(rows, name));
}

static struct explain_facts read_facts(const PGresult *rows)
{
	return (struct explain_facts){.status = field(rows, "status"),
	    .kind = field(rows, "kind"),
	    .suspended_by = field(rows, "suspended_by"),
	    .is_passed_on = strcmp(field(rows, "is_passed_on"), "t") == 0,
	    .was_passed_on = strcmp(field(rows, "was_passed_on"), "t") == 0,
	    .has_certificate = strcmp(field(rows, "has_certificate"), "t") == 0,
	    .expired_at = field(rows, "expired_at"),
	    .job_state = field(rows, "job_state"),
	    .waits_for = field(rows, "waits_for"),
	    .next_try_at = field(rows, "next_try_at"),
	    .last_error = field(rows, "last_error"),
	    .last_actor = field(rows, "last_actor")};
}

/* `edges`: as print_part's of explain_edges_sql. */
static bool print_summary(
    struct pg *pg, const char *name, const struct pg_param *params, const struct pg_param *edges)
{
	PGresult *rows = NULL, *refusals = NULL;
	struct error error;
	struct explain_summary summary;
	enum result result = pg_query(
	    pg, SUMMARY_MS, &rows, &error, explain_facts_sql, params, explain_params(explain_facts_sql));
	if (result == R_OK)
		result = pg_query(pg, SUMMARY_MS, &refusals, &error, explain_refusals_sql, edges, 3);
	if (result == R_OK) {
		struct explain_facts facts = read_facts(rows);
		explain_refusals_read(refusals, &facts);
		explain_summarise(&summary, name, &facts);
		command_print_escaped(summary.text, strlen(summary.text));
		printf("\n  who_acts=%s\n", summary.who);
	} else
		command_fail(error.text);
	PQclear(refusals);
	PQclear(rows);
	return result == R_OK;
}

/* Asks all edges, and waits until those that are alive have answered. asked: when, as the database writes
 * times. */
static bool ask_edges(struct pg *pg, const char *name, char asked[TIME_TEXT])
{
	PGresult *rows = NULL;
	struct error error = {""};
	const struct timespec step = {.tv_nsec = EXPLAIN_EDGES_STEP_MS * 1000000L};
	const struct pg_param params[] = {pg_text(NULL), pg_text(name), pg_text(asked)};
	int64_t until = clock_monotonic_ms() + EXPLAIN_EDGES_MS;
	bool waits = pg_query(pg, SUMMARY_MS, &rows, &error, explain_edges_ask_sql, params, 2) == R_OK;
	if (!waits)
		command_fail(error.text);
	snprintf(asked, TIME_TEXT, "%s", waits ? pg_get(rows, 0, 0) : "");
	while (waits && clock_monotonic_ms() < until) {
		PQclear(rows);
		rows = NULL;
		waits =
		    pg_query(pg, SUMMARY_MS, &rows, &error, explain_edges_missing_sql, params, 3) == R_OK &&
		    pg_get_int(rows, 0, 0) > 0;
		if (waits)
			nanosleep(&step, NULL);
	}
	PQclear(rows);
	return asked[0] != '\0';
}

static bool print_explanation(struct pg *pg, const char *name)
{
	char asked[TIME_TEXT];
	const char *registrable = hostname_registrable(hostname_base(name));
	const struct pg_param params[] = {
	    pg_text(NULL), pg_text(name), pg_text(registrable ? registrable : name)};
	const struct pg_param edges[] = {pg_text(NULL), pg_text(name), pg_text(asked)};
	bool done = ask_edges(pg, name, asked) && print_summary(pg, name, params, edges);
	for (size_t i = 0; i < EXPLAIN_PARTS && done; i++)
		done = print_part(
		    pg, explain_parts[i].title, explain_parts[i].none, explain_parts[i].sql, params);
	return done &&
	       print_part(pg, "last handshakes, by node", "no edge is known", explain_edges_sql, edges) &&
	       print_parts(
		   pg, own_parts, sizeof own_parts / sizeof *own_parts, (struct pg_param[]){pg_text(name)});
}

int command_explain(const struct settings *settings, char **words)
{
	struct hostname name;
	struct pg *pg = NULL;
	int code = command_begin(settings, words[0], &name, &pg);
	if (code != EXIT_DONE)
		return code;
	bool done = print_explanation(pg, name.text);
	char label[DELEGATION_LABEL + 1];
	delegation_label(label, name.text);
	printf("delegated proof (dns-01), where the setting dns-zone is in use: add this record\n"
	       "  " DELEGATION_PREFIX "%s CNAME %s.<dns-zone>\n",
	    hostname_base(name.text), label);
	pg_free(pg);
	return done ? EXIT_DONE : EXIT_FAILED;
}
