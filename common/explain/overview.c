#include "common/explain/overview.h"

#include "common/explain/explain_sql.h"
#include "common/pg/pg.h"

/* The operator alone: whoever asks for a tenant gets no row. */
#define OPERATOR "$1::text IS NULL"

const char overview_domains_sql[] =
    "SELECT s.status, count_about('domains', format('status = %L', s.status)) AS count"
    " FROM unnest(ARRAY['pending', 'active', 'drifted', 'suspended', 'released']) AS s (status)"
    " WHERE " OPERATOR;

/* From one kind to the next by the index: there are few, however many rows. */
const char overview_failures_sql[] =
    "WITH RECURSIVE kinds AS ("
    " (SELECT cause, actor FROM failures WHERE " OPERATOR " ORDER BY cause, actor LIMIT 1)"
    " UNION ALL SELECT n.cause, n.actor FROM kinds k CROSS JOIN LATERAL"
    " (SELECT f.cause, f.actor FROM failures f WHERE (f.cause, f.actor) > (k.cause, k.actor)"
    "  ORDER BY f.cause, f.actor LIMIT 1) n)"
    "SELECT k.cause, k.actor AS who,"
    " count_about('failures', format('cause = %L AND actor = %L', k.cause, k.actor)) AS count,"
    " to_json(ARRAY(SELECT f.name FROM failures f WHERE f.cause = k.cause AND f.actor = k.actor"
    "  ORDER BY f.last_at DESC LIMIT 5)) AS names,"
    " (SELECT " PG_UTC("max(f.last_at)") " FROM failures f WHERE f.cause = k.cause AND f.actor = k.actor)"
					 " AS last_at FROM kinds k ORDER BY count DESC, k.cause, k.actor";

const char overview_budget_sql[] =
    "SELECT b.directory, b.ceiling, nullif(b.key, '') AS key,"
    " " EXPLAIN_LEFT " AS left, c.capacity::bigint AS capacity,"
    " " PG_UTC(
	"nullif(GREATEST(b.blocked_until, now()), now())") " AS closed_until,"
							   " " PG_UTC(
							       "b.full_at") " AS whole_again_at"
									    " FROM (SELECT * FROM (SELECT "
									    "directory, ceiling, key FROM "
									    "ca_budget WHERE full_at > now() "
									    "AND key <> ''"
									    "  ORDER BY full_at DESC LIMIT "
									    "10) AS fullest"
									    "  UNION SELECT directory, "
									    "ceiling, '' FROM ca_accounts "
									    "CROSS JOIN "
									    "unnest(ARRAY['accounts', "
									    "'orders']) AS u (ceiling))"
									    "  AS chosen"
									    " JOIN ca_budget b USING "
									    "(directory, ceiling, key) LEFT "
									    "JOIN ca_ceilings c USING "
									    "(directory, ceiling)"
									    " WHERE " OPERATOR
									    " AND b.full_at > now() ORDER BY "
									    "b.directory, b.key <> '', "
									    "b.full_at DESC";

#define FROM_QUEUED " FROM issuance_jobs WHERE state = 'queued' AND lane = l.lane)"
#define FROM_WAITING " FROM issuance_jobs WHERE waits_on = r.reason AND lane = l.lane)"

const char overview_waiting_sql[] =
    "SELECT l.lane, w.reason AS for, w.jobs, " PG_UTC("w.first_at") " AS first_at, " PG_UTC(
	"w.last_at") " AS last_at"
		     " FROM unnest(ARRAY['urgent', 'new', 'routine', 'reissue']) WITH ORDINALITY AS l (lane, "
		     "rank)"
		     " CROSS JOIN LATERAL (SELECT 'issuer' AS reason,"
		     "  count_about('issuance_jobs', format('state = ''queued'' AND lane = %L', l.lane)) AS "
		     "jobs,"
		     "  (SELECT min(next_try_at)" FROM_QUEUED
		     " AS first_at, (SELECT max(next_try_at)" FROM_QUEUED " AS last_at"
		     "  UNION ALL SELECT r.reason,"
		     "  count_about('issuance_jobs', format('waits_on = %L AND lane = %L', r.reason, "
		     "l.lane)),"
		     "  (SELECT min(next_try_at)" FROM_WAITING ", (SELECT max(next_try_at)" FROM_WAITING
		     "  FROM unnest(ARRAY['budget', 'ca']) AS r (reason)) AS w"
		     " WHERE " OPERATOR " AND w.jobs > 0 ORDER BY l.rank, w.reason";

const char overview_renewals_sql[] =
    "SELECT to_char(d.day AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count_about('certificates',"
    " format('source = ''acme'' AND renew_at >= %L AND renew_at < %L',"
    " CASE WHEN d.place > 0 THEN d.day ELSE '-infinity' END, d.day + interval '24 hours')) AS count"
    " FROM (SELECT g.place, (date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"
    "  + g.place * interval '24 hours' AS day FROM generate_series(0, 6) AS g (place)) AS d WHERE " OPERATOR;

const char overview_nodes_sql[] =
    "SELECT id, role, host, version, " PG_UTC("started_at") " AS started_at, " PG_UTC(
	"seen_at") " AS seen_at,"
		   " node_is_alive(seen_at) AS alive FROM nodes WHERE " OPERATOR
		   " ORDER BY role, id LIMIT 1000";
