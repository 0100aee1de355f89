/* What the tables themselves promise: when a certificate is asked for again, whom a name belongs to, when it
 * is not to be served, and who is told. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/pg/database.h"

#define NAME "shop.example.com"
#define TOKEN "tttttttttttttttttttttttttttttttttttt"

static const char *enqueue(struct pg *pg, const char *reason)
{
	return database_value(pg, "SELECT enqueue_issuance('" NAME "', $1)", reason);
}

static const char *job(struct pg *pg, const char *expression)
{
	char sql[256];
	snprintf(sql, sizeof sql, "SELECT %s FROM issuance_jobs WHERE name = '" NAME "'", expression);
	return database_value(pg, sql);
}

static void set_job(struct pg *pg, const char *assignments)
{
	char sql[512];
	snprintf(sql, sizeof sql, "UPDATE issuance_jobs SET %s WHERE name = '" NAME "'", assignments);
	database_run(pg, sql);
}

static void first_asking_makes_the_row(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	struct pg *edge = database_connect(state, "postern_edge");
	assert_string_equal(enqueue(edge, "first_hit"), "queued");
	assert_string_equal(
	    job(pg, "state || ' ' || reason || ' ' || (next_try_at <= now())"), "queued first_hit true");
	assert_string_equal(enqueue(edge, "first_hit"), "queued");
	assert_string_equal(database_value(pg, "SELECT count(*) FROM issuance_jobs"), "1");
}

static void finished_job_is_queued_again(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	enqueue(pg, "first_hit");
	set_job(pg, "state = 'idle', next_try_at = now() + interval '1 day'");
	assert_string_equal(enqueue(pg, "repair"), "queued");
	assert_string_equal(job(pg, "reason || ' ' || (next_try_at <= clock_timestamp())"), "repair true");
}

static void running_job_is_left_alone(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	enqueue(pg, "first_hit");
	set_job(pg,
	    "state = 'running', fence = 7, lease_owner = 'me', lease_until = now() + interval '1 minute'");
	assert_string_equal(enqueue(pg, "pre_issue"), "running");
	assert_string_equal(job(pg, "state || fence || reason"), "running7first_hit");
}

static void failed_job_waits_for_its_time(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	enqueue(pg, "first_hit");
	set_job(pg, "state = 'failed', attempts = 1, last_cause = 'rate_limited', next_try_at = now() + "
		    "interval '1 hour',"
		    " last_try_at = now() - interval '20 minutes'");
	assert_string_equal(enqueue(pg, "first_hit"), "failed");
	assert_string_equal(
	    enqueue(pg, "pre_issue"), "failed"); /* the CA's no is not the customer's to mend */
	set_job(pg, "next_try_at = now() - interval '1 second'");
	assert_string_equal(enqueue(pg, "first_hit"), "queued");
}

static void proof_of_right_dns_brings_a_retry_forward(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	enqueue(pg, "first_hit");
	const char *const causes[] = {"dns", "connection", "tls", "unauthorized", "caa"};
	for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
		char assignments[256];
		snprintf(assignments, sizeof assignments,
		    "state = 'failed', attempts = 1, last_cause = '%s', last_try_at = now(), next_try_at = "
		    "now() + interval"
		    " '1 hour'",
		    causes[i]);
		set_job(pg, assignments);
		assert_string_equal(enqueue(pg, "first_hit"), "failed");
		assert_string_equal(enqueue(pg, "pre_issue"), "queued");
	}
}

/* The CA counts five failures an hour, one every 12 minutes. */
static void brought_forward_at_most_every_twelve_minutes(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	enqueue(pg, "first_hit");
	set_job(pg,
	    "state = 'failed', attempts = 2, last_cause = 'dns', last_try_at = now() - interval '11 minutes',"
	    " next_try_at = now() + interval '1 hour'");
	assert_string_equal(enqueue(pg, "pre_issue"), "failed");
	set_job(pg, "last_try_at = now() - interval '13 minutes'");
	assert_string_equal(enqueue(pg, "pre_issue"), "queued");
}

