/* The ledger: what is taken, kept for others, promised, given back, and learnt from the CA. */
#include "acme/order/order.h"
#include "acme/queue/budget.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acme/account/ceilings_share.h"
#include "tests/pg/database.h"

static const char directory[] = "https://ca.test/dir";
static struct error error;

static struct ceilings ceilings(
    const char *orders, const char *domain, const char *exact, const char *failures)
{
	struct ceilings_settings settings = {.is_set = {[BUDGET_ORDERS] = true,
						 [BUDGET_DOMAIN] = true,
						 [BUDGET_EXACT] = true,
						 [BUDGET_FAILURES] = true}};
	struct ceilings budget;
	assert_int_equal(ceiling_parse(&settings.rules[BUDGET_ORDERS], orders, &error), R_OK);
	assert_int_equal(ceiling_parse(&settings.rules[BUDGET_DOMAIN], domain, &error), R_OK);
	assert_int_equal(ceiling_parse(&settings.rules[BUDGET_EXACT], exact, &error), R_OK);
	assert_int_equal(ceiling_parse(&settings.rules[BUDGET_FAILURES], failures, &error), R_OK);
	ceilings_of_directory(&budget, &settings, directory);
	return budget;
}

/* A job that is running, with this name and lane. */
static struct job running(struct pg *admin, const char *name, const char *lane)
{
	struct job job = {.fence = 7};
	snprintf(job.name, sizeof job.name, "%s", name);
	snprintf(job.lane, sizeof job.lane, "%s", lane);
	database_run(admin,
	    "INSERT INTO issuance_jobs (name, state, reason, lane, fence, lease_until) VALUES ($1, 'running',"
	    " 'first_hit', $2, 7, now() + interval '1 h') ON CONFLICT (name) DO UPDATE SET lane = "
	    "EXCLUDED.lane",
	    name, lane);
	return job;
}

static int64_t wait_of(struct pg *pg, const struct ceilings *budget, const struct job *job)
{
	struct job_wait wait = {.ms = 0};
	enum result result = budget_take(pg, budget, directory, job, &wait, &error);
	if (result == R_LIMIT)
		return wait.ms;
	if (result != R_OK)
		fail_msg("%s: %s", result_name(result), error.text);
	return 0;
}

static bool is_about(int64_t ms, int64_t seconds)
{
	return ms > seconds * 1000 - 1500 && ms < seconds * 1000 + 1500;
}

static void a_bucket_gives_what_it_holds_and_then_tells_the_turn(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("3/3h", "0", "0", "0");
	struct job job = running(admin, "a.test", "urgent");
	for (int i = 0; i < 3; i++)
		assert_int_equal(wait_of(pg, &budget, &job), 0);
	assert_true(is_about(wait_of(pg, &budget, &job), 3600));
	/* The next in the queue has the turn after that. */
	assert_true(is_about(wait_of(pg, &budget, &job), 7200));
	struct job_wait wait = {.ms = 0};
	assert_int_equal(budget_take(pg, &budget, directory, &job, &wait, &error), R_LIMIT);
	assert_string_equal(wait.on, "budget");
	assert_non_null(strstr(wait.text, "new orders"));
	assert_non_null(strstr(wait.text, "3 in 3 h"));
}

static void tokens_come_back_by_the_databases_clock(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("2/2h", "0", "0", "0");
	struct job job = running(admin, "a.test", "urgent");
	wait_of(pg, &budget, &job);
	wait_of(pg, &budget, &job);
	assert_true(wait_of(pg, &budget, &job) > 0);
	database_run(admin, "UPDATE ca_budget SET counted_at = counted_at - interval '61 min',"
			    " promised = array_fill('-infinity'::timestamptz, ARRAY[4])");
	assert_int_equal(wait_of(pg, &budget, &job), 0);
	assert_true(wait_of(pg, &budget, &job) > 0);
	/* However long nobody asked, a bucket holds no more than its capacity. */
	database_run(admin, "UPDATE ca_budget SET counted_at = counted_at - interval '9 d',"
			    " promised = array_fill('-infinity'::timestamptz, ARRAY[4])");
	assert_int_equal(wait_of(pg, &budget, &job), 0);
	assert_int_equal(wait_of(pg, &budget, &job), 0);
	assert_true(wait_of(pg, &budget, &job) > 0);
}

