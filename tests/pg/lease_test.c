/* Leases and fences: who slept through a lease can no longer renew, check, release or write. */
#include "common/pg/lease.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/pg/database.h"

#define DIRECTORY "https://ca.example/dir"
#define NAME "shop.example.com"

enum { TTL_MS = 60000 };

/* The database's clock decides, so a test moves the row's time instead of its own. */
static void let_expire(struct pg *admin)
{
	database_run(
	    admin, "UPDATE ca_accounts SET lease_until = clock_timestamp() - interval '1 millisecond'");
	database_run(
	    admin, "UPDATE issuance_jobs SET lease_until = clock_timestamp() - interval '1 millisecond'");
}

static enum result acquire(struct lease *lease, struct pg *pg, const char *owner)
{
	struct error error;
	return lease_acquire(lease, pg, &lease_ca_accounts, DIRECTORY, owner, TTL_MS, &error);
}

static void claim_job(struct lease *lease, struct pg *pg, const char *owner)
{
	database_run(pg, "SELECT enqueue_issuance('" NAME "', 'first_hit')");
	const char *fence = database_value(pg,
	    "UPDATE issuance_jobs SET state = 'running', fence = nextval('fences'), lease_owner = $1,"
	    " lease_until = clock_timestamp() + interval '1 minute' WHERE name = '" NAME "' RETURNING fence",
	    owner);
	lease_adopt(lease, &lease_issuance_jobs, NAME, owner, strtoll(fence, NULL, 10));
}

static void second_process_has_to_wait(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease first;
	struct lease second;
	struct error error;
	assert_int_equal(acquire(&first, pg, "first"), R_OK);
	assert_true(first.fence > 0);
	assert_int_equal(acquire(&second, pg, "second"), R_AGAIN);
	assert_int_equal(second.fence, 0);
	assert_int_equal(acquire(&second, pg, "first"), R_AGAIN); /* its own name is no key to it */
	assert_int_equal(lease_check(&first, pg, &error), R_OK);
	assert_int_equal(lease_release(&first, pg, &error), R_OK);
	assert_int_equal(first.fence, 0);
	assert_int_equal(acquire(&second, pg, "second"), R_OK);
}

static void fence_only_grows(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease lease;
	int64_t last = 0;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(acquire(&lease, pg, "me"), R_OK);
		assert_true(lease.fence > last);
		last = lease.fence;
		let_expire(admin);
	}
}

static void expired_lease_is_lost_even_if_nobody_took_it(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease lease;
	struct error error;
	assert_int_equal(acquire(&lease, pg, "me"), R_OK);
	let_expire(admin);
	assert_int_equal(lease_check(&lease, pg, &error), R_LOST);
	assert_non_null(strstr(error.text, DIRECTORY));
	assert_int_equal(lease_renew(&lease, pg, TTL_MS, &error), R_LOST);
	assert_int_equal(lease_release(&lease, pg, &error), R_LOST);
}

static void renewing_moves_the_end_by_the_databases_clock(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease lease;
	struct error error;
	assert_int_equal(acquire(&lease, pg, "me"), R_OK);
	assert_int_equal(lease_renew(&lease, pg, 600000, &error), R_OK);
	assert_string_equal(database_value(admin, "SELECT lease_until - clock_timestamp() BETWEEN interval "
						  "'9 minutes' AND interval '10 minutes'"
						  " FROM ca_accounts"),
	    "t");
}

/* The process that froze: it wakes after another one has taken over, and nothing it does has an effect. */
static void stale_fence_does_nothing(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease frozen;
	struct lease taker;
	struct error error;
	claim_job(&frozen, pg, "same-owner");
	let_expire(admin);
	claim_job(&taker, pg, "same-owner"); /* the fence alone tells them apart */
	assert_int_equal(lease_check(&frozen, pg, &error), R_LOST);
	assert_int_equal(lease_renew(&frozen, pg, TTL_MS, &error), R_LOST);
	assert_int_equal(lease_release(&frozen, pg, &error), R_LOST);
	assert_int_equal(lease_check(&taker, pg, &error), R_OK);
	assert_string_equal(database_value(admin, "SELECT state FROM issuance_jobs"), "running");
}

static void other_owner_with_the_same_fence_is_nobody(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease mine;
	struct lease forged;
	struct error error;
	claim_job(&mine, pg, "me");
	lease_adopt(&forged, &lease_issuance_jobs, NAME, "somebody else", mine.fence);
	assert_int_equal(lease_check(&forged, pg, &error), R_LOST);
	lease_adopt(&forged, &lease_issuance_jobs, "other.example.com", "me", mine.fence);
	assert_int_equal(lease_check(&forged, pg, &error), R_LOST);
	assert_int_equal(lease_check(&mine, pg, &error), R_OK);
}

