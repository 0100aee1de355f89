/* Claims, lanes, fences and ends of issuance jobs, as the role postern_acme may do them. */
#include "acme/queue/job.h"

#include <stdlib.h>
#include <string.h>

#include "acme/proof/challenge_set.h"
#include "tests/pg/database.h"

static const char directory[] = "https://ca.test/dir";
static const char name[] = "shop.brand.test";

enum { LEASE_MS = 60000 };

static struct error error;

static void enqueue(struct pg *admin, const char *who, const char *reason)
{
	database_run(admin, "SELECT enqueue_issuance($1, $2)", who, reason);
}

/* A job that must be there. */
static struct job claim(struct pg *pg)
{
	struct job job;
	enum result result = job_claim(pg, LEASE_MS, JOB_BY_LANE, &job, &error);
	if (result != R_OK)
		fail_msg("no job claimed: %s %s", result_name(result), error.text);
	return job;
}

static void let_lease_run_out(struct pg *admin)
{
	database_run(
	    admin, "UPDATE issuance_jobs SET lease_until = now() - interval '1 s' WHERE state = 'running'");
}

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

static void nothing_due_is_no_job(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct job job;
	assert_int_equal(job_claim(pg, LEASE_MS, JOB_BY_LANE, &job, &error), R_NONE);
	enqueue(database_connect(state, NULL), name, "first_hit");
	database_run(
	    database_connect(state, NULL), "UPDATE issuance_jobs SET next_try_at = now() + interval '1 h'");
	assert_int_equal(job_claim(pg, LEASE_MS, JOB_BY_LANE, &job, &error), R_NONE);
}

static void a_job_is_claimed_by_one(void **state)
{
	struct pg *first = database_connect(state, "postern_acme");
	struct pg *second = database_connect(state, "postern_acme");
	struct job other;
	enqueue(first, name, "first_hit");
	struct job job = claim(first);
	assert_string_equal(job.name, name);
	assert_int_equal(job.step, JOB_NONE);
	assert_true(job.fence > 0);
	assert_int_equal(job_claim(second, LEASE_MS, JOB_BY_LANE, &other, &error), R_NONE);
	job_fini(&job);
}

static void a_claim_tells_whether_there_is_more(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	static const bool more[] = {true, true, false};
	enqueue(pg, "a.test", "first_hit");
	enqueue(pg, "b.test", "renewal");
	struct job dead = claim(pg);
	let_lease_run_out(database_connect(state, NULL));
	enqueue(pg, "c.test", "first_hit");
	for (int i = 0; i < 3; i++) {
		struct job job = claim(pg);
		assert_int_equal(job.is_one_of_many, more[i]);
		job_fini(&job);
	}
	job_fini(&dead);
	/* What is not due yet, or somebody's, is no more. */
	enqueue(pg, "d.test", "first_hit");
	database_run(database_connect(state, NULL), "UPDATE issuance_jobs SET state = 'queued', next_try_at "
						    "= now() + interval '1 h' WHERE name = 'a.test'");
	struct job last = claim(pg);
	assert_string_equal(last.name, "d.test");
	assert_false(last.is_one_of_many);
	job_fini(&last);
	/* A lease that has run out is. */
	enqueue(pg, "e.test", "first_hit");
	database_run(database_connect(state, NULL),
	    "UPDATE issuance_jobs SET lease_until = now() WHERE name = 'b.test'");
	last = claim(pg);
	assert_string_equal(last.name, "b.test");
	assert_true(last.is_one_of_many);
	job_fini(&last);
}

static void people_who_wait_come_before_renewals(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	enqueue(pg, "renewed.test", "renewal");
	enqueue(pg, "awaited.test", "first_hit");
	struct job job = claim(pg);
	assert_string_equal(job.name, "awaited.test");
	job_fini(&job);
	job = claim(pg);
	assert_string_equal(job.name, "renewed.test");
	job_fini(&job);
}