/* Of ten: re-issue leaves six, routine three, new customers one, and urgent takes the last. */
static void a_lane_leaves_what_is_kept_for_more_urgent_ones(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("10/10h", "0", "0", "0");
	static const struct {
		const char *lane;
		int takes;
	} lanes[] = {{"reissue", 4}, {"routine", 3}, {"new", 2}, {"urgent", 1}};
	for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++) {
		struct job job = running(admin, lanes[i].lane, lanes[i].lane);
		int takes = 0;
		while (wait_of(pg, &budget, &job) == 0)
			takes++;
		if (takes != lanes[i].takes)
			fail_msg("lane %s took %d", lanes[i].lane, takes);
	}
}

/* Who waits in a quiet lane pushes nobody's turn in a more urgent one, and a newcomer does not take a
 * promised turn, while who was promised it gets it. */
static void turns_are_kept_lane_by_lane(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("1/1h", "0", "0", "0");
	struct job quiet = running(admin, "quiet.test", "reissue");
	struct job fresh = running(admin, "fresh.test", "new");
	assert_int_equal(wait_of(pg, &budget, &fresh), 0);
	for (int i = 0; i < 5; i++)
		wait_of(pg, &budget, &quiet);
	assert_true(is_about(wait_of(pg, &budget, &fresh), 3600));
	database_run(admin, "UPDATE ca_budget SET counted_at = counted_at - interval '59 min 59 s 900 ms'");
	assert_true(wait_of(pg, &budget, &fresh) > 3600 * 1000);
	database_run(admin, "UPDATE ca_budget SET counted_at = counted_at - interval '1 s'");
	snprintf(fresh.turn_at, sizeof fresh.turn_at, "-infinity");
	assert_int_equal(wait_of(pg, &budget, &fresh), 0);
}

static void every_ceiling_counts_and_nothing_is_taken_unless_all_have_room(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("100/1h", "2/7d", "1/7d", "0");
	struct job first = running(admin, "a.shop.example.com", "urgent");
	struct job second = running(admin, "b.example.com", "urgent");
	struct job third = running(admin, "c.example.com", "urgent");
	struct job other = running(admin, "c.example.net", "urgent");
	assert_int_equal(wait_of(pg, &budget, &first), 0);
	assert_true(is_about(wait_of(pg, &budget, &first), 7 * 24 * 3600)); /* the exact set */
	assert_int_equal(wait_of(pg, &budget, &second), 0);
	assert_true(wait_of(pg, &budget, &third) > 0); /* the registrable domain */
	assert_int_equal(wait_of(pg, &budget, &other), 0);
	assert_string_equal(
	    database_value(admin, "SELECT round(tokens) FROM ca_budget WHERE ceiling = 'orders'"), "97");
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(key, ' ' ORDER BY key) FROM ca_budget WHERE"
				  " ceiling = 'domain'"),
	    "example.com example.net");
}

static void what_was_refused_or_came_to_nothing_is_given_back(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("1/1h", "1/7d", "1/7d", "0");
	struct job job = running(admin, "a.test", "urgent");
	assert_int_equal(wait_of(pg, &budget, &job), 0);
	assert_int_equal(budget_refund_order(pg, directory, "a.test", &error), R_OK);
	assert_int_equal(wait_of(pg, &budget, &job), 0);
	assert_int_equal(budget_refund_certificate(pg, directory, "a.test", &error), R_OK);
	assert_true(is_about(wait_of(pg, &budget, &job), 3600));
}

