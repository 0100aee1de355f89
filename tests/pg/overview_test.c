/* What the operator looks at first says what is in the tables, as the verifier's role sees them, and reads a
 * bounded number of rows however many there are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/explain/overview.h"
#include "tests/pg/database.h"

#define ROLE "postern_verifier"
#define DIRECTORY "https://ca.test/dir"

/* The rows as lines of values separated by spaces; NULL is "-". */
static const char *look_as(struct pg *pg, const char *sql, const char *tenant)
{
	static char text[8192];
	struct error error = {""};
	PGresult *rows = NULL;
	size_t used = 0;
	if (pg_run(pg, 10000, &rows, &error, sql, pg_text(tenant)) != R_OK)
		fail_msg("%s: %s", sql, error.text);
	text[0] = '\0';
	for (int row = 0; row < PQntuples(rows); row++)
		for (int column = 0; column < PQnfields(rows); column++) {
			const char *value = pg_get(rows, row, column);
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", value ? value : "-",
			    column + 1 < PQnfields(rows) ? " " : "\n");
		}
	PQclear(rows);
	return text;
}

static const char *look(struct pg *pg, const char *sql)
{
	return look_as(pg, sql, NULL);
}

static void domains_are_counted_by_status(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);

	assert_string_equal(
	    look(pg, overview_domains_sql), "pending 0\nactive 0\ndrifted 0\nsuspended 0\nreleased 0\n");
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) SELECT 'default', 'n' || i || '.test',"
	    " CASE WHEN i < 4 THEN 'active' ELSE 'pending' END, repeat('t', 32) FROM"
	    " generate_series(1, 5) i");
	assert_string_equal(
	    look(pg, overview_domains_sql), "pending 2\nactive 3\ndrifted 0\nsuspended 0\nreleased 0\n");
}

static void failures_come_with_the_names_that_failed_last(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);

	assert_string_equal(look(pg, overview_failures_sql), "");
	database_run(admin,
	    "INSERT INTO failures (name, cause, actor, last_at, retry_at, detail) SELECT 'n' || i || '.test',"
	    " 'dns', 'customer', '2026-01-01Z'::timestamptz + i * interval '1 s', now(), '' FROM"
	    " generate_series(1, 7) i");
	database_run(admin, "INSERT INTO failures (name, cause, actor, last_at, retry_at, detail) VALUES"
			    " ('a.test', 'ca', 'ca', '2026-01-02Z', now(), ''), ('b.test', 'dns', 'operator',"
			    " '2026-01-03Z', now(), '')");
	assert_string_equal(look(pg, overview_failures_sql),
	    "dns customer 7 [\"n7.test\",\"n6.test\",\"n5.test\",\"n4.test\",\"n3.test\"] "
	    "2026-01-01T00:00:07Z\n"
	    "ca ca 1 [\"a.test\"] 2026-01-02T00:00:00Z\n"
	    "dns operator 1 [\"b.test\"] 2026-01-03T00:00:00Z\n");
}

static const char *const buckets[] = {
    "INSERT INTO ca_accounts (directory) VALUES ('" DIRECTORY "')",
    "INSERT INTO ca_ceilings VALUES ('" DIRECTORY "', 'orders', 300, 36), ('" DIRECTORY
    "', 'exact', 5, 120960)",
    /* Ten minutes ago 200 were left, and 16 have come back since. */
    "INSERT INTO ca_budget (directory, ceiling, key, tokens, counted_at, full_at) VALUES"
    " ('" DIRECTORY "', 'orders', '', 200, now() - interval '600 s', now() + interval '1 h'),"
    " ('" DIRECTORY "', 'exact', 'a.test', 2.5, now(), now() + interval '1 d'),"
    " ('" DIRECTORY "', 'exact', 'full.test', 5, now() - interval '9 d', now() - interval '1 d'),"
    " ('https://other.test', 'domain', 'b.test', 3, now(), now() + interval '2 d')",
    "INSERT INTO ca_budget (directory, ceiling, key, tokens, counted_at, blocked_until, full_at) VALUES"
    " ('" DIRECTORY
    "', 'domain', 'c.test', 1, now() + interval '1 h', now() + interval '1 h', now() + interval '3 d')",
};