static void a_dead_owners_job_is_taken_over_where_it_was(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	enqueue(pg, name, "first_hit");
	struct job dead = claim(pg);
	assert_int_equal(job_set_ordering(pg, &dead, directory, true, &error), R_OK);
	assert_int_equal(job_set_ordered(pg, &dead, "https://ca.test/order/1", &error), R_OK);
	assert_int_equal(job_set_finalizing(pg, &dead, "sealed", 6, "csr", 3, &error), R_OK);
	let_lease_run_out(database_connect(state, NULL));

	struct job heir = claim(pg);
	assert_true(heir.fence > dead.fence);
	assert_int_equal(heir.step, JOB_FINALIZING);
	assert_string_equal(heir.order_url, "https://ca.test/order/1");
	assert_int_equal(heir.key_sealed_size, 6);
	assert_memory_equal(heir.key_sealed, "sealed", 6);
	assert_int_equal(heir.key_version, dead.fence);
	assert_memory_equal(heir.csr, "csr", 3);
	job_fini(&heir);
	job_fini(&dead);
}

static void who_lost_the_job_writes_nothing(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct acme_failure failure = {.cause = CAUSE_DNS, .detail = "no"};
	const struct acme_challenge challenge = {.type = ACME_HTTP_01, .token = "tok"};
	int64_t row = 0;
	enqueue(pg, name, "first_hit");
	struct job dead = claim(pg);
	let_lease_run_out(admin);

	/* Twice: first nobody has it, then somebody has. */
	struct job heir = {.fence = 0};
	for (int round = 0; round < 2; round++) {
		assert_int_equal(job_hold(pg, &dead, &error), R_LOST);
		assert_int_equal(job_set_ordering(pg, &dead, directory, true, &error), R_LOST);
		assert_int_equal(job_set_ordered(pg, &dead, "https://ca.test/o", &error), R_LOST);
		assert_int_equal(job_set_finalizing(pg, &dead, "k", 1, "c", 1, &error), R_LOST);
		assert_int_equal(job_set_issued(pg, &dead, "https://ca.test/c", &error), R_LOST);
		assert_int_equal(job_forget_order(pg, &dead, &error), R_LOST);
		assert_int_equal(job_close(pg, &dead, &error), R_LOST);
		assert_int_equal(job_fail(pg, &dead, &failure, &error), R_LOST);
		assert_int_equal(challenge_publish(pg, &dead, &challenge, "tok.thumb", &row, &error), R_LOST);
		if (round == 0)
			heir = claim(pg);
	}
	assert_int_equal(job_hold(pg, &heir, &error), R_OK);
	assert_string_equal(database_value(admin, "SELECT step FROM issuance_jobs"), "none");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM failures"), "0");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM challenges"), "0");
	job_fini(&heir);
	job_fini(&dead);
}

static void holding_prolongs_a_lease_that_is_half_used(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	enqueue(pg, name, "first_hit");
	struct job job = claim(pg);
	database_run(admin, "UPDATE issuance_jobs SET lease_until = now() + interval '29 s'");
	assert_int_equal(job_hold(pg, &job, &error), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT lease_until > now() + interval '55 s' FROM issuance_jobs"), "t");
	job_fini(&job);
}

static void an_order_says_at_which_ca_it_is(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	enqueue(pg, name, "first_hit");
	struct job job = claim(pg);
	assert_int_equal(job_set_ordering(pg, &job, "https://other.test/dir", true, &error), R_OK);
	assert_int_equal(job_set_ordered(pg, &job, "https://other.test/order/1", &error), R_OK);
	assert_int_equal(job_release(pg, &job, &error), R_OK);
	job_fini(&job);
	job = claim(pg);
	assert_int_equal(job.step, JOB_ORDERED);
	assert_string_equal(job.directory, "https://other.test/dir");
	assert_string_equal(job.order_url, "https://other.test/order/1");
	job_fini(&job);
}

static void a_failure_is_counted_by_cause_and_waits_longer_each_time(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct acme_failure failure = {.cause = CAUSE_DNS, .detail = "NXDOMAIN"};
	static const int minutes[] = {1, 10, 100, 1440, 1440};
	enqueue(pg, name, "first_hit");
	for (size_t i = 0; i < sizeof minutes / sizeof *minutes; i++) {
		struct job job = claim(pg);
		assert_int_equal(job_fail(pg, &job, &failure, &error), R_OK);
		job_fini(&job);
		double waited =
		    strtod(database_value(admin,
			       "SELECT extract(epoch FROM next_try_at - now()) / 60 FROM issuance_jobs"),
			NULL);
		assert_true(waited > minutes[i] * 0.89 && waited < minutes[i] * 1.11);
		assert_string_equal(database_value(admin,
					"SELECT f.retry_at = j.next_try_at FROM failures f, issuance_jobs j"),
		    "t");
		database_run(admin, "UPDATE issuance_jobs SET next_try_at = now()");
	}
	/* Another cause begins its own ladder. */
	failure.cause = CAUSE_NETWORK;
	struct job job = claim(pg);
	assert_int_equal(job_fail(pg, &job, &failure, &error), R_OK);
	job_fini(&job);
	assert_string_equal(
	    database_value(admin, "SELECT next_try_at < now() + interval '6 s' FROM issuance_jobs"), "t");
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(cause || count, ' ' ORDER BY cause) FROM failures"),
	    "dns5 network1");
	assert_string_equal(database_value(admin, "SELECT attempts FROM issuance_jobs"), "6");
}

