/* Claims, fences and ends of issuance jobs, and the renewal batch, as the role postern_acme may do them. */
#include "acme/job.h"

#include <stdlib.h>
#include <string.h>

#include "acme/challenge_set.h"
#include "acme/renew.h"
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
	enum result result = job_claim(pg, LEASE_MS, &job, &error);
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
	assert_int_equal(job_claim(pg, LEASE_MS, &job, &error), R_NONE);
	enqueue(database_connect(state, NULL), name, "first_hit");
	database_run(
	    database_connect(state, NULL), "UPDATE issuance_jobs SET next_try_at = now() + interval '1 h'");
	assert_int_equal(job_claim(pg, LEASE_MS, &job, &error), R_NONE);
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
	assert_int_equal(job_claim(second, LEASE_MS, &other, &error), R_NONE);
	job_fini(&job);
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
	assert_int_equal(job_set_ordering(pg, &dead, directory, &error), R_OK);
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
		assert_int_equal(job_set_ordering(pg, &dead, directory, &error), R_LOST);
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
	assert_int_equal(job_set_ordering(pg, &job, directory, &error), R_OK);
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
		assert_int_equal(job_claim(pg, LEASE_MS, &job, &error), R_AGAIN);
		assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "idle");
	}
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

static void a_renewal_batch_takes_what_is_due_idle_and_not_blocked(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct renew_cursor cursor = {.name = ""};
	int enqueued = 0;
	add_certificate(admin, "due.test", "-1 h");
	add_certificate(admin, "later.test", "1 h");
	add_certificate(admin, "blocked.test", "-2 h");
	add_certificate(admin, "failed.test", "-3 h");
	add_domain(admin, "blocked.test", "suspended");
	enqueue(pg, "failed.test", "renewal");
	database_run(
	    admin, "UPDATE issuance_jobs SET state = 'failed', next_try_at = now() + interval '1 h'");
	assert_int_equal(renew_enqueue_due(pg, &cursor, &enqueued, &error), R_OK);
	assert_int_equal(enqueued, 1);
	assert_string_equal(
	    database_value(admin, "SELECT name FROM issuance_jobs WHERE state = 'queued'"), "due.test");
	assert_int_equal(renew_enqueue_due(pg, &cursor, &enqueued, &error), R_OK);
	assert_int_equal(enqueued, 0);
}

static void blocked_names_by_the_thousand_do_not_hide_one_that_is_due(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	struct renew_cursor cursor = {.name = ""};
	int enqueued = 0;
	database_run(admin,
	    "INSERT INTO certificates SELECT 'n' || i || '.test', 1, '', '', '', '', '', '', now(), now(),"
	    " now() - interval '1 d' FROM generate_series(1, 1000) i");
	database_run(admin,
	    "INSERT INTO domains (tenant, name, status, token) SELECT 'default', name, 'suspended',"
	    " repeat('t', 32) FROM certificates");
	add_certificate(admin, "due.test", "-1 h");
	int batches = 0;
	for (; enqueued == 0 && batches < 20; batches++)
		assert_int_equal(renew_enqueue_due(pg, &cursor, &enqueued, &error), R_OK);
	assert_int_equal(batches, 1000 / RENEW_BATCH + 1);
	assert_int_equal(enqueued, 1);
	assert_string_equal(cursor.renew_at, "");
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
	    database_test(people_who_wait_come_before_renewals),
	    database_test(a_dead_owners_job_is_taken_over_where_it_was),
	    database_test(who_lost_the_job_writes_nothing),
	    database_test(holding_prolongs_a_lease_that_is_half_used),
	    database_test(a_failure_is_counted_by_cause_and_waits_longer_each_time),
	    database_test(the_customers_failure_ends_the_order_and_the_cas_does_not),
	    database_test(a_forbidden_name_is_closed_in_the_claim),
	    database_test(a_name_with_a_certificate_is_renewed_whoever_claims_it_next),
	    database_test(a_renewal_batch_takes_what_is_due_idle_and_not_blocked),
	    database_test(blocked_names_by_the_thousand_do_not_hide_one_that_is_due),
	    database_test(a_challenge_lives_on_for_its_grace_and_is_swept_then),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