static void failed_validations_are_counted_by_name_and_stop_the_next_order(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("0", "0", "0", "2/1h");
	struct job job = running(admin, "a.test", "urgent");
	struct job other = running(admin, "b.test", "urgent");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wait_of(pg, &budget, &job), 0);
		assert_int_equal(budget_count_failure(pg, &budget, directory, "a.test", &error), R_OK);
	}
	assert_true(is_about(wait_of(pg, &budget, &job), 1800));
	assert_int_equal(wait_of(pg, &budget, &other), 0);
}

static struct acme_failure refusal(const char *detail, int64_t retry_after)
{
	struct acme_failure failure;
	acme_failure_set(&failure, CAUSE_RATE_LIMITED, "%s", detail);
	failure.retry_after = retry_after;
	return failure;
}

/* Also of a CA none of whose ceilings are known. */
static void the_cas_word_closes_the_ceiling_that_it_names(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("0", "0", "0", "0");
	static const struct {
		const char *words;
		const char *ceiling;
		const char *key;
	} cases[] = {
	    {"too many certificates (5) already issued for this exact set of identifiers in the last 168h",
		"exact", "a.example.com"},
	    {"too many certificates (50) already issued for \"example.com\" in the last 168h", "domain",
		"example.com"},
	    {"too many failed authorizations (5) for \"a.example.com\" in the last 1h", "failures",
		"a.example.com"},
	    {"too many new orders (300) from this account in the last 3h", "orders", ""},
	};
	struct job job = running(admin, "a.example.com", "urgent");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct acme_failure failure = refusal(cases[i].words, 7200);
		database_run(admin, "DELETE FROM ca_budget");
		assert_int_equal(budget_learn(pg, directory, job.name, &failure, &error), R_OK);
		assert_string_equal(database_value(admin, "SELECT ceiling || ' ' || key FROM ca_budget"),
		    database_value(admin, "SELECT $1 || ' ' || $2", cases[i].ceiling, cases[i].key));
		assert_true(is_about(wait_of(pg, &budget, &job), 7200));
	}
}

static void words_that_name_no_ceiling_close_all_orders_for_an_hour_at_most(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("0", "0", "0", "0");
	struct acme_failure failure = refusal("slow down", 24 * 3600);
	struct job other = running(admin, "b.test", "urgent");
	assert_int_equal(budget_learn(pg, directory, "a.test", &failure, &error), R_OK);
	assert_true(is_about(wait_of(pg, &budget, &other), 3600));
}

static void who_lost_the_job_takes_nothing(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("5/1h", "0", "0", "0");
	struct job job = running(admin, "a.test", "urgent");
	struct job_wait wait;
	job.fence = 6;
	assert_int_equal(budget_take(pg, &budget, directory, &job, &wait, &error), R_LOST);
	assert_string_equal(database_value(admin, "SELECT count(*) FROM ca_budget"), "0");
}