static void the_customers_failure_ends_the_order_and_the_cas_does_not(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct acme_failure network = {.cause = CAUSE_NETWORK, .detail = "refused"};
	const struct acme_failure dns = {.cause = CAUSE_DNS, .detail = "NXDOMAIN"};
	enqueue(pg, name, "first_hit");
	struct job job = claim(pg);
	assert_int_equal(job_set_ordering(pg, &job, directory, true, &error), R_OK);
	assert_int_equal(job_set_ordered(pg, &job, "https://ca.test/o", &error), R_OK);
	assert_int_equal(job_fail(pg, &job, &network, &error), R_OK);
	job_fini(&job);
	assert_string_equal(database_value(admin, "SELECT step FROM issuance_jobs"), "ordered");
	database_run(admin, "UPDATE issuance_jobs SET next_try_at = now()");
	job = claim(pg);
	assert_int_equal(job.step, JOB_ORDERED);
	assert_int_equal(job_fail(pg, &job, &dns, &error), R_OK);
	job_fini(&job);
	assert_string_equal(
	    database_value(admin, "SELECT step || coalesce(order_url, '-') FROM issuance_jobs"), "none-");
}

static void a_forbidden_name_is_closed_in_the_claim(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	static const char *const statuses[] = {"pending", "suspended", "released"};
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		struct job job;
		database_run(admin, "DELETE FROM domains");
		add_domain(admin, name, statuses[i]);
		enqueue(pg, name, "first_hit");
		assert_int_equal(job_claim(pg, LEASE_MS, JOB_BY_LANE, &job, &error), R_AGAIN);
		assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "idle");
	}
}

static void a_name_whose_tls_is_passed_on_needs_no_certificate(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct job job;
	add_domain(admin, name, "active");
	add_certificate(admin, name, "-1 h");
	database_run(admin, "UPDATE domains SET options = '{\"passthrough\": \"10.0.0.1:443\"}'");
	enqueue(pg, name, "pre_issue");
	assert_int_equal(job_claim(pg, LEASE_MS, JOB_BY_LANE, &job, &error), R_AGAIN);
	assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "idle");
	database_run(admin, "UPDATE domains SET options = '{}'");
	enqueue(pg, name, "pre_issue");
	job = claim(pg);
	job_fini(&job);
}

static void a_name_with_a_certificate_is_renewed_whoever_claims_it_next(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	add_domain(admin, name, "pending");
	add_certificate(admin, name, "-1 h");
	enqueue(pg, name, "renewal");
	struct job job = claim(pg);
	assert_false(job.has_certificate);
	job_fini(&job);
	database_run(admin, "UPDATE certificates SET renew_at = now() + interval '1 d'");
	let_lease_run_out(admin);
	job = claim(pg);
	assert_true(job.has_certificate);
	job_fini(&job);
}

