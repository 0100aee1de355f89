#include "common/explain/explain.h"

#include <stdlib.h>
#include <string.h>

#include "common/explain/explain_sql.h"
#include "common/pg/pg.h"

#define OWNED " AND " EXPLAIN_OWNED

const struct explain_part explain_parts[EXPLAIN_PARTS] = {
    {"claims", "claims", "nobody has claimed this name",
	"SELECT tenant, status, kind, suspended_by, points_here, checks, " PG_UTC(
	    "created_at") " AS created_at,"
			  " " PG_UTC("verified_at") " AS verified_at, " PG_UTC(
			      "owner_since") " AS owner_since,"
					     " " PG_UTC("status_changed_at") " AS status_changed_at, " PG_UTC(
						 "next_check_at") " AS next_check_at"
								  " FROM domains WHERE name = $2 AND "
								  "($1::text IS NULL OR tenant = $1) ORDER "
								  "BY id DESC LIMIT 20",
	false},
    {"checks", "last DNS checks", "none",
	"SELECT " PG_UTC(
	    "c.checked_at") " AS at, d.tenant, c.checked_by AS by, c.outcome, c.detail, c.took_ms"
			    " FROM domain_checks c JOIN domains d ON d.id = c.domain_id"
			    " WHERE d.name = $2 AND ($1::text IS NULL OR d.tenant = $1) ORDER BY c.id DESC "
			    "LIMIT 5",
	false},
    {"certificates", "certificates; of several the first is served", "none stored",
	"SELECT c.name, c.source, c.tenant, c.issuer, c.serial, c.version, " PG_UTC(
	    "c.not_before") " AS not_before,"
			    " " PG_UTC("c.not_after") " AS not_after, " PG_UTC(
				"c.renew_at") " AS renew_at, c.directory,"
					      " " PG_UTC(
						  "c.revoked_at") " AS revoked_at, "
								  "c.revoked_reason, " PG_UTC(
								      "c.removed_at") " AS removed_at,"
										      " site_blocked($"
										      "2) AS blocked "
										      "FROM "
										      "certificates c "
										      "WHERE"
										      " " EXPLAIN_SERVES(
											  "c", "$2") OWNED
	" ORDER BY " EXPLAIN_RANK("c", "$2"),
	false},
    {"issuance", "issuance job", "never asked for",
	"SELECT j.state, j.lane, j.reason, " PG_UTC(
	    "j.requested_at") " AS requested_at,"
			      " " PG_UTC(
				  "j.next_try_at") " AS next_try_at, j.waits_on, j.waits_for, j.attempts, "
						   "j.last_cause,"
						   " j.last_error, " PG_UTC(
						       "j.last_try_at") " AS last_try_at, j.last_actor AS "
									"who, j.foreseen"
									" FROM issuance_jobs j WHERE j.name "
									"= $2" OWNED,
	true},
    {"failures", "failures", "none",
	"SELECT f.cause, f.actor AS who, f.count, " PG_UTC(
	    "f.last_at") " AS last_at,"
			 " " PG_UTC(
			     "f.retry_at") " AS retry_at, f.detail FROM failures f WHERE f.name = $2" OWNED
					   " ORDER BY f.last_at DESC",
	false},
    {"budget", "quota used for it", "nothing used",
	"SELECT b.directory, b.ceiling, b.key, " EXPLAIN_LEFT
	" AS left, c.capacity::bigint AS capacity, " PG_UTC(
	    "b.full_at") " AS whole_again_at"
			 " FROM ca_budget b LEFT JOIN ca_ceilings c USING (directory, ceiling)"
			 " WHERE b.directory IN (SELECT directory FROM ca_accounts) AND b.ceiling IN "
			 "('domain', 'exact', 'failures')"
			 " AND b.key IN ($2, $3) AND b.full_at > now() AND ($1::text IS NULL OR b.key = "
			 "$2)" OWNED " ORDER BY b.directory, b.ceiling",
	false},
    {"lasting_proof", "its lasting proof (dns-persist-01) as last seen", "never",
	"SELECT p.standing, " PG_UTC("p.until") " AS until, " PG_UTC(
	    "p.checked_at") " AS checked_at"
			    " FROM persist_records p WHERE p.name = $2" OWNED,
	true},
    {"events", "last events", "none",
	"SELECT " PG_UTC(
	    "at") " AS at, tenant, event, actor, detail FROM domain_events"
		  " WHERE name = $2 AND ($1::text IS NULL OR tenant = $1) ORDER BY id DESC LIMIT 10",
	false},
};

int explain_params(const char *sql)
{
	int most = 0;
	for (const char *at = strchr(sql, '$'); at; at = strchr(at + 1, '$')) {
		int number = atoi(at + 1);
		most = number > most ? number : most;
	}
	return most;
}