static void queued_renewal_becomes_urgent_when_somebody_waits(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	enqueue(pg, "renewal");
	set_job(pg, "next_try_at = now() + interval '1 hour'");
	assert_string_equal(enqueue(pg, "renewal"), "queued");
	assert_string_equal(job(pg, "next_try_at > now()"), "t");
	assert_string_equal(enqueue(pg, "first_hit"), "queued");
	assert_string_equal(job(pg, "reason || ' ' || (next_try_at <= clock_timestamp())"), "first_hit true");
	enqueue(pg, "renewal");
	assert_string_equal(job(pg, "reason"), "first_hit");
}

static void nonsense_is_not_enqueued(void **state)
{
	struct pg *pg = database_connect(state, "postern_edge");
	database_refused(pg, "23514", "SELECT enqueue_issuance('Shop.Example.com', 'first_hit')");
	database_refused(pg, "23514", "SELECT enqueue_issuance('', 'first_hit')");
	database_refused(pg, "23514", "SELECT enqueue_issuance(repeat('a', 254), 'first_hit')");
	database_refused(pg, "23514", "SELECT enqueue_issuance('a.example.com', 'for fun')");
}

static void site_is_blocked_by_its_owners_end_alone(void **state)
{
	static const struct {
		const char *first; /* NULL: no row */
		const char *second;
		const char *blocked;
	} cases[] = {
	    {NULL, NULL, "f"}, /* a foreign ask endpoint's name */
	    {"pending", NULL, "f"},
	    {"active", NULL, "f"},
	    {"drifted", NULL, "f"},
	    {"suspended", NULL, "t"},
	    {"released", NULL, "t"},
	    {"active", "pending", "f"},
	    {"suspended", "pending", "t"},
	    {"released", "pending", "t"},
	    {"released", "active", "f"},
	    {"released", "drifted", "f"},
	    {"released", "suspended", "t"},
	    {"released", "released", "t"},
	};
	struct pg *pg = database_connect(state, NULL);
	struct pg *edge = database_connect(state, "postern_edge");
	database_run(pg, "INSERT INTO tenants VALUES ('other')");
	static const char insert[] =
	    "INSERT INTO domains (tenant, name, status, token) VALUES ($1, '" NAME "', $2, '" TOKEN "')";
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		database_run(pg, "DELETE FROM domains");
		if (cases[i].first)
			database_run(pg, insert, "default", cases[i].first);
		if (cases[i].second)
			database_run(pg, insert, "other", cases[i].second);
		if (strcmp(database_value(edge, "SELECT site_blocked('" NAME "')"), cases[i].blocked) != 0)
			fail_msg("%s and %s: blocked is not %s", cases[i].first ? cases[i].first : "no row",
			    cases[i].second ? cases[i].second : "no other", cases[i].blocked);
	}
}

static void name_has_one_owner_at_most(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	database_run(pg, "INSERT INTO tenants VALUES ('other')");
	database_run(pg, "INSERT INTO domains (tenant, name, token, status) VALUES ('default', '" NAME
			 "', '" TOKEN "', 'active')");
	database_run(
	    pg, "INSERT INTO domains (tenant, name, token) VALUES ('other', '" NAME "', '" TOKEN "')");
	const char *const owning[] = {"active", "drifted", "suspended"};
	for (size_t i = 0; i < 3; i++) {
		char sql[128];
		snprintf(
		    sql, sizeof sql, "UPDATE domains SET status = '%s' WHERE tenant = 'other'", owning[i]);
		database_refused(pg, "23505", sql);
	}
	database_run(pg, "UPDATE domains SET status = 'released' WHERE tenant = 'default'");
	database_run(pg, "UPDATE domains SET status = 'active' WHERE tenant = 'other'");
	/* What was released stays as history beside a new claim of the same tenant. */
	database_run(
	    pg, "INSERT INTO domains (tenant, name, token) VALUES ('default', '" NAME "', '" TOKEN "')");
	database_refused(pg, "23505",
	    "INSERT INTO domains (tenant, name, token) VALUES ('default', '" NAME "', '" TOKEN "')");
}