/* Straight into the table: in which lane, and how long it has waited. */
static void add_job(struct pg *admin, const char *who, const char *lane, const char *age)
{
	database_run(admin,
	    "INSERT INTO issuance_jobs (name, state, reason, lane, next_try_at)"
	    " VALUES ($1, 'queued', 'first_hit', $2, now() - $3::interval)",
	    who, lane, age);
}

static void lanes_are_claimed_in_their_order(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	static const char *const lanes[] = {"urgent", "new", "routine", "reissue"};
	add_job(admin, "reissue.test", "reissue", "4 h");
	add_job(admin, "routine.test", "routine", "3 h");
	add_job(admin, "new.test", "new", "2 h");
	add_job(admin, "urgent.test", "urgent", "1 s");
	for (size_t i = 0; i < 4; i++) {
		struct job job = claim(pg);
		assert_string_equal(job.lane, lanes[i]);
		job_fini(&job);
	}
}

static void a_claim_for_the_oldest_takes_it_from_any_lane(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct job job;
	add_job(admin, "urgent.test", "urgent", "1 s");
	add_job(admin, "reissue.test", "reissue", "4 h");
	assert_int_equal(job_claim(pg, LEASE_MS, JOB_OLDEST, &job, &error), R_OK);
	assert_string_equal(job.name, "reissue.test");
	job_fini(&job);
}

static void a_job_that_is_put_off_keeps_its_step_and_says_why(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct job_wait wait = {.ms = 3600 * 1000, .on = "budget", .text = "the CA's limit"};
	enqueue(pg, name, "first_hit");
	struct job job = claim(pg);
	assert_string_equal(job.turn_at, "");
	assert_int_equal(job_set_ordering(pg, &job, directory, true, &error), R_OK);
	assert_int_equal(job_defer(pg, &job, &wait, &error), R_OK);
	assert_int_equal(job_defer(pg, &job, &wait, &error), R_LOST);
	job_fini(&job);
	assert_string_equal(
	    database_value(admin,
		"SELECT concat_ws(' ', state, step, waits_on, waits_for, attempts,"
		" next_try_at BETWEEN now() + interval '59 min' AND now() + interval '62 min')"
		" FROM issuance_jobs"),
	    "failed ordering budget the CA's limit 0 t");
	assert_string_equal(database_value(admin, "SELECT count(*) FROM failures"), "0");
	/* Asking again hurries nothing. */
	enqueue(pg, name, "first_hit");
	assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "failed");
	database_run(admin, "UPDATE issuance_jobs SET next_try_at = now()");
	job = claim(pg);
	assert_string_not_equal(job.turn_at, "");
	assert_string_equal(database_value(admin, "SELECT waits_on IS NULL FROM issuance_jobs"), "t");
	job_fini(&job);
}

static void a_short_wait_leaves_the_job_queued(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	const struct job_wait wait = {.ms = 2000, .on = "ca", .text = "the CA"};
	enqueue(pg, name, "first_hit");
	struct job job = claim(pg);
	assert_int_equal(job_defer(pg, &job, &wait, &error), R_OK);
	assert_string_equal(
	    database_value(database_connect(state, NULL), "SELECT state FROM issuance_jobs"), "queued");
	job_fini(&job);
}

static void a_renewal_that_waits_is_brought_forward_when_time_runs_out(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct job_wait wait = {.ms = 3600 * 1000, .on = "budget", .text = "the CA's limit"};
	add_certificate(admin, name, "-1 h");
	enqueue(pg, name, "renewal");
	struct job job = claim(pg);
	assert_string_equal(job.lane, "routine");
	assert_int_equal(job_defer(pg, &job, &wait, &error), R_OK);
	job_fini(&job);
	enqueue(pg, name, "renewal");
	assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "failed");
	database_run(admin, "UPDATE certificates SET not_after = now() + interval '5 d'");
	enqueue(pg, name, "renewal");
	job = claim(pg);
	assert_string_equal(job.lane, "urgent");
	job_fini(&job);
}

