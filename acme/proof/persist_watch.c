#include "acme/proof/persist_watch.h"

#include <string.h>

#include "acme/proof/dns_proof.h"
#include "acme/queue/job.h"
#include "common/base/clock.h"
#include "common/daemon/metrics.h"
#include "common/log/log.h"

static const char *standing_word(const struct persist_record *record)
{
	switch (record->standing) {
	case PERSIST_GOOD:
		return record->until != 0 && record->until < clock_wall_ms() / 1000 + PERSIST_ENDING_S
			   ? "ending"
			   : "good";
	case PERSIST_EXPIRED: return "expired";
	case PERSIST_FOREIGN: return "foreign";
	default: return "gone";
	}
}

static void warn(const char *name, const char *standing)
{
	log_warn("a dns-persist-01 record needs the customer's care", log_str("name", name),
	    log_str("standing", standing));
}

enum result persist_watch_note(struct pg *pg, const char *name, const char *account_url,
    const struct persist_record *record, struct error *error)
{
	static const char add[] =
	    "INSERT INTO persist_records AS p (name, account_url, standing, until)"
	    " VALUES ($1, $2, $3, to_timestamp(nullif($4::bigint, 0)))"
	    " ON CONFLICT (name) DO UPDATE SET account_url = EXCLUDED.account_url, standing = "
	    "EXCLUDED.standing,"
	    " until = EXCLUDED.until, checked_at = now(), next_check_at = now() + interval '1 day'"
	    " * (0.9 + 0.2 * random())";
	static const char change[] =
	    "UPDATE persist_records SET standing = $3, until = to_timestamp(nullif($4::bigint, 0)),"
	    " checked_at = now(), next_check_at = now() + interval '1 day' * (0.9 + 0.2 * random())"
	    " WHERE name = $1 AND account_url = $2";
	if (record->standing == PERSIST_UNKNOWN)
		return R_OK;
	PGresult *rows = NULL;
	const char *standing = standing_word(record);
	enum result result =
	    pg_run(pg, JOB_QUERY_MS, &rows, error, record->standing == PERSIST_GOOD ? add : change,
		pg_text(name), pg_text(account_url), pg_text(standing), pg_int(record->until));
	bool was_known = result == R_OK && strcmp(PQcmdTuples(rows), "1") == 0;
	PQclear(rows);
	if (was_known && strcmp(standing, "good") != 0)
		warn(name, standing);
	return result;
}

static enum result look(
    struct pg *pg, struct lookup *lookup, const char *name, const char *account_url, struct error *error)
{
	struct persist_record record = dns_proof_look_persist(lookup, name, NULL, account_url);
	return persist_watch_note(pg, name, account_url, &record, error);
}

/* Claimed by putting the next look an hour off: who dies, or finds DNS silent, looks again then. */
enum result persist_watch_step(struct pg *pg, struct lookup *lookup, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_run(pg, JOB_QUERY_MS, &rows, error,
	    "UPDATE persist_records SET next_check_at = now() + interval '1 hour' WHERE name IN"
	    " (SELECT name FROM persist_records WHERE next_check_at <= now() ORDER BY next_check_at"
	    "  LIMIT $1::bigint FOR UPDATE SKIP LOCKED) RETURNING name, account_url",
	    pg_int(PERSIST_WATCH_BATCH));
	for (int row = 0; result == R_OK && row < PQntuples(rows); row++)
		result = look(pg, lookup, pg_get(rows, row, 0), pg_get(rows, row, 1), error);
	PQclear(rows);
	return result;
}

enum result persist_watch_show(struct pg *pg, struct error *error)
{
	PGresult *rows = NULL;
	enum result result = pg_query(pg, JOB_QUERY_MS, &rows, error,
	    "SELECT count(*) FROM (SELECT 1 FROM persist_records WHERE standing <> 'good' LIMIT 10000) AS "
	    "few",
	    NULL, 0);
	if (result == R_OK)
		metric_set(
		    metrics_gauge("postern_acme_persist_records_in_trouble", NULL,
			"dns-persist-01 records that are gone, changed, ended or end within 30 days, up to "
			"10,000."),
		    pg_get_int(rows, 0, 0));
	PQclear(rows);
	return result;
}
