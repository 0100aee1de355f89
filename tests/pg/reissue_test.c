/* Campaigns of re-issue, step by step, as the role postern_acme. */
#include "acme/renewal/reissue.h"

#include <stdio.h>
#include <string.h>

#include "tests/pg/database.h"

static struct error error;

static void add_certificates(struct pg *admin, int count)
{
	char text[16];
	snprintf(text, sizeof text, "%d", count);
	database_run(admin,
	    "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial, "
	    "directory,"
	    " not_before, not_after, renew_at, stored_at) SELECT 'n' || lpad(i::text, 5, '0') || '.test', 1, "
	    "'', '',"
	    " '', CASE WHEN i % 2 = 0 THEN 'CN=Even E1' ELSE 'CN=Odd O1' END, '', 'https://ca.test/dir', "
	    "now(), now() +"
	    " interval '90 d', now() + interval '60 d', now() - interval '1 d' FROM generate_series(1, "
	    "$1::int) i",
	    text);
}

static void begin(struct pg *admin, const char *selector, const char *value)
{
	database_run(admin, "INSERT INTO reissues (selector, value, reason) VALUES ($1, $2, 'drill')",
	    selector, value);
}

static bool step(struct pg *pg)
{
	bool more = false;
	if (reissue_step(pg, &more, &error) != R_OK)
		fail_msg("%s", error.text);
	return more;
}

static void finish_jobs(struct pg *admin)
{
	database_run(admin,
	    "UPDATE certificates c SET stored_at = clock_timestamp() FROM issuance_jobs j WHERE"
	    " j.name = c.name AND j.state = 'queued'");
	database_run(admin, "UPDATE issuance_jobs SET state = 'idle'");
}

static const char *campaign(struct pg *admin)
{
	return database_value(admin, "SELECT state || ' ' || seen || ' ' || enqueued FROM reissues");
}

static void it_keeps_a_bounded_number_of_jobs_ahead_and_comes_to_its_end(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	add_certificates(admin, 250);
	begin(admin, "all", "");
	for (int i = 0; i < 3; i++)
		step(pg);
	assert_string_equal(
	    database_value(admin, "SELECT count(*) || lane || reason FROM issuance_jobs GROUP BY lane,"
				  " reason"),
	    "100reissuereissue");
	for (int round = 0; round < 10 && strncmp(campaign(admin), "running", 7) == 0; round++) {
		finish_jobs(admin);
		step(pg);
	}
	assert_string_equal(campaign(admin), "done 250 250");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "250");
	assert_false(step(pg));
}

static void it_takes_what_it_is_about_and_nothing_else(void **state)
{
	static const struct {
		const char *selector;
		const char *value;
		const char *jobs;
	} cases[] = {{"name", "n00007.test", "1"}, {"name", "absent.test", "0"}, {"issuer", "even e", "10"},
	    {"directory", "https://ca.test/dir", "20"}, {"directory", "https://other.test/dir", "0"}};
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	add_certificates(admin, 20);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		database_run(admin, "DELETE FROM reissues");
		database_run(admin, "DELETE FROM issuance_jobs");
		begin(admin, cases[i].selector, cases[i].value);
		while (step(pg)) {
		}
		step(pg);
		if (strcmp(database_value(admin, "SELECT count(*) FROM issuance_jobs"), cases[i].jobs) != 0)
			fail_msg("%s %s: %s", cases[i].selector, cases[i].value, campaign(admin));
		assert_string_equal(database_value(admin, "SELECT state FROM reissues"), "done");
	}
}

static void uploaded_newer_and_blocked_ones_are_passed_over(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	add_certificates(admin, 4);
	database_run(admin, "UPDATE certificates SET source = 'upload' WHERE name = 'n00001.test'");
	database_run(
	    admin, "UPDATE certificates SET stored_at = now() + interval '1 s' WHERE name = 'n00002.test'");
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) VALUES ('default', 'n00003.test',"
	    " 'suspended', repeat('t', 32))");
	begin(admin, "all", "");
	while (step(pg)) {
	}
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(name, ' ') FROM issuance_jobs"), "n00004.test");
}

static void jobs_that_keep_failing_do_not_hold_it_up(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	add_certificates(admin, 150);
	begin(admin, "all", "");
	step(pg);
	database_run(admin,
	    "UPDATE issuance_jobs SET state = 'failed', attempts = 3, next_try_at = now() + interval"
	    " '1 d'");
	step(pg);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "150");
}

static void a_cancelled_one_goes_no_further(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	add_certificates(admin, 5);
	begin(admin, "all", "");
	database_run(admin, "UPDATE reissues SET state = 'cancelled'");
	assert_false(step(pg));
	assert_string_equal(database_value(admin, "SELECT count(*) FROM issuance_jobs"), "0");
}

static void the_same_campaign_cannot_be_made_twice(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	begin(admin, "all", "");
	database_refused(admin, "23505", "INSERT INTO reissues (selector, reason) VALUES ('all', 'drill')");
	database_run(admin, "UPDATE reissues SET state = 'done'");
	database_refused(admin, "23505", "INSERT INTO reissues (selector, reason) VALUES ('all', 'drill')");
	database_run(admin, "INSERT INTO reissues (selector, reason) VALUES ('all', 'the next drill')");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(it_keeps_a_bounded_number_of_jobs_ahead_and_comes_to_its_end),
	    database_test(it_takes_what_it_is_about_and_nothing_else),
	    database_test(uploaded_newer_and_blocked_ones_are_passed_over),
	    database_test(jobs_that_keep_failing_do_not_hold_it_up),
	    database_test(a_cancelled_one_goes_no_further),
	    database_test(the_same_campaign_cannot_be_made_twice),
	};
	return cmocka_run_group_tests_name("reissue", tests, NULL, NULL);
}
