/* `postern status` and `postern explain`: the tables as a person wants to read them. Neither needs a key. */
#include <stdio.h>
#include <string.h>

#include "common/cli/command.h"
#include "common/delegation.h"
#include "common/explain/overview.h"
#include "common/hostname.h"
#include "common/schema.h"

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

static const struct page_part explain_parts[] = {
    {"claims", "nobody has claimed this name",
	"SELECT tenant, status, points_here, checks, date_trunc('second', created_at) AS created_at,"
	" date_trunc('second', verified_at) AS verified_at, date_trunc('second', next_check_at) AS "
	"next_check_at"
	" FROM domains WHERE name = $1 ORDER BY id"},
    {"last DNS checks", "none",
	"SELECT date_trunc('second', c.checked_at) AS at, d.tenant, c.checked_by AS by, c.outcome, c.detail, "
	"c.took_ms"
	" FROM domain_checks c JOIN domains d ON d.id = c.domain_id WHERE d.name = $1 ORDER BY c.id DESC "
	"LIMIT 5"},
    {"certificate; of several the first is served", "none stored",
	"SELECT name, source, tenant, issuer, serial, version, key_id, date_trunc('second', not_before) AS "
	"not_before,"
	" date_trunc('second', not_after) AS not_after, date_trunc('second', renew_at) AS renew_at, "
	"directory,"
	" date_trunc('second', revoked_at) AS revoked_at, revoked_reason,"
	" date_trunc('second', removed_at) AS removed_at, site_blocked($1) AS blocked FROM certificates"
	" WHERE name IN ($1, '*' || substr($1, strpos($1, '.'))) AND (tenant IS NULL OR name = $1 OR tenant ="
	" (SELECT d.tenant FROM domains d WHERE d.name = $1 AND d.status IN ('active', 'drifted', "
	"'suspended')))"
	" ORDER BY certificate_rank(name = $1, source, tenant, removed_at, not_after)"},
    {"issuance job", "never asked for",
	"SELECT state, lane, reason, step, date_trunc('second', requested_at) AS requested_at,"
	" date_trunc('second', next_try_at) AS next_try_at, waits_for, attempts, last_cause, last_error, "
	"last_actor AS who_can_mend_it, foreseen AS no_order_was_placed, "
	"lease_owner,"
	" date_trunc('second', lease_until) AS lease_until, order_url FROM issuance_jobs WHERE name = $1"},
    {"failures", "none",
	"SELECT cause, actor AS who_can_mend_it, count, date_trunc('second', last_at) AS last, "
	"date_trunc('second', retry_at) AS "
	"retry, detail"
	" FROM failures WHERE name = $1 ORDER BY last_at DESC"},
    {"lasting proof (dns-persist-01): add one of these TXT records",
	"no account at a CA that says how records name it",
	"SELECT '_validation-persist.' || regexp_replace($1, '^[*][.]', '') AS name,"
	" issuer_names[1] || '; accounturi=' || account_url || CASE WHEN $1 LIKE '*.%' THEN '; "
	"policy=wildcard' "
	"ELSE '' END AS value,"
	" directory FROM ca_accounts WHERE status = 'valid' AND account_url IS NOT NULL"
	" AND issuer_names <> '{}' ORDER BY directory"},
    {"that record as last seen", "never",
	"SELECT standing, date_trunc('second', until) AS until, date_trunc('second', checked_at) AS "
	"checked_at"
	" FROM persist_records WHERE name = $1"},
    {"CAs in trouble with it", "none",
	"SELECT directory, cause, count, date_trunc('second', last_at) AS last,"
	" date_trunc('second', retry_at) AS passed_over_until FROM ca_trouble WHERE name = $1 ORDER BY "
	"directory"},
    {"live challenges", "none",
	"SELECT type, date_trunc('second', created_at) AS created_at, date_trunc('second', expires_at) AS "
	"expires_at,"
	" date_trunc('second', seen_at) AS answered_at FROM challenges"
	" WHERE name = $1 AND expires_at > clock_timestamp() ORDER BY id"},
    {"last events", "none",
	"SELECT date_trunc('second', at) AS at, tenant, event, actor, detail FROM domain_events"
	" WHERE name = $1 ORDER BY id DESC LIMIT 10"},
};

static bool print_parts(struct pg *pg, const struct page_part *parts, size_t count, const char *name)
{
	const struct pg_param params[] = {pg_text(name)};
	for (size_t i = 0; i < count; i++) {
		const struct page_part *part = &parts[i];
		int used = strstr(part->sql, "$1") ? 1 : 0;
		if (!command_print_rows(pg, part->title, part->none, part->sql, params, used))
			return false;
	}
	return true;
}

int command_status(const struct settings *settings, char **words)
{
	(void)words;
	struct pg *pg = command_connect(settings);
	if (!pg)
		return EXIT_FAILED;
	printf("database\n  version=%d\n", SCHEMA_VERSION);
	bool done = print_parts(pg, status_parts, sizeof status_parts / sizeof *status_parts, NULL);
	pg_free(pg);
	return done ? EXIT_DONE : EXIT_FAILED;
}

int command_explain(const struct settings *settings, char **words)
{
	struct hostname name;
	struct pg *pg = NULL;
	int code = command_begin(settings, words[0], &name, &pg);
	if (code != EXIT_DONE)
		return code;
	printf("%s\n", name.text);
	bool done = print_parts(pg, explain_parts, sizeof explain_parts / sizeof *explain_parts, name.text);
	char label[DELEGATION_LABEL + 1];
	delegation_label(label, name.text);
	printf("delegated proof (dns-01), where the setting dns-zone is in use: add this record\n"
	       "  " DELEGATION_PREFIX "%s CNAME %s.<dns-zone>\n",
	    hostname_base(name.text), label);
	pg_free(pg);
	return done ? EXIT_DONE : EXIT_FAILED;
}
