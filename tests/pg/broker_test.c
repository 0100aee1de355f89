/* Finding a certificate: database first, then the ask endpoint, then the issuer; one flight per name; and
 * what each of them can do wrong. */
#include "tests/support/edge_fixture.h"

static int64_t flights(void)
{
	return metric_get(metrics_gauge("postern_edge_broker_flights", NULL, NULL));
}

static bool no_flights(void)
{
	return flights() == 0;
}

/* ---- what is stored ---- */

static void stored_certificate_is_served_and_nobody_is_asked(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	start_broker();
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
	struct site *site = site_cache_find(fixture.cache, "shop.example.com");
	assert_non_null(site);
	assert_int_equal(site->stamp.version, 5);
	site_unref(site);
	assert_int_equal(ask_server_asks(fixture.ask_server), 0);
	assert_string_equal(job_of("shop.example.com"), "");
}

static void verifier_in_trouble_costs_stored_names_nothing(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	ask_server_say(fixture.ask_server, 503, 0);
	start_broker();
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_TEMPORARY, "ask");
	assert_int_equal(site_cache_find_refusal(fixture.cache, "new.example.com"), REFUSAL_TEMPORARY);
	assert_string_equal(job_of("new.example.com"), "");
}

static void found_again_it_comes_from_the_cache(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	start_broker();
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
	make_database_silent();
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
	let_database_speak();
}

static void suspended_domain_is_denied_though_it_has_a_certificate(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	add_domain("shop.example.com", "suspended");
	start_broker();
	find("shop.example.com");
	expect_reply(BROKER_DENIED, "suspended");
	assert_null(site_cache_find(fixture.cache, "shop.example.com"));
	assert_int_equal(ask_server_asks(fixture.ask_server), 0);
}

/* ---- rows that must not be served ---- */

static void expect_repair(const char *name)
{
	start_broker();
	find(name);
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	assert_string_equal(job_of(name), "queued repair");
	assert_null(site_cache_find(fixture.cache, name));
	store_certificate(name, 9);
	expect_ready(name, 9);
}

static void truncated_chain_is_repaired_not_served(void **state)
{
	(void)state;
	store_truncated("shop.example.com", 5);
	expect_repair("shop.example.com");
}

static void key_of_another_certificate_is_repaired_not_served(void **state)
{
	char pem[TEST_CHAIN_MAX], other[TEST_CHAIN_MAX];
	EVP_PKEY *key = NULL, *other_key = NULL;
	(void)state;

	test_make_certificate("shop.example.com", -60, 3600, &key, pem);
	test_make_certificate("shop.example.com", -60, 3600, &other_key, other);
	store_row("shop.example.com", 5, pem, other_key, "shop.example.com");
	expect_repair("shop.example.com");
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
}

static void key_moved_from_another_row_is_repaired_not_served(void **state)
{
	char pem[TEST_CHAIN_MAX];
	EVP_PKEY *key = NULL;
	(void)state;

	test_make_certificate("shop.example.com", -60, 3600, &key, pem);
	store_row("shop.example.com", 5, pem, key, "other.example.com");
	expect_repair("shop.example.com");
	EVP_PKEY_free(key);
}

static void certificate_of_another_name_is_repaired_not_served(void **state)
{
	char pem[TEST_CHAIN_MAX];
	EVP_PKEY *key = NULL;
	(void)state;

	test_make_certificate("other.example.com", -60, 3600, &key, pem);
	store_row("shop.example.com", 5, pem, key, "shop.example.com");
	expect_repair("shop.example.com");
	EVP_PKEY_free(key);
}

static void expired_certificate_is_repaired_not_served(void **state)
{
	char pem[TEST_CHAIN_MAX];
	EVP_PKEY *key = NULL;
	(void)state;

	test_make_certificate("shop.example.com", -3600, -60, &key, pem);
	store_row("shop.example.com", 5, pem, key, "shop.example.com");
	expect_repair("shop.example.com");
	EVP_PKEY_free(key);
}

/* ---- first hits ---- */

static void first_hit_is_asked_enqueued_and_ready_when_issued(void **state)
{
	(void)state;
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	assert_string_equal(job_of("new.example.com"), "queued first_hit");
	store_certificate("new.example.com", 1);
	expect_ready("new.example.com", 1);
	assert_int_equal(ask_server_asks(fixture.ask_server), 1);
	wait_until(no_flights, "the flight ends");
}

static void lost_notification_costs_a_poll_only(void **state)
{
	(void)state;
	lose_notifications();
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	store_certificate("new.example.com", 1);
	int64_t stored_at = clock_monotonic_ms();
	expect_ready("new.example.com", 1);
	assert_in_range(clock_monotonic_ms() - stored_at, 0, 1500);
}

