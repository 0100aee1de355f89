/* The circuit breaker of a CA: what opens it, who tries, what closes it. */
#include "acme/queue/breaker.h"

#include <stdio.h>
#include <string.h>

#include "tests/pg/database.h"

static const char directory[] = "https://ca.test/dir";
static struct error error;
static struct breaker_probe probe; /* of the last that went ahead */
static const struct acme_failure down = {.cause = CAUSE_NETWORK, .detail = "connection refused"};

/* Milliseconds to wait, 0: go ahead. */
static int64_t enter(struct pg *pg)
{
	struct job_wait wait = {.ms = 0};
	enum result result = breaker_enter(pg, directory, &probe, &wait, &error);
	if (result == R_LIMIT) {
		assert_string_equal(wait.on, "ca");
		return wait.ms > 0 ? wait.ms : 1;
	}
	if (result != R_OK)
		fail_msg("%s", error.text);
	return 0;
}

static void fail_for(struct pg *pg, int names, const struct acme_failure *failure)
{
	for (int i = 0; i < names; i++) {
		char name[32];
		snprintf(name, sizeof name, "n%d.test", i);
		breaker_report(pg, directory, name, failure);
	}
}

static void end_of_pause(struct pg *admin)
{
	database_run(admin, "UPDATE ca_health SET open_until = now() - interval '1 s'");
}

static void failures_for_several_names_in_a_row_open_it(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	assert_int_equal(enter(pg), 0);
	fail_for(pg, BREAKER_THRESHOLD - 1, &down);
	assert_int_equal(enter(pg), 0);
	breaker_report(pg, directory, "last.test", &down);
	assert_in_range(enter(pg), 13000, 20100);
}

static void one_name_alone_never_opens_it(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	for (int i = 0; i < 3 * BREAKER_THRESHOLD; i++)
		breaker_report(pg, directory, "same.test", &down);
	assert_int_equal(enter(pg), 0);
}

static void a_customers_failure_shows_that_the_ca_works(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	const struct acme_failure dns = {.cause = CAUSE_DNS, .detail = "NXDOMAIN"};
	fail_for(pg, BREAKER_THRESHOLD - 1, &down);
	breaker_report(pg, directory, "a.test", &dns);
	breaker_report(pg, directory, "b.test", &down);
	assert_int_equal(enter(pg), 0);
}

static void what_may_be_the_names_own_trouble_counts_for_nothing(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	const struct acme_failure odd = {.cause = CAUSE_CA, .status = 404, .detail = "no such order"};
	fail_for(pg, 3 * BREAKER_THRESHOLD, &odd);
	assert_int_equal(enter(pg), 0);
}

static void retry_after_opens_it_at_once_and_for_that_time(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	const struct acme_failure busy = {
	    .cause = CAUSE_CA, .status = 503, .retry_after = 3600, .detail = "busy"};
	breaker_report(pg, directory, "a.test", &busy);
	assert_in_range(enter(pg), 3598000, 3630100);
}

static void after_the_pause_one_tries_and_a_success_closes_it(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	fail_for(pg, BREAKER_THRESHOLD, &down);
	end_of_pause(admin);
	assert_int_equal(enter(pg), 0);
	assert_in_range(enter(pg), 2900, 10100);
	breaker_report(pg, directory, "n1.test", NULL);
	assert_int_equal(enter(pg), 0);
	assert_int_equal(enter(pg), 0);
	assert_string_equal(database_value(admin, "SELECT failures || ' ' || opened FROM ca_health"), "0 0");
}

/* Our own look found it: nobody asked the CA. */
static void what_was_foreseen_says_nothing_about_the_ca(void **state)
{
	const struct acme_failure foreseen = {.cause = CAUSE_DNS, .foreseen = true, .detail = "no address"};
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	fail_for(pg, BREAKER_THRESHOLD, &down);
	end_of_pause(admin);
	assert_int_equal(enter(pg), 0);
	breaker_report(pg, directory, "n1.test", &foreseen);
	assert_in_range(enter(pg), 1, 60100);
}

/* One server of the CA in its madness does not stop the fleet for a day. */
static void a_pause_of_ten_years_is_one_of_an_hour(void **state)
{
	const struct acme_failure mad = {
	    .cause = CAUSE_CA, .status = 503, .retry_after = 86400, .detail = "later"};
	struct pg *pg = database_connect(state, "postern_acme");
	breaker_report(pg, directory, "n1.test", &mad);
	assert_in_range(enter(pg), 3590000, 3630100);
}

