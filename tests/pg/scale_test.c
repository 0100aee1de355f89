/* What the issuers ask again and again never reads a table from its beginning to its end, however many rows
 * there are: PostgreSQL's own counters say so. */
#include <stdlib.h>

#include "acme/proof/challenge_set.h"
#include "acme/queue/budget.h"
#include "acme/queue/job.h"
#include "acme/renewal/due.h"
#include "acme/renewal/reissue.h"
#include "tests/pg/database.h"

static struct error error;

/* Nothing is due; done jobs keep their lane, and a third of the names wait or have failed. */
static const char *const rows[] = {
    "SET session_replication_role = replica", /* no NOTIFY for each */
    "INSERT INTO certificates SELECT 'n' || i || '.test', 1, '', '', '', '', '', '', now(), now() + interval "
    "'90 d',"
    " now() + interval '1 h' + random() * interval '9 d' FROM generate_series(1, 100000) i",
    "INSERT INTO issuance_jobs (name, state, reason, lane, attempts, next_try_at) SELECT 'n' || i || '.test',"
    " CASE i % 3 WHEN 0 THEN 'failed' ELSE 'idle' END, 'renewal', CASE WHEN i % 3 > 0 THEN 'reissue' ELSE "
    "'routine'"
    " END, i % 3, now() + interval '1 h' + random() * interval '9 d' FROM generate_series(1, 100000) i",
    "INSERT INTO ca_budget (directory, ceiling, key, tokens, counted_at, full_at) SELECT "
    "'https://ca.test/dir',"
    " 'exact', 'n' || i || '.test', 1, now(), now() + interval '1 h' + random() * interval '9 d' FROM "
    "generate_series(1, 20000) i",
    "INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at) SELECT 'n' || i || "
    "'.test',"
    " 'http-01', repeat('a', 22) || i, repeat('a', 22) || i || '.x', 1, now() + interval '1 h' + random() * "
    "interval '9 d'"
    " FROM generate_series(1, 20000) i",
    "INSERT INTO reissues (selector, reason) VALUES ('all', 'drill')",
    "ANALYZE",
};

static int64_t scanned(struct pg *admin, const char *table)
{
	return strtoll(
	    database_value(admin, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = $1", table),
	    NULL, 10);
}

static void no_statement_of_upkeep_or_claim_scans_a_table(void **state)
{
	static const char *const tables[] = {"certificates", "issuance_jobs", "ca_budget", "challenges"};
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	int64_t before[4];
	int64_t count = 0;
	int claimed = 0;
	int enqueued = 0;
	bool more = false;
	struct job job;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		database_run(admin, rows[i]);
	database_run(admin, "SELECT pg_stat_force_next_flush()");
	for (size_t i = 0; i < 4; i++)
		before[i] = scanned(admin, tables[i]);

	assert_int_equal(due_count(pg, &count, &error), R_OK);
	assert_int_equal(due_enqueue(pg, &claimed, &enqueued, &error), R_OK);
	assert_int_equal(job_count_queued(pg, &count, &error), R_OK);
	assert_int_equal(job_claim(pg, 60000, JOB_BY_LANE, &job, &error), R_NONE);
	assert_int_equal(job_claim(pg, 60000, JOB_OLDEST, &job, &error), R_NONE);
	assert_int_equal(budget_sweep(pg, &error), R_OK);
	assert_int_equal(challenge_sweep(pg, &error), R_OK);
	assert_int_equal(reissue_step(pg, &more, &error), R_OK);

	database_run(pg, "SELECT pg_stat_force_next_flush()");
	for (size_t i = 0; i < 4; i++)
		if (scanned(admin, tables[i]) != before[i])
			fail_msg("%ld rows of %s were read without an index",
			    (long)(scanned(admin, tables[i]) - before[i]), tables[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(no_statement_of_upkeep_or_claim_scans_a_table),
	};
	return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
