/* Which certificates a tick of renewals takes, as the role postern_acme. */
#include "acme/renewal/due.h"

#include <stdlib.h>
#include <string.h>

#include "tests/pg/database.h"

static struct error error;

static void add_certificate(struct pg *admin, const char *who, const char *renew_at)
{
	database_run(admin,
	    "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
	    "directory,"
	    " not_before, not_after, renew_at) VALUES ($1, 1, '', '', '', '', '', '', now() - interval '60 "
	    "d',"
	    " now() + interval '30 d', now() + $2::interval)",
	    who, renew_at);
}

static void add_domain(struct pg *admin, const char *who, const char *status)
{
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) VALUES ('default', $1, $2, repeat('t', 32))",
	    who, status);
}

static int enqueue(struct pg *pg, int *claimed)
{
	int enqueued = 0;
	if (due_enqueue(pg, claimed, &enqueued, &error) != R_OK)
		fail_msg("%s", error.text);
	return enqueued;
}

static void a_batch_takes_what_is_due_idle_and_not_blocked(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	int claimed = 0;
	add_certificate(admin, "due.test", "-1 h");
	add_certificate(admin, "later.test", "1 h");
	add_certificate(admin, "blocked.test", "-2 h");
	add_certificate(admin, "failed.test", "-3 h");
	add_certificate(admin, "uploaded.test", "-3 h");
	database_run(admin, "UPDATE certificates SET source = 'upload' WHERE name = 'uploaded.test'");
	add_domain(admin, "blocked.test", "suspended");
	database_run(pg, "SELECT enqueue_issuance('failed.test', 'renewal')");
	database_run(
	    admin, "UPDATE issuance_jobs SET state = 'failed', next_try_at = now() + interval '1 h'");
	assert_int_equal(enqueue(pg, &claimed), 1);
	assert_int_equal(claimed, 3);
	assert_string_equal(
	    database_value(admin, "SELECT name || ' ' || lane FROM issuance_jobs WHERE state = 'queued'"),
	    "due.test routine");
	assert_int_equal(enqueue(pg, &claimed), 0);
	assert_int_equal(claimed, 0);
}

static void what_was_claimed_is_due_again_after_a_quarter_of_an_hour(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	int claimed = 0;
	add_certificate(admin, "due.test", "-1 h");
	enqueue(pg, &claimed);
	assert_string_equal(
	    database_value(admin, "SELECT renewal_claimed_until BETWEEN now() + interval '14 min' AND now() +"
				  " interval '21 min' FROM certificates"),
	    "t");
	database_run(admin, "UPDATE certificates SET renewal_claimed_until = now() - interval '1 s'");
	enqueue(pg, &claimed);
	assert_int_equal(claimed, 1);
}

static void two_nodes_share_what_is_due(void **state)
{
	struct pg *one = database_connect(state, "postern_acme");
	struct pg *two = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	int claimed = 0;
	for (int i = 0; i < 3; i++)
		add_certificate(admin, (const char *[]){"a.test", "b.test", "c.test"}[i], "-1 h");
	database_run(one, "BEGIN");
	database_run(one, "SELECT 1 FROM certificates WHERE name = 'b.test' FOR UPDATE");
	assert_int_equal(enqueue(two, &claimed), 2);
	database_run(one, "ROLLBACK");
	assert_int_equal(enqueue(two, &claimed), 1);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "3");
}

static void thousands_of_blocked_names_do_not_hide_one_that_is_due(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	int claimed = DUE_BATCH;
	int enqueued = 0;
	database_run(admin,
	    "INSERT INTO certificates SELECT 'n' || i || '.test', 1, '', '', '', '', '', '', now(), now(),"
	    " now() - interval '1 d' FROM generate_series(1, 2000) i");
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) SELECT 'default', name, 'suspended',"
	    " repeat('t', 32) FROM certificates");
	add_certificate(admin, "due.test", "-1 h");
	for (int batch = 0; batch < 10 && claimed == DUE_BATCH; batch++)
		enqueued += enqueue(pg, &claimed);
	assert_int_equal(enqueued, 1);
	assert_int_equal(claimed, 2001 % DUE_BATCH);
}

/* The edges hear of a new certificate, not of a claim. */
static void a_claim_says_nothing_to_the_edges(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	int claimed = 0;
	add_certificate(admin, "due.test", "-1 h");
	database_run(admin, "LISTEN postern_site");
	enqueue(admin, &claimed);
	database_run(admin, "UPDATE certificates SET key_id = 'other', key_sealed = '\\x01'");
	assert_string_equal(
	    database_value(admin, "SELECT tgname FROM pg_trigger WHERE tgrelid ="
				  " 'certificates'::regclass AND tgname = 'certificates_notify'"
				  " AND tgqual IS NOT NULL"),
	    "certificates_notify");
}

static void the_index_is_what_finds_them(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	database_run(admin, "INSERT INTO certificates SELECT 'n' || i || '.test', 1, '', '', '', '', '', '', "
			    "now(), now() + interval"
			    " '90 d', now() + i * interval '1 min' FROM generate_series(1, 20000) i");
	database_run(admin, "ANALYZE certificates");
	database_run(admin, "CREATE TEMP TABLE plan (line text)");
	database_run(admin,
	    "DO $$ DECLARE l text; BEGIN FOR l IN EXPLAIN SELECT name FROM certificates WHERE source ="
	    " 'acme' AND GREATEST(renew_at, renewal_claimed_until) <= now() ORDER BY GREATEST(renew_at,"
	    " renewal_claimed_until) LIMIT 500 FOR UPDATE SKIP LOCKED LOOP INSERT INTO plan VALUES (l);"
	    " END LOOP; END $$");
	assert_string_equal(
	    database_value(
		admin, "SELECT count(*) > 0 FROM plan WHERE line LIKE '%Index Scan using certificates_due%'"),
	    "t");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(a_batch_takes_what_is_due_idle_and_not_blocked),
	    database_test(what_was_claimed_is_due_again_after_a_quarter_of_an_hour),
	    database_test(two_nodes_share_what_is_due),
	    database_test(thousands_of_blocked_names_do_not_hide_one_that_is_due),
	    database_test(a_claim_says_nothing_to_the_edges),
	    database_test(the_index_is_what_finds_them),
	};
	return cmocka_run_group_tests_name("due", tests, NULL, NULL);
}