static void an_uploaded_certificate_is_never_touched(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct job job;
	add_certificate(admin, name, "-1 h");
	database_run(admin, "UPDATE certificates SET source = 'upload'");
	enqueue(pg, name, "renewal");
	assert_int_equal(job_claim(pg, LEASE_MS, JOB_BY_LANE, &job, &error), R_AGAIN);
	enqueue(pg, name, "repair");
	assert_int_equal(job_claim(pg, LEASE_MS, JOB_BY_LANE, &job, &error), R_AGAIN);
	assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "idle");
}

static void a_campaign_wants_a_certificate_that_is_newer_than_it(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	add_certificate(admin, name, "1 d");
	enqueue(pg, name, "reissue");
	struct job job = claim(pg);
	assert_string_equal(job.reason, "reissue");
	assert_false(job.has_certificate);
	job_fini(&job);
	database_run(admin, "UPDATE certificates SET stored_at = clock_timestamp()");
	let_lease_run_out(admin);
	job = claim(pg);
	assert_true(job.has_certificate);
	job_fini(&job);
}

static void a_challenge_lives_on_for_its_grace_and_is_swept_then(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct acme_challenge challenge = {.type = ACME_HTTP_01, .token = "tok"};
	int64_t row = 0;
	int64_t again = 0;
	bool seen = true;
	enqueue(pg, name, "first_hit");
	struct job job = claim(pg);
	assert_int_equal(challenge_publish(pg, &job, &challenge, "tok.a", &row, &error), R_OK);
	assert_int_equal(challenge_is_seen(pg, row, &seen, &error), R_OK);
	assert_false(seen);
	database_run(admin, "UPDATE challenges SET seen_at = now()");
	assert_int_equal(challenge_is_seen(pg, row, &seen, &error), R_OK);
	assert_true(seen);
	/* Resumed by another owner: the same row, unseen. */
	assert_int_equal(challenge_publish(pg, &job, &challenge, "tok.a", &again, &error), R_OK);
	assert_int_equal(again, row);
	assert_int_equal(challenge_is_seen(pg, row, &seen, &error), R_OK);
	assert_false(seen);

	assert_int_equal(challenge_retire(pg, &job, &error), R_OK);
	assert_string_equal(
	    database_value(admin,
		"SELECT expires_at BETWEEN now() + interval '50 s' AND now() + interval '61 s'"
		" FROM challenges"),
	    "t");
	assert_int_equal(challenge_sweep(pg, &error), R_OK);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM challenges"), "1");
	database_run(admin, "UPDATE challenges SET expires_at = now() - interval '1 s'");
	assert_int_equal(challenge_sweep(pg, &error), R_OK);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM challenges"), "0");
	job_fini(&job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(nothing_due_is_no_job),
	    database_test(a_job_is_claimed_by_one),
	    database_test(a_claim_tells_whether_there_is_more),
	    database_test(people_who_wait_come_before_renewals),
	    database_test(a_dead_owners_job_is_taken_over_where_it_was),
	    database_test(who_lost_the_job_writes_nothing),
	    database_test(holding_prolongs_a_lease_that_is_half_used),
	    database_test(an_order_says_at_which_ca_it_is),
	    database_test(a_failure_is_counted_by_cause_and_waits_longer_each_time),
	    database_test(the_customers_failure_ends_the_order_and_the_cas_does_not),
	    database_test(a_forbidden_name_is_closed_in_the_claim),
	    database_test(a_name_with_a_certificate_is_renewed_whoever_claims_it_next),
	    database_test(lanes_are_claimed_in_their_order),
	    database_test(a_claim_for_the_oldest_takes_it_from_any_lane),
	    database_test(a_job_that_is_put_off_keeps_its_step_and_says_why),
	    database_test(a_short_wait_leaves_the_job_queued),
	    database_test(a_renewal_that_waits_is_brought_forward_when_time_runs_out),
	    database_test(a_name_whose_tls_is_passed_on_needs_no_certificate),
	    database_test(an_uploaded_certificate_is_never_touched),
	    database_test(a_campaign_wants_a_certificate_that_is_newer_than_it),
	    database_test(a_challenge_lives_on_for_its_grace_and_is_swept_then),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