static void a_try_that_fails_doubles_the_pause(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	fail_for(pg, BREAKER_THRESHOLD, &down);
	for (int pause = 30; pause < 600; pause *= 2) {
		end_of_pause(admin);
		assert_int_equal(enter(pg), 0);
		breaker_report(pg, directory, "same.test", &down);
		assert_in_range(enter(pg), pause * 1000 - 1500, pause * 4000 / 3 + 100);
	}
	end_of_pause(admin);
	breaker_report(pg, directory, "same.test", &down);
	assert_in_range(enter(pg), 598000, 630100);
}

static void a_try_whose_owner_died_is_made_again(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	fail_for(pg, BREAKER_THRESHOLD, &down);
	end_of_pause(admin);
	assert_int_equal(enter(pg), 0);
	database_run(admin, "UPDATE ca_health SET probe_until = now() - interval '1 s'");
	assert_int_equal(enter(pg), 0);
}

/* Those that were under way when it opened say nothing new. */
static void late_failures_do_not_prolong_it(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	fail_for(pg, 10 * BREAKER_THRESHOLD, &down);
	assert_in_range(enter(pg), 13000, 20100);
}

/* A hundred that wait do not come back in the same moment, neither at the end of the pause nor while one
 * tries. */
static void who_waits_comes_back_at_a_time_of_its_own(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	fail_for(pg, BREAKER_THRESHOLD, &down);
	for (int phase = 0; phase < 2; phase++) {
		int64_t first = INT64_MAX;
		int64_t last = 0;
		for (int i = 0; i < 100; i++) {
			int64_t ms = enter(pg);
			first = ms < first && ms > 0 ? ms : first;
			last = ms > last ? ms : last;
		}
		if (last - first < 2500)
			fail_msg("phase %d: all within %d ms", phase, (int)(last - first));
		end_of_pause(admin);
	}
}

static void a_try_that_says_nothing_is_handed_over(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	fail_for(pg, BREAKER_THRESHOLD, &down);
	end_of_pause(admin);
	assert_int_equal(enter(pg), 0);
	const struct breaker_probe first = probe;
	assert_true(first.until[0] != '\0');
	assert_true(enter(pg) > 0);
	assert_true(probe.until[0] == '\0');
	breaker_leave(pg, directory, &probe); /* nobody's */
	assert_true(enter(pg) > 0);
	breaker_leave(pg, directory, &first);
	assert_int_equal(enter(pg), 0);
	breaker_leave(pg, directory, &first); /* another's by now */
	assert_true(enter(pg) > 0);
}

static int let_through(struct pg *pg, int asking)
{
	int count = 0;
	for (int i = 0; i < asking; i++)
		count += enter(pg) == 0;
	return count;
}

static void work_resumes_little_by_little(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	fail_for(pg, BREAKER_THRESHOLD, &down);
	end_of_pause(admin);
	assert_int_equal(enter(pg), 0);
	breaker_report(pg, directory, "n1.test", NULL);
	assert_in_range(let_through(pg, 50), 2, 20);
	database_run(admin, "UPDATE ca_health SET resumed_at = now() - interval '10 s', resumed = 100");
	assert_in_range(let_through(pg, 200), 22, 80);
	database_run(admin, "UPDATE ca_health SET resumed_at = now() - interval '61 s'");
	assert_int_equal(let_through(pg, 200), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(failures_for_several_names_in_a_row_open_it),
	    database_test(one_name_alone_never_opens_it),
	    database_test(a_customers_failure_shows_that_the_ca_works),
	    database_test(what_may_be_the_names_own_trouble_counts_for_nothing),
	    database_test(retry_after_opens_it_at_once_and_for_that_time),
	    database_test(after_the_pause_one_tries_and_a_success_closes_it),
	    database_test(what_was_foreseen_says_nothing_about_the_ca),
	    database_test(a_pause_of_ten_years_is_one_of_an_hour),
	    database_test(a_try_that_fails_doubles_the_pause),
	    database_test(a_try_whose_owner_died_is_made_again),
	    database_test(late_failures_do_not_prolong_it),
	    database_test(who_waits_comes_back_at_a_time_of_its_own),
	    database_test(a_try_that_says_nothing_is_handed_over),
	    database_test(work_resumes_little_by_little),
	};
	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