struct claimant {
	struct pg *pg;
	const char *tenant;
	pthread_barrier_t *start;
	enum result result;
	char sqlstate[6];
};

static void *claim(void *arg)
{
	struct claimant *claimant = arg;
	struct error error;
	pthread_barrier_wait(claimant->start);
	claimant->result = pg_run(claimant->pg, 5000, NULL, &error,
	    "UPDATE domains SET status = 'active' WHERE tenant = $1", pg_text(claimant->tenant));
	snprintf(claimant->sqlstate, sizeof claimant->sqlstate, "%s", pg_sqlstate(claimant->pg));
	return NULL;
}

static void two_tenants_race_and_one_wins(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	pthread_barrier_t start;
	pthread_barrier_init(&start, NULL, 2);
	database_run(pg, "INSERT INTO tenants VALUES ('other')");
	struct claimant claimants[] = {
	    {.pg = database_connect(state, "postern_verifier"), .tenant = "default", .start = &start},
	    {.pg = database_connect(state, "postern_verifier"), .tenant = "other", .start = &start},
	};
	for (int round = 0; round < 50; round++) {
		pthread_t threads[2];
		database_run(pg, "DELETE FROM domains");
		database_run(pg, "INSERT INTO domains (tenant, name, token) SELECT id, '" NAME "', '" TOKEN
				 "' FROM tenants");
		for (size_t i = 0; i < 2; i++)
			pthread_create(&threads[i], NULL, claim, &claimants[i]);
		for (size_t i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal((claimants[0].result == R_OK) + (claimants[1].result == R_OK), 1);
		const struct claimant *loser = &claimants[claimants[0].result == R_OK];
		assert_int_equal(loser->result, R_ERROR);
		assert_string_equal(loser->sqlstate, "23505");
		assert_string_equal(
		    database_value(pg, "SELECT count(*) FROM domains WHERE status = 'active'"), "1");
	}
	pthread_barrier_destroy(&start);
}

static void impossible_rows_are_refused(void **state)
{
	struct pg *pg = database_connect(state, NULL);
	database_refused(pg, "23514",
	    "INSERT INTO domains (tenant, name, token) VALUES ('default', 'Upper.example.com', '" TOKEN "')");
	database_refused(pg, "23514",
	    "INSERT INTO domains (tenant, name, token) VALUES ('default', 'a.example.com', 'short')");
	database_refused(pg, "23514",
	    "INSERT INTO domains (tenant, name, token, status) VALUES ('default', 'a.example.com', '" TOKEN
	    "', 'maybe')");
	database_refused(pg, "23503",
	    "INSERT INTO domains (tenant, name, token) VALUES ('nobody', 'a.example.com', '" TOKEN "')");
	database_refused(pg, "23514",
	    "INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at)"
	    " VALUES ('a.example.com', 'http-01', '../etc/passwd', 'x', 1, now())");
	database_refused(pg, "23514",
	    "INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at)"
	    " VALUES ('a.example.com', 'dns-01', 'abc', 'x', 1, now())");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(first_asking_makes_the_row),
	    database_test(finished_job_is_queued_again),
	    database_test(running_job_is_left_alone),
	    database_test(failed_job_waits_for_its_time),
	    database_test(proof_of_right_dns_brings_a_retry_forward),
	    database_test(brought_forward_at_most_every_twelve_minutes),
	    database_test(queued_renewal_becomes_urgent_when_somebody_waits),
	    database_test(nonsense_is_not_enqueued),
	    database_test(site_is_blocked_by_its_owners_end_alone),
	    database_test(name_has_one_owner_at_most),
	    database_test(two_tenants_race_and_one_wins),
	    database_test(impossible_rows_are_refused),
	};
	return cmocka_run_group_tests_name("issuance", tests, NULL, NULL);
}