static void full_buckets_are_swept_and_others_stay(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("5/1h", "5/1h", "0", "0");
	struct job job = running(admin, "a.test", "urgent");
	wait_of(pg, &budget, &job);
	database_run(admin, "UPDATE ca_budget SET full_at = now() WHERE ceiling = 'domain'");
	assert_int_equal(budget_sweep(pg, &error), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT string_agg(ceiling, ' ') FROM ca_budget"), "orders");
}

/* A job looks again after a day at most. Thousands that do so before their turn must not all be told the next
 * token's time, or they would all come back then. */
static void who_looks_before_its_turn_is_told_the_same_turn_again(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("10/10h", "0", "0", "0");
	struct job job = running(admin, "a.test", "new");
	for (int i = 0; i < 9; i++)
		assert_int_equal(wait_of(pg, &budget, &job), 0);
	for (int i = 1; i <= 50; i++)
		assert_true(is_about(wait_of(pg, &budget, &job), i * 3600));
	snprintf(
	    job.turn_at, sizeof job.turn_at, "%s", database_value(admin, "SELECT now() + interval '50 h'"));
	assert_true(is_about(wait_of(pg, &budget, &job), 50 * 3600));
	assert_true(is_about(wait_of(pg, &budget, &job), 50 * 3600));
	struct job newcomer = running(admin, "b.test", "new");
	assert_true(is_about(wait_of(pg, &budget, &newcomer), 51 * 3600));
	/* Of a ceiling that was raised it has its share at once. */
	const struct ceilings raised = ceilings("1000/10h", "0", "0", "0");
	database_run(admin, "UPDATE ca_budget SET counted_at = counted_at - interval '10 h'");
	assert_int_equal(wait_of(pg, &raised, &job), 0);
}

static void what_cost_nothing_gives_nothing_back(void **state)
{
	struct pg *pg = database_connect(state, "postern_acme");
	struct pg *admin = database_connect(state, NULL);
	const struct ceilings budget = ceilings("0", "0", "1/7d", "0");
	struct job job = running(admin, "a.brand.test", "new");
	snprintf(job.directory, sizeof job.directory, "%s", directory);
	assert_int_equal(wait_of(pg, &budget, &job), 0);
	job.step = JOB_ORDERED;
	order_refund_unused(pg, &job); /* the CA exempted it */
	assert_true(wait_of(pg, &budget, &job) > 0);
	job.is_charged = true;
	job.step = JOB_FINALIZING;
	order_refund_unused(pg, &job); /* a certificate may have come of it */
	assert_true(wait_of(pg, &budget, &job) > 0);
	job.step = JOB_ORDERED;
	order_refund_unused(pg, &job);
	snprintf(job.turn_at, sizeof job.turn_at, "-infinity");
	assert_int_equal(wait_of(pg, &budget, &job), 0);
}

struct charger {
	pthread_t thread;
	struct pg *pg;
	struct job job;
	struct ceilings budget;
	bool gives_back;
	int granted, refused, failed;
};

/* Half of them refund in between, which locks the same rows. */
static void *charge(void *arg)
{
	struct charger *charger = arg;
	struct error why;
	for (int i = 0; i < 20; i++) {
		struct job_wait wait = {.ms = 0};
		enum result result =
		    budget_take(charger->pg, &charger->budget, directory, &charger->job, &wait, &why);
		charger->granted += result == R_OK;
		charger->refused += result == R_LIMIT;
		charger->failed += result != R_OK && result != R_LIMIT;
		if (!charger->gives_back || result != R_OK)
			continue;
		result = budget_refund_order(charger->pg, directory, charger->job.name, &why);
		charger->granted -= result == R_OK;
		charger->failed += result != R_OK;
	}
	return NULL;
}

static void forty_at_once_get_what_is_there_and_no_more(void **state)
{
	enum { CHARGERS = 40, TOKENS = 300 };
	static struct charger chargers[CHARGERS];
	struct pg *admin = database_connect(state, NULL);
	int granted = 0;
	int failed = 0;
	for (int i = 0; i < CHARGERS; i++) {
		char name[32];
		snprintf(name, sizeof name, "n%d.brand.test", i);
		chargers[i] = (struct charger){.pg = database_connect(state, "postern_acme"),
		    .job = running(admin, name, "urgent"),
		    .budget = ceilings("300/366d", "300/366d", "20/366d", "5/366d"),
		    .gives_back = i % 2 == 0};
	}
	for (int i = 0; i < CHARGERS; i++)
		pthread_create(&chargers[i].thread, NULL, charge, &chargers[i]);
	for (int i = 0; i < CHARGERS; i++) {
		pthread_join(chargers[i].thread, NULL);
		granted += chargers[i].granted;
		failed += chargers[i].failed;
	}
	assert_int_equal(failed, 0);
	/* A refund comes too late for whoever was refused meanwhile; but nothing is lost and nothing made. */
	assert_true(granted <= TOKENS);
	assert_int_equal(granted + atoi(database_value(admin,
				       "SELECT round(tokens) FROM ca_budget WHERE ceiling = 'orders'")),
	    TOKENS);
}

static void a_wildcard_counts_for_what_it_stands_under(void **state)
{
	struct pg *admin = database_connect(state, NULL);
	struct pg *pg = database_connect(state, "postern_acme");
	struct ceilings budget = ceilings("0", "2/7d", "1/7d", "1/1h");
	struct job wildcard = running(admin, "*.sandbox.brand.com", "new");
	struct job name = running(admin, "sandbox.brand.com", "urgent");
	assert_int_equal(wait_of(pg, &budget, &wildcard), 0);
	assert_int_equal(wait_of(pg, &budget, &name), 0); /* another exact set */
	assert_string_equal(
	    database_value(
		admin, "SELECT string_agg(key, ' ' ORDER BY key) FROM ca_budget WHERE ceiling = 'exact'"),
	    "*.sandbox.brand.com sandbox.brand.com");
	assert_string_equal(
	    database_value(admin, "SELECT key FROM ca_budget WHERE ceiling = 'domain'"), "brand.com");
	assert_int_equal(budget_count_failure(pg, &budget, directory, wildcard.name, &error), R_OK);
	assert_string_equal(
	    database_value(admin, "SELECT key FROM ca_budget WHERE ceiling = 'failures' AND tokens < 0.5"),
	    "sandbox.brand.com");
}

/* Others can read the ledger: what this issuer keeps to is there, and what it does not keep to any more is
 * not. */
static void ceilings_are_told(void **state)
{
	struct pg *admin = database_connect(state, NULL), *pg = database_connect(state, "postern_acme");
	struct ca_config config = {
	    .directory_url = directory, .ceilings = ceilings("300/3h", "0", "5/7d", "0")};
	static const char sql[] =
	    "SELECT string_agg(ceiling || ' ' || capacity || ' ' || seconds, ', ' ORDER BY ceiling)"
	    " FROM ca_ceilings";
	atomic_bool abandon = false;
	struct ca_list cas = {.count = 1, .cas = {ca_new(&config, &abandon)}};
	database_run(admin, "INSERT INTO ca_ceilings VALUES ('https://ca.test/dir', 'failures', 9, 9)");
	ceilings_share(&cas, pg);
	assert_string_equal(database_value(admin, sql), "exact 5 120960, orders 300 36");
	const char *xmin = "SELECT min(xmin::text) FROM ca_ceilings";
	char before[32];
	snprintf(before, sizeof before, "%s", database_value(admin, xmin));
	ceilings_share(&cas, pg);
	assert_string_equal(database_value(admin, xmin), before);
	ca_free(cas.cas[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    database_test(a_bucket_gives_what_it_holds_and_then_tells_the_turn),
	    database_test(tokens_come_back_by_the_databases_clock),
	    database_test(a_wildcard_counts_for_what_it_stands_under),
	    database_test(a_lane_leaves_what_is_kept_for_more_urgent_ones),
	    database_test(turns_are_kept_lane_by_lane),
	    database_test(every_ceiling_counts_and_nothing_is_taken_unless_all_have_room),
	    database_test(what_was_refused_or_came_to_nothing_is_given_back),
	    database_test(failed_validations_are_counted_by_name_and_stop_the_next_order),
	    database_test(the_cas_word_closes_the_ceiling_that_it_names),
	    database_test(words_that_name_no_ceiling_close_all_orders_for_an_hour_at_most),
	    database_test(who_looks_before_its_turn_is_told_the_same_turn_again),
	    database_test(what_cost_nothing_gives_nothing_back),
	    database_test(forty_at_once_get_what_is_there_and_no_more),
	    database_test(who_lost_the_job_takes_nothing),
	    database_test(full_buckets_are_swept_and_others_stay),
	    database_test(ceilings_are_told),
	};
	return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
