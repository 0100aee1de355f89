#include "acme/renewal/reissue.h"

#include "common/log/log.h"

enum { QUERY_MS = 10000 };

/* Jobs that fail again and again count no longer: they would hold up everybody else. `window`: a stretch of
 * names along the primary key, whatever it holds; of it as many are taken as there is room for, and the walk
 * goes on after the last one taken, or after the stretch where all of it was. Who was enqueued at first and
 * has a new certificate by now is passed over when a step is done twice. */
static const char step_sql[] =
    "WITH campaign AS MATERIALIZED (SELECT * FROM reissues WHERE state = 'running' ORDER BY id LIMIT 1"
    "   FOR UPDATE SKIP LOCKED),"
    " room AS MATERIALIZED (SELECT $1::integer - count(*) AS places FROM (SELECT 1 FROM issuance_jobs"
    "   WHERE lane = 'reissue' AND state IN ('queued', 'failed') AND attempts = 0 ORDER BY next_try_at"
    "   LIMIT $1::integer) AS waiting),"
    " stretch AS MATERIALIZED (SELECT c.name, c.stored_at < p.created_at"
    "   AND reissue_means(p.selector, p.value, c.source, c.name, c.directory, c.issuer) AS matches"
    "   FROM campaign p, room, LATERAL (SELECT name, source, stored_at, directory, issuer FROM certificates"
    "     WHERE name > p.after_name AND (p.selector <> 'name' OR name = p.value)"
    "     ORDER BY name LIMIT $2::integer) AS c"
    "   WHERE room.places > 0),"
    " taken AS MATERIALIZED (SELECT name FROM stretch WHERE matches ORDER BY name"
    "   LIMIT (SELECT greatest(places, 0) FROM room)),"
    " goes_to AS MATERIALIZED (SELECT CASE WHEN (SELECT count(*) FROM taken) = (SELECT places FROM room)"
    "   THEN (SELECT max(name) FROM taken) ELSE (SELECT max(name) FROM stretch) END AS name),"
    " enqueued AS MATERIALIZED (SELECT enqueue_issuance(name, 'reissue') FROM taken WHERE NOT "
    "site_blocked(name))"
    " UPDATE reissues r SET after_name = coalesce(g.name, r.after_name),"
    "   seen = r.seen + (SELECT count(*) FROM stretch s WHERE s.name <= g.name),"
    "   enqueued = r.enqueued + (SELECT count(*) FROM enqueued),"
    "   state = CASE WHEN g.name IS NULL AND room.places > 0 THEN 'done' ELSE r.state END,"
    "   finished_at = CASE WHEN g.name IS NULL AND room.places > 0 THEN clock_timestamp() END"
    " FROM campaign p, goes_to g, room WHERE r.id = p.id"
    " RETURNING r.id, r.state, r.enqueued, g.name IS NOT NULL AND room.places > (SELECT count(*) FROM taken)";

enum result reissue_step(struct pg *pg, bool *more, struct error *error)
{
	PGresult *rows = NULL;
	*more = false;
	enum result result =
	    pg_run(pg, QUERY_MS, &rows, error, step_sql, pg_int(REISSUE_AHEAD), pg_int(REISSUE_STEP));
	if (result == R_OK && PQntuples(rows) == 1) {
		*more = pg_get_bool(rows, 0, 3);
		if (pg_get(rows, 0, 1)[0] == 'd')
			log_info("a campaign of re-issue has enqueued everything",
			    log_str("id", pg_get(rows, 0, 0)), log_str("enqueued", pg_get(rows, 0, 2)));
	}
	PQclear(rows);
	return result;
}