static void issued_while_we_asked_is_found_without_a_wait(void **state)
{
	(void)state;
	ask_server_hold(fixture.ask_server, true);
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	ask_server_await(fixture.ask_server, 1);
	uint64_t epoch = site_cache_epoch(fixture.cache, "new.example.com");
	store_certificate("new.example.com", 1);
	for (int i = 0; site_cache_epoch(fixture.cache, "new.example.com") == epoch && i < TEST_WAIT_MS; i++)
		poll(NULL, 0, 1);
	ask_server_hold(fixture.ask_server, false);
	expect_phase(BROKER_ISSUE);
	int64_t start = clock_monotonic_ms();
	expect_ready("new.example.com", 1);
	assert_in_range(clock_monotonic_ms() - start, 0, 700);
}

static void hundred_joiners_cause_one_ask_and_one_job(void **state)
{
	(void)state;
	ask_server_hold(fixture.ask_server, true);
	start_broker();
	for (int i = 0; i < 100; i++)
		broker_find(fixture.broker, fixture.mailboxes[i], "new.example.com", false);
	for (int i = 0; i < 100; i++)
		expect_phase(BROKER_ASK);
	assert_int_equal(flights(), 1);
	ask_server_hold(fixture.ask_server, false);
	for (int i = 0; i < 100; i++)
		expect_phase(BROKER_ISSUE);
	store_certificate("new.example.com", 1);
	for (int i = 0; i < 100; i++)
		expect_ready("new.example.com", 1);
	assert_int_equal(ask_server_asks(fixture.ask_server), 1);
	assert_string_equal(database_value(fixture.db, "SELECT count(*) FROM issuance_jobs"), "1");
}

static void who_joins_late_learns_the_phase(void **state)
{
	(void)state;
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	broker_find(fixture.broker, fixture.mailboxes[1], "new.example.com", false);
	expect_phase(BROKER_ISSUE);
	find("new.example.com");
	expect_phase(BROKER_ISSUE);
	store_certificate("new.example.com", 1);
	expect_ready("new.example.com", 1);
	expect_ready("new.example.com", 1);
	wait_until(no_flights, "the flight ends");
}

static void failed_issuance_ends_the_wait_at_once(void **state)
{
	(void)state;
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	int64_t failed_at = clock_monotonic_ms();
	database_run(fixture.db,
	    "UPDATE issuance_jobs SET state = 'failed', attempts = 1, last_cause = 'dns',"
	    " last_try_at = now(), next_try_at = now() + interval '1 minute'");
	expect_reply(BROKER_TEMPORARY, "issuance");
	assert_in_range(clock_monotonic_ms() - failed_at, 0, 700);
	assert_int_equal(site_cache_find_refusal(fixture.cache, "new.example.com"), REFUSAL_TEMPORARY);
}

static void job_closed_without_a_certificate_ends_the_wait(void **state)
{
	(void)state;
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	database_run(fixture.db, "UPDATE issuance_jobs SET state = 'idle'");
	expect_reply(BROKER_TEMPORARY, "issuance");
}

static void wait_ends_at_its_deadline_and_the_job_goes_on(void **state)
{
	(void)state;
	add_argument("issue-wait", "300ms");
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	int64_t start = clock_monotonic_ms();
	expect_reply(BROKER_TEMPORARY, "deadline");
	assert_in_range(clock_monotonic_ms() - start, 290, 5000);
	assert_string_equal(job_of("new.example.com"), "queued first_hit");
}

static void add_failed_job(const char *name, const char *cause, const char *tried_ago)
{
	database_run(fixture.db,
	    "INSERT INTO issuance_jobs (name, state, reason, attempts, last_cause, last_try_at, next_try_at)"
	    " VALUES ($1, 'failed', 'first_hit', 3, $2, now() - $3::interval, now() + interval '1 hour')",
	    name, cause, tried_ago);
}

static void recent_failure_is_not_asked_about(void **state)
{
	(void)state;
	add_failed_job("new.example.com", "dns", "1 minute");
	start_broker();
	find("new.example.com");
	expect_reply(BROKER_TEMPORARY, "failed");
	assert_int_equal(ask_server_asks(fixture.ask_server), 0);
	assert_string_equal(job_of("new.example.com"), "failed first_hit");
}

static void visitor_brings_an_old_failure_of_the_customers_dns_forward(void **state)
{
	(void)state;
	add_failed_job("new.example.com", "dns", "13 minutes");
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	assert_string_equal(job_of("new.example.com"), "queued recheck");
}