static void budget_says_what_is_left_now(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);

	for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++)
		database_run(admin, buckets[i]);
	char sql[4096];
	snprintf(sql, sizeof sql,
	    "SELECT ceiling, key, \"left\", capacity, closed_until IS NOT NULL FROM (%s) AS o",
	    overview_budget_sql);
	assert_string_equal(look(pg, sql), "orders - 216 300 f\ndomain c.test 0 - t\nexact a.test 2 5 f\n"
					   "domain b.test 3 - f\n");
}

static void waiting_jobs_are_told_apart_by_lane_and_cause(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);

	database_run(admin,
	    "INSERT INTO issuance_jobs (name, state, reason, lane, waits_on, next_try_at) VALUES"
	    " ('a.test', 'queued', 'first_hit', 'new', NULL, '2026-01-01Z'),"
	    " ('b.test', 'failed', 'first_hit', 'new', 'budget', '2026-01-02Z'),"
	    " ('c.test', 'failed', 'first_hit', 'new', 'budget', '2026-01-03Z'),"
	    " ('d.test', 'failed', 'repair', 'urgent', 'ca', '2026-01-04Z'),"
	    " ('e.test', 'failed', 'renewal', 'routine', NULL, '2026-01-05Z'),"
	    " ('f.test', 'idle', 'renewal', 'routine', NULL, '2026-01-05Z')");
	assert_string_equal(look(pg, overview_waiting_sql),
	    "urgent ca 1 2026-01-04T00:00:00Z 2026-01-04T00:00:00Z\n"
	    "new budget 2 2026-01-02T00:00:00Z 2026-01-03T00:00:00Z\n"
	    "new issuer 1 2026-01-01T00:00:00Z 2026-01-01T00:00:00Z\n");
}

static void renewals_are_those_of_a_week_with_the_overdue_today(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	char expected[512] = "", line[64];
	size_t used = 0;

	database_run(admin,
	    "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial,"
	    " directory, not_before, not_after, renew_at, source) SELECT 'n' || i || '.test', 1, '', '',"
	    " '', '', '', '', now(), now(), date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE"
	    " 'UTC' + interval '12 h' + (i - 2) * interval '24 h', CASE WHEN i = 4 THEN 'upload' ELSE"
	    " 'acme' END FROM generate_series(0, 12) i");
	for (int day = 0; day < 7; day++) {
		snprintf(line, sizeof line, "SELECT (now() AT TIME ZONE 'UTC')::date + %d", day);
		used += (size_t)snprintf(expected + used, sizeof expected - used, "%s %d\n",
		    database_value(admin, line),
		    day == 0   ? 3
		    : day == 2 ? 0
			       : 1);
	}
	database_run(pg, "SET TIME ZONE 'America/New_York'");
	assert_string_equal(look(pg, overview_renewals_sql), expected);
}

static void tenant_gets_nothing(void **state)
{
	static const char *const all[] = {overview_domains_sql, overview_failures_sql, overview_budget_sql,
	    overview_waiting_sql, overview_renewals_sql, overview_nodes_sql};
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);

	for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++)
		database_run(admin, buckets[i]);
	database_run(admin,
	    "INSERT INTO failures (name, cause, retry_at, detail) VALUES ('a.test', 'dns', now(), '')");
	database_run(admin,
	    "INSERT INTO issuance_jobs (name, state, reason) VALUES ('a.test', 'queued', 'first_hit')");
	database_run(admin, "SELECT node_beat('edge@one', 'edge', 'one', '0.1', 0)");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		assert_string_not_equal(look(pg, all[i]), "");
		assert_string_equal(look_as(pg, all[i], "default"), "");
	}
}

/* POSTERN_ROWS=1000000 takes as many, and says how long each statement takes. */
static const char *rows_wanted(void)
{
	const char *rows = getenv("POSTERN_ROWS");
	return rows ? rows : "44000";
}

#define TODAY "date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"