static void released_job_is_queued_at_once(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease lease;
	struct error error;
	claim_job(&lease, pg, "me");
	assert_int_equal(lease_release(&lease, pg, &error), R_OK);
	assert_string_equal(
	    database_value(pg, "SELECT state || ' ' || (next_try_at <= clock_timestamp()) || ' ' ||"
			       " (lease_owner IS NULL) FROM issuance_jobs"),
	    "queued true true");
}

static void finished_job_is_not_held_any_more(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease lease;
	struct error error;
	claim_job(&lease, pg, "me");
	database_run(admin, "UPDATE issuance_jobs SET state = 'idle'");
	assert_int_equal(lease_check(&lease, pg, &error), R_LOST);
}

/* A transaction that is older than the end of the lease must see the end all the same. */
static void check_in_an_old_transaction_reads_the_clock_anew(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease lease;
	struct error error;
	assert_int_equal(acquire(&lease, pg, "me"), R_OK);
	database_run(pg, "BEGIN");
	database_run(
	    pg, "UPDATE ca_accounts SET lease_until = clock_timestamp() + interval '50 milliseconds'");
	database_run(pg, "SELECT pg_sleep(0.1)");
	assert_int_equal(lease_check(&lease, pg, &error), R_LOST);
	database_run(pg, "ROLLBACK");
}

static void lost_database_says_nothing_about_the_lease(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct lease lease;
	struct error error;
	assert_int_equal(acquire(&lease, pg, "me"), R_OK);
	char pid[32];
	snprintf(pid, sizeof pid, "%s", database_value(pg, "SELECT pg_backend_pid()"));
	/* In a transaction, or the connection would be replaced unseen. */
	database_run(pg, "BEGIN");
	database_run(admin, "SELECT pg_terminate_backend($1::int, 5000)", pid);
	assert_int_equal(lease_renew(&lease, pg, TTL_MS, &error), R_DOWN);
	assert_int_equal(pg_wait_ready(pg, TEST_WAIT_MS, &error), R_OK);
	assert_int_equal(lease_renew(&lease, pg, TTL_MS, &error), R_OK);
}

struct racer {
	struct pg *pg;
	pthread_barrier_t *start;
	char owner[16];
	struct lease lease;
	enum result result;
};

static void *race(void *arg)
{
	struct racer *racer = arg;
	pthread_barrier_wait(racer->start);
	racer->result = acquire(&racer->lease, racer->pg, racer->owner);
	return NULL;
}

static void of_many_that_race_one_gets_it(void **state)
{
	enum { RACERS = 4, ROUNDS = 25 };
	struct pg *admin = database_connect(state, NULL);
	struct racer racers[RACERS];
	pthread_barrier_t start;
	pthread_barrier_init(&start, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){.pg = database_connect(state, "postern_acme"), .start = &start};
		snprintf(racers[i].owner, sizeof racers[i].owner, "racer %d", i);
	}
	int64_t last = 0;
	for (int round = 0; round < ROUNDS; round++) {
		pthread_t threads[RACERS];
		int winners = 0;
		for (int i = 0; i < RACERS; i++)
			pthread_create(&threads[i], NULL, race, &racers[i]);
		for (int i = 0; i < RACERS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < RACERS; i++) {
			assert_true(racers[i].result == R_OK || racers[i].result == R_AGAIN);
			if (racers[i].result != R_OK)
				continue;
			winners++;
			assert_true(racers[i].lease.fence > last);
			last = racers[i].lease.fence;
		}
		assert_int_equal(winners, 1);
		let_expire(admin);
	}
	pthread_barrier_destroy(&start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(second_process_has_to_wait),
	    database_test(fence_only_grows),
	    database_test(expired_lease_is_lost_even_if_nobody_took_it),
	    database_test(renewing_moves_the_end_by_the_databases_clock),
	    database_test(stale_fence_does_nothing),
	    database_test(other_owner_with_the_same_fence_is_nobody),
	    database_test(released_job_is_queued_at_once),
	    database_test(finished_job_is_not_held_any_more),
	    database_test(check_in_an_old_transaction_reads_the_clock_anew),
	    database_test(lost_database_says_nothing_about_the_lease),
	    database_test(of_many_that_race_one_gets_it),
	};
	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