static void visitor_brings_no_failure_of_the_ca_forward(void **state)
{
	(void)state;
	add_failed_job("new.example.com", "rateLimited", "13 minutes");
	start_broker();
	find("new.example.com");
	expect_reply(BROKER_TEMPORARY, "failed");
	assert_int_equal(ask_server_asks(fixture.ask_server), 0);
}

/* ---- denials ---- */

static bool new_is_forgotten(void)
{
	return site_cache_find_refusal(fixture.cache, "new.example.com") == REFUSAL_NONE;
}

static void denied_name_is_asked_for_once_in_its_period(void **state)
{
	(void)state;
	ask_server_say(fixture.ask_server, 403, 0);
	add_argument("negative-ttl", "500ms");
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_DENIED, "denied");
	for (int i = 0; i < 50; i++)
		find("new.example.com");
	for (int i = 0; i < 50; i++)
		expect_reply(BROKER_DENIED, "denied");
	assert_int_equal(ask_server_asks(fixture.ask_server), 1);
	wait_until(new_is_forgotten, "the refusal ends");
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_DENIED, "denied");
	assert_int_equal(ask_server_asks(fixture.ask_server), 2);
	assert_string_equal(database_value(fixture.db, "SELECT count(*) FROM issuance_jobs"), "0");
}

static void notification_clears_a_denial(void **state)
{
	(void)state;
	ask_server_say(fixture.ask_server, 403, 0);
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_reply(BROKER_DENIED, "denied");
	add_domain("new.example.com", "active");
	wait_until(new_is_forgotten, "the notification clears the refusal");
	ask_server_say(fixture.ask_server, 200, 0);
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
}

static void denial_older_than_a_change_is_not_believed(void **state)
{
	(void)state;
	ask_server_say(fixture.ask_server, 403, 0);
	ask_server_hold(fixture.ask_server, true);
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	ask_server_await(fixture.ask_server, 1);
	uint64_t epoch = site_cache_epoch(fixture.cache, "new.example.com");
	store_certificate("new.example.com", 1);
	for (int i = 0; site_cache_epoch(fixture.cache, "new.example.com") == epoch && i < TEST_WAIT_MS; i++)
		poll(NULL, 0, 1);
	ask_server_hold(fixture.ask_server, false);
	expect_ready("new.example.com", 1);
}

static void flood_of_junk_names_costs_one_ask_each_and_leaves_nothing(void **state)
{
	enum { NAMES = 3000 };
	char name[64];
	(void)state;

	ask_server_say(fixture.ask_server, 403, 0);
	start_broker();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < NAMES; i++) {
			snprintf(name, sizeof name, "junk%d.example.com", i);
			find(name);
		}
		for (int denied = 0; denied < NAMES;) {
			const struct broker_reply *reply = next_reply();

			assert_int_not_equal(reply->outcome, BROKER_READY);
			assert_int_not_equal(reply->outcome, BROKER_TEMPORARY);
			denied += reply->outcome == BROKER_DENIED;
		}
	}
	assert_int_equal(ask_server_asks(fixture.ask_server), NAMES);
	assert_int_equal(site_cache_refusals(fixture.cache), NAMES);
	wait_until(no_flights, "the flights end");
}

static void without_an_ask_endpoint_unknown_names_are_denied(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	add_argument("ask-url", "");
	start_broker();
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
	find("new.example.com");
	expect_reply(BROKER_DENIED, "denied");
	assert_string_equal(job_of("new.example.com"), "");
}

/* ---- a database in trouble ---- */

static void broken_connection_is_replaced_within_the_look_up(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	start_broker();
	end_connections("postern-edge");
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
}

static void database_that_is_away_fails_names_within_a_second_and_recovers(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	store_certificate("later.example.com", 5);
	start_broker();
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
	take_database_away();
	int64_t start = clock_monotonic_ms();
	find("later.example.com");
	expect_reply(BROKER_TEMPORARY, "database");
	assert_in_range(clock_monotonic_ms() - start, 0, 1200);
	start = clock_monotonic_ms();
	find("third.example.com");
	expect_reply(BROKER_TEMPORARY, "database");
	assert_in_range(clock_monotonic_ms() - start, 0, 700);
	find("shop.example.com");
	expect_ready("shop.example.com", 5);
	assert_true(is_ready());

	bring_database_back();
	for (;;) {
		find("later.example.com");
		const struct broker_reply *reply = next_reply();
		if (reply->outcome == BROKER_READY)
			break;
		assert_int_equal(reply->outcome, BROKER_TEMPORARY);
		assert_in_range(clock_monotonic_ms() - start, 0, TEST_WAIT_MS);
		poll(NULL, 0, 50);
	}
	assert_int_equal(ask_server_asks(fixture.ask_server), 0);
}