static const char *const many[] = {
    "SET session_replication_role = replica", /* no NOTIFY for each */
    "INSERT INTO domains (tenant, name, status, token) SELECT 'default', 'n' || i || '.test', CASE WHEN i % "
    "4 = 0 THEN"
    " 'pending' WHEN i % 1000 = 1 THEN 'drifted' ELSE 'active' END, repeat('t', 32) FROM generate_series(1, "
    "$1::int) i",
    "INSERT INTO certificates SELECT 'n' || i || '.test', 1, '', '', '', '', '', '', now(), now() + interval "
    "'90 d',"
    " " TODAY " + random() * interval '4 d' FROM generate_series(1, $1::int) i",
    "INSERT INTO issuance_jobs (name, state, reason, lane, waits_on, next_try_at) SELECT 'n' || i || '.test',"
    " CASE i % 3 WHEN 0 THEN 'failed' ELSE 'idle' END, 'renewal', 'reissue', CASE WHEN i % 3 = 0 THEN "
    "'budget' END,"
    " now() + random() * interval '9 d' FROM generate_series(1, $1::int) i",
    "INSERT INTO failures (name, cause, retry_at, detail) SELECT 'n' || i || '.test', 'c' || i % 3, now(), ''"
    " FROM generate_series(1, $1::int) i",
    "INSERT INTO ca_budget (directory, ceiling, key, tokens, counted_at, full_at) SELECT '" DIRECTORY
    "', 'exact',"
    " 'n' || i || '.test', 1, now(), now() + random() * interval '9 d' FROM generate_series(1, $1::int) i",
};

static void fill(struct pg *admin)
{
	struct error error = {""};
	for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
		const struct pg_param params[] = {pg_text(rows_wanted())};
		if (pg_query(admin, 600 * 1000, NULL, &error, many[i], params,
			strstr(many[i], "$1") ? 1 : 0) != R_OK)
			fail_msg("%s", error.text);
	}
	if (pg_query(admin, 600 * 1000, NULL, &error, "VACUUM ANALYZE", NULL, 0) != R_OK)
		fail_msg("%s", error.text);
}

static int64_t value_of(struct pg *pg, const char *sql)
{
	return strtoll(database_value(pg, sql), NULL, 10);
}

#define READ_SQL(what) \
	"SELECT sum(" what \
	") FROM pg_stat_user_tables WHERE relname IN ('domains', 'certificates', 'issuance_jobs'," \
	" 'failures', 'ca_budget')"

static void about(int64_t got, int64_t wanted)
{
	if (got < wanted * 9 / 10 || got > wanted * 11 / 10)
		fail_msg("%ld is not about %ld", (long)got, (long)wanted);
}

static void what_is_many_is_reckoned(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, ROLE);
	static const char *const all[] = {overview_domains_sql, overview_failures_sql, overview_budget_sql,
	    overview_waiting_sql, overview_renewals_sql};
	int64_t rows = strtoll(rows_wanted(), NULL, 10);

	fill(admin);
	database_run(admin, "SELECT pg_stat_force_next_flush()");
	int64_t scanned = value_of(admin, READ_SQL("seq_tup_read"));
	int64_t entries =
	    value_of(admin, "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN"
			    " ('domains', 'certificates', 'issuance_jobs', 'failures', 'ca_budget')");
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		int64_t began = clock_monotonic_us();
		look(pg, all[i]);
		if (getenv("POSTERN_ROWS"))
			print_message("%ld us: %.60s\n", (long)(clock_monotonic_us() - began), all[i]);
	}
	database_run(pg, "SELECT pg_stat_force_next_flush()");
	if (value_of(admin, READ_SQL("seq_tup_read")) != scanned)
		fail_msg("%ld rows were read without an index",
		    (long)(value_of(admin, READ_SQL("seq_tup_read")) - scanned));
	/* Two statuses, four days, one lane and three causes reach the most that is counted. */
	int64_t read =
	    value_of(admin, "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN"
			    " ('domains', 'certificates', 'issuance_jobs', 'failures', 'ca_budget')") -
	    entries;
	if (read > 11 * 10001)
		fail_msg("%ld entries of indexes were read", (long)read);

	about(value_of(pg, "SELECT count_about('domains', 'status = ''pending''')"), rows / 4);
	about(value_of(pg,
		  "SELECT count_about('certificates', format('source = ''acme'' AND renew_at < %L', " TODAY
		  " + interval '48 h'))"),
	    rows / 2);
	assert_int_equal(value_of(pg, "SELECT count_about('domains', 'status = ''drifted''')"), rows / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(domains_are_counted_by_status),
	    database_test(failures_come_with_the_names_that_failed_last),
	    database_test(budget_says_what_is_left_now),
	    database_test(waiting_jobs_are_told_apart_by_lane_and_cause),
	    database_test(renewals_are_those_of_a_week_with_the_overdue_today),
	    database_test(tenant_gets_nothing),
	    database_test(what_is_many_is_reckoned),
	};
	return cmocka_run_group_tests_name("overview", tests, NULL, NULL);
}
