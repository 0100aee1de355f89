#include "acme/renewal/due.h"

enum { QUERY_MS = 10000 };

/* The condition, word for word, is what certificates_due indexes. A blocked name, and one whose job goes on
 * failing, costs a look each quarter of an hour; the spread keeps what was claimed together from coming back
 * together. */
#define DUE_AT "GREATEST(renew_at, renewal_claimed_until)"

/* What was locked stands where it stood: its place spares a second search by name. And few names have
 * anything that may block them, so the question is asked of those alone.
 *
 * As enqueue_issuance(name, 'renewal'), for all of them at once and with one NOTIFY: a thread that claims
 * wakes the next. */
static const char due_sql[] =
    "WITH batch AS MATERIALIZED (SELECT ctid AS place, name, CASE WHEN is_pressing(not_before, not_after) "
    "THEN 'urgent'"
    "   ELSE 'routine' END AS lane FROM certificates WHERE source = 'acme' AND " DUE_AT " <= now()"
    "   ORDER BY " DUE_AT " LIMIT $1::integer FOR UPDATE SKIP LOCKED),"
    " claimed AS (UPDATE certificates c SET renewal_claimed_until ="
    "   clock_timestamp() + interval '15 minutes' * (1 + random() / 3) FROM batch b WHERE c.ctid = b.place"
    "   RETURNING 1),"
    " enqueued AS (INSERT INTO issuance_jobs AS j (name, state, reason, lane)"
    "   SELECT name, 'queued', 'renewal', lane FROM batch AS b WHERE NOT (EXISTS (SELECT 1 FROM domains AS d"
    "     WHERE d.name IN (b.name, '*' || substr(b.name, strpos(b.name, '.'))) AND d.status IN ('suspended', "
    "'released'))"
    "     AND site_blocked(b.name))"
    "   ON CONFLICT (name) DO UPDATE SET state = 'queued', reason = 'renewal', lane = EXCLUDED.lane,"
    "     waits_on = NULL, waits_for = NULL, turn_at = NULL, requested_at = clock_timestamp(), next_try_at = "
    "clock_timestamp()"
    "   WHERE j.state = 'idle' OR ((j.state = 'queued' OR (j.state = 'failed' AND j.waits_on IS NOT NULL))"
    "     AND lane_rank(EXCLUDED.lane) < lane_rank(j.lane))"
    "   RETURNING j.name)"
    " SELECT (SELECT count(*) FROM claimed), count(*),"
    "   CASE WHEN count(*) > 0 THEN pg_notify('postern_job', min(name)) END FROM enqueued";

enum result due_enqueue(struct pg *pg, int *claimed, int *enqueued, struct error *error)
{
	PGresult *rows = NULL;
	*claimed = *enqueued = 0;
	enum result result = pg_run(pg, QUERY_MS, &rows, error, due_sql, pg_int(DUE_BATCH));
	if (result == R_OK) {
		*claimed = (int)pg_get_int(rows, 0, 0);
		*enqueued = (int)pg_get_int(rows, 0, 1);
	}
	PQclear(rows);
	return result;
}

/* The order is for the planner: it takes a third of all rows to be due, and without it would read the table.
 */
enum result due_count(struct pg *pg, int64_t *out, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, QUERY_MS, &rows, error,
	    "SELECT count(*) FROM (SELECT 1 FROM certificates WHERE source = 'acme' AND " DUE_AT
	    " <= now() ORDER BY " DUE_AT " LIMIT 10000) AS due",
	    NULL, 0);
	if (result == R_OK)
		*out = pg_get_int(rows, 0, 0);
	PQclear(rows);
	return result;
}