static void silent_database_fails_names_within_a_second_and_recovers(void **state)
{
	(void)state;
	store_certificate("shop.example.com", 5);
	start_broker();
	make_database_silent();
	int64_t start = clock_monotonic_ms();
	find("shop.example.com");
	expect_reply(BROKER_TEMPORARY, "database");
	assert_in_range(clock_monotonic_ms() - start, 0, 1200);
	let_database_speak();
	do {
		poll(NULL, 0, 50);
		find("shop.example.com");
		assert_in_range(clock_monotonic_ms() - start, 0, TEST_WAIT_MS);
	} while (next_reply()->outcome != BROKER_READY);
}

static void locked_job_holds_up_no_other_name(void **state)
{
	enum { NAMES = 20 };
	struct pg *frozen = database_connect(state, NULL);
	int issuing = 0, failed = 0;
	char name[64];

	database_run(frozen, "BEGIN");
	database_run(frozen, "INSERT INTO issuance_jobs (name, state, reason)"
			     " VALUES ('n7.example.com', 'queued', 'pre_issue')");
	ask_server_hold(fixture.ask_server, true);
	start_broker();
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		find(name);
	}
	for (int i = 0; i < NAMES; i++)
		expect_phase(BROKER_ASK);
	ask_server_hold(fixture.ask_server, false);
	while (issuing + failed < NAMES) {
		const struct broker_reply *reply = next_reply();

		issuing += reply->outcome == BROKER_PHASE && reply->phase == BROKER_ISSUE;
		failed +=
		    reply->outcome == BROKER_TEMPORARY && strcmp(reply->name.text, "n7.example.com") == 0;
	}
	assert_int_equal(issuing, NAMES - 1);
	assert_int_equal(failed, 1);
	database_run(frozen, "ROLLBACK");
}

static void waiting_for_the_issuer_outlasts_a_database_restart(void **state)
{
	(void)state;
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	take_database_away();
	lose_notifications();
	store_certificate("new.example.com", 1);
	int64_t polls = metric_get(metrics_counter("postern_edge_issuance_polls_total", NULL, NULL));
	while (metric_get(metrics_counter("postern_edge_issuance_polls_total", NULL, NULL)) < polls + 2)
		poll(NULL, 0, 10);
	bring_database_back();
	expect_ready("new.example.com", 1);
}

static void server_that_accepts_and_stays_silent_makes_the_node_unready(void **state)
{
	struct ask_server *silent = ask_server_start(ASK_SERVER_NEVER);
	char conninfo[128], reason[600] = "";
	(void)state;

	snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d user=x dbname=x sslmode=disable",
	    silent->port);
	add_argument("database", conninfo);
	start_broker_unready();
	int64_t start = clock_monotonic_ms();
	find("shop.example.com");
	expect_reply(BROKER_TEMPORARY, "database");
	assert_in_range(clock_monotonic_ms() - start, 0, 1200);
	assert_false(broker_is_ready(fixture.broker, reason, sizeof reason));
	assert_non_null(strstr(reason, "database"));
	ask_server_stop(silent);
}

static void database_of_a_newer_program_is_not_ready(void **state)
{
	char reason[600] = "";
	(void)state;

	database_run(fixture.db, "UPDATE schema_migrations SET version = 9999 WHERE version ="
				 " (SELECT max(version) FROM schema_migrations)");
	start_broker_unready();
	for (int i = 0; i < TEST_WAIT_MS && !strstr(reason, "newer"); i += 10) {
		assert_false(broker_is_ready(fixture.broker, reason, sizeof reason));
		poll(NULL, 0, 10);
	}
	assert_non_null(strstr(reason, "newer"));
}

static void wrong_conninfo_ends_the_start_with_its_place(void **state)
{
	struct error error;
	(void)state;

	add_argument("database", "host=localhost nonsense");
	load_settings();
	const struct broker_config config = {.settings = fixture.settings,
	    .keys = fixture.keys,
	    .cache = fixture.cache,
	    .deliver = fixture_deliver};
	assert_int_equal(broker_new(&fixture.broker, &config, &error), R_INVALID);
	assert_non_null(strstr(error.text, "nonsense"));
}

/* ---- clients that go, floods that stay ---- */

