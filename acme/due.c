#include "acme/due.h"

enum { QUERY_MS = 10000 };

/* The condition, word for word, is what certificates_due indexes. A blocked name, and one whose job goes on
 * failing, costs a look each quarter of an hour; the spread keeps what was claimed together from coming back
 * together. */
#define DUE_AT "GREATEST(renew_at, renewal_claimed_until)"

enum result due_enqueue(struct pg *pg, int *claimed, int *enqueued, struct error *error)
{
	PGresult *rows = NULL;
	*claimed = *enqueued = 0;
	enum result result = pg_run(pg, QUERY_MS, &rows, error,
	    "WITH batch AS MATERIALIZED (SELECT name FROM certificates WHERE source = 'acme' AND " DUE_AT
	    " <= now()"
	    "   ORDER BY " DUE_AT " LIMIT $1::integer FOR UPDATE SKIP LOCKED),"
	    " claimed AS (UPDATE certificates c SET renewal_claimed_until ="
	    "   clock_timestamp() + interval '15 minutes' * (1 + random() / 3) FROM batch b WHERE c.name = "
	    "b.name"
	    "   RETURNING c.name),"
	    " wanted AS MATERIALIZED (SELECT b.name FROM batch b WHERE NOT site_blocked(b.name)),"
	    " enqueued AS MATERIALIZED (SELECT enqueue_issuance(name, 'renewal') AS state FROM wanted)"
	    " SELECT (SELECT count(*) FROM claimed), (SELECT count(*) FROM enqueued WHERE state = 'queued')",
	    pg_int(DUE_BATCH));
	if (result == R_OK) {
		*claimed = (int)pg_get_int(rows, 0, 0);
		*enqueued = (int)pg_get_int(rows, 0, 1);
	}
	PQclear(rows);
	return result;
}

enum result due_count(struct pg *pg, int64_t *out, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, QUERY_MS, &rows, error,
	    "SELECT count(*) FROM (SELECT 1 FROM certificates WHERE source = 'acme' AND " DUE_AT
	    " <= now() LIMIT 10000) AS due",
	    NULL, 0);
	if (result == R_OK)
		*out = pg_get_int(rows, 0, 0);
	PQclear(rows);
	return result;
}