static void client_that_leaves_ends_the_polling(void **state)
{
	(void)state;
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
	broker_find(fixture.broker, fixture.mailboxes[1], "new.example.com", false);
	expect_phase(BROKER_ISSUE);
	broker_forget(fixture.broker, fixture.mailboxes[0], "new.example.com", false);
	assert_int_equal(flights(), 1);
	broker_forget(fixture.broker, fixture.mailboxes[1], "new.example.com", false);
	assert_int_equal(flights(), 0);
	broker_forget(fixture.broker, fixture.mailboxes[1], "new.example.com", false);
	broker_forget(fixture.broker, fixture.mailboxes[1], "never-asked.example.com", false);
	assert_string_equal(job_of("new.example.com"), "queued first_hit");
}

static void client_that_leaves_while_we_ask_harms_nobody(void **state)
{
	(void)state;
	ask_server_hold(fixture.ask_server, true);
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	ask_server_await(fixture.ask_server, 1);
	broker_forget(fixture.broker, fixture.mailboxes[0], "new.example.com", false);
	ask_server_hold(fixture.ask_server, false);
	wait_until(no_flights, "the flight ends");
	assert_string_equal(job_of("new.example.com"), "queued first_hit");
	find("new.example.com");
	expect_phase(BROKER_ASK);
	expect_phase(BROKER_ISSUE);
}

static void newest_of_a_flood_is_shed(void **state)
{
	enum { NAMES = 9000 };
	int overload = 0, database = 0;
	char name[64];
	(void)state;

	start_broker();
	make_database_silent();
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		find(name);
	}
	for (int i = 0; i < NAMES; i++) {
		const struct broker_reply *reply = expect_reply(BROKER_TEMPORARY, NULL);

		overload += strcmp(reply->cause, "overload") == 0;
		database += strcmp(reply->cause, "database") == 0;
	}
	let_database_speak();
	assert_int_equal(overload + database, NAMES);
	assert_in_range(database, 8192, 8192 + 128);
	wait_until(no_flights, "the flights end");
}

static void stop_with_questions_under_way_is_orderly(void **state)
{
	(void)state;
	ask_server_hold(fixture.ask_server, true);
	start_broker();
	find("new.example.com");
	expect_phase(BROKER_ASK);
	ask_server_await(fixture.ask_server, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    broker_test(stored_certificate_is_served_and_nobody_is_asked),
	    broker_test(verifier_in_trouble_costs_stored_names_nothing),
	    broker_test(found_again_it_comes_from_the_cache),
	    broker_test(suspended_domain_is_denied_though_it_has_a_certificate),
	    broker_test(truncated_chain_is_repaired_not_served),
	    broker_test(key_of_another_certificate_is_repaired_not_served),
	    broker_test(key_moved_from_another_row_is_repaired_not_served),
	    broker_test(certificate_of_another_name_is_repaired_not_served),
	    broker_test(expired_certificate_is_repaired_not_served),
	    broker_test(first_hit_is_asked_enqueued_and_ready_when_issued),
	    broker_test(lost_notification_costs_a_poll_only),
	    broker_test(issued_while_we_asked_is_found_without_a_wait),
	    broker_test(hundred_joiners_cause_one_ask_and_one_job),
	    broker_test(who_joins_late_learns_the_phase),
	    broker_test(failed_issuance_ends_the_wait_at_once),
	    broker_test(job_closed_without_a_certificate_ends_the_wait),
	    broker_test(wait_ends_at_its_deadline_and_the_job_goes_on),
	    broker_test(recent_failure_is_not_asked_about),
	    broker_test(visitor_brings_an_old_failure_of_the_customers_dns_forward),
	    broker_test(visitor_brings_no_failure_of_the_ca_forward),
	    broker_test(denied_name_is_asked_for_once_in_its_period),
	    broker_test(notification_clears_a_denial),
	    broker_test(denial_older_than_a_change_is_not_believed),
	    broker_test(flood_of_junk_names_costs_one_ask_each_and_leaves_nothing),
	    broker_test(without_an_ask_endpoint_unknown_names_are_denied),
	    broker_test(broken_connection_is_replaced_within_the_look_up),
	    broker_test(database_that_is_away_fails_names_within_a_second_and_recovers),
	    broker_test(silent_database_fails_names_within_a_second_and_recovers),
	    broker_test(locked_job_holds_up_no_other_name),
	    broker_test(waiting_for_the_issuer_outlasts_a_database_restart),
	    broker_test(server_that_accepts_and_stays_silent_makes_the_node_unready),
	    broker_test(database_of_a_newer_program_is_not_ready),
	    broker_test(wrong_conninfo_ends_the_start_with_its_place),
	    broker_test(client_that_leaves_ends_the_polling),
	    broker_test(client_that_leaves_while_we_ask_harms_nobody),
	    broker_test(newest_of_a_flood_is_shed),
	    broker_test(stop_with_questions_under_way_is_orderly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
