/* Why a name has no certificate, as the tables tell it. */
#include "tests/support/edge_fixture.h"

#include "edge/site/notice.h"

static struct notices *notices;
static struct notice_reply *reply;
static size_t reply_count;

static void deliver(struct message *message, void *receiver)
{
	(void)receiver;
	free(reply);
	reply = (struct notice_reply *)(void *)message;
	reply_count++;
	loop_stop(fixture.loop);
}

static void wait_for_replies(size_t count)
{
	fixture.timed_out = false;
	fixture.guard.on_expire = fixture_on_guard;
	loop_timer_set(fixture.loop, &fixture.guard, TEST_WAIT_MS);
	while (reply_count < count && !fixture.timed_out)
		loop_run(fixture.loop);
	loop_timer_clear(fixture.loop, &fixture.guard);
	if (reply_count < count)
		fail_msg("%zu of %zu replies", reply_count, count);
}

static enum result ask(uint64_t connection, const char *name)
{
	return notices_find(notices, fixture.mailboxes[0], deliver, connection, name);
}

static void expect(const char *name, enum notice_kind kind)
{
	reply_count = 0;
	assert_int_equal(ask(7, name), R_OK);
	wait_for_replies(1);
	assert_int_equal(reply->connection, 7);
	assert_string_equal(reply->name.text, name);
	if (reply->kind != kind)
		fail_msg("%s: %d instead of %d", name, reply->kind, kind);
}

static void add_claim(const char *name, const char *tenant, const char *status)
{
	database_run(fixture.db, "INSERT INTO tenants (id) VALUES ($1) ON CONFLICT DO NOTHING", tenant);
	database_run(fixture.db,
	    "INSERT INTO domains (name, tenant, status, token)"
	    " VALUES ($1, $2, $3, repeat('t', 40))",
	    name, tenant, status);
}

static void add_job(const char *name, const char *state, const char *cause, const char *next_try_in)
{
	database_run(fixture.db,
	    "INSERT INTO issuance_jobs (name, state, reason, last_cause, next_try_at)"
	    " VALUES ($1, $2, 'first_hit', $3, now() + $4::interval)"
	    " ON CONFLICT (name) DO UPDATE SET state = EXCLUDED.state, last_cause = EXCLUDED.last_cause,"
	    " next_try_at = EXCLUDED.next_try_at",
	    name, state, cause, next_try_in);
}

static void add_certificate(const char *name, const char *ends_in)
{
	database_run(fixture.db,
	    "INSERT INTO certificates (name, version, chain_pem, key_sealed, key_id, issuer, serial,"
	    " directory, not_before, not_after, renew_at)"
	    " VALUES ($1, 1, 'x', '\\x00', 'id', 'Test', '00', 'test', now(), now() + $2::interval, now())",
	    name, ends_in);
}

/* Not before the connection stands: without one every name is a redirect. */
static void wait_for_connection(void)
{
	add_claim("ready.example.com", "t", "suspended");
	do {
		reply_count = 0;
		assert_int_equal(ask(1, "ready.example.com"), R_OK);
		wait_for_replies(1);
	} while (reply->kind == NOTICE_NONE);
}

static int setup(void **state)
{
	fixture_setup(state);
	load_settings();
	notices = notices_new(fixture.settings);
	wait_for_connection();
	return 0;
}

static int teardown(void **state)
{
	notices_free(notices);
	free(reply);
	reply = NULL;
	reply_count = 0;
	return fixture_teardown(state);
}

static void unknown_and_released_names_are_none_of_ours(void **state)
{
	(void)state;
	expect("shop.example.com", NOTICE_NONE);
	add_claim("shop.example.com", "t", "released");
	expect("shop.example.com", NOTICE_NONE);
}

static void a_claim_waits_for_its_records(void **state)
{
	(void)state;
	add_claim("shop.example.com", "t", "pending");
	expect("shop.example.com", NOTICE_PENDING);
	add_certificate("shop.example.com", "1 day");
	expect("shop.example.com", NOTICE_NONE);
}

static void the_owner_counts_more_than_other_claims(void **state)
{
	(void)state;
	add_claim("shop.example.com", "a", "pending");
	add_claim("shop.example.com", "b", "active");
	expect("shop.example.com", NOTICE_NONE);
	add_claim("store.example.com", "b", "pending");
	add_claim("store.example.com", "a", "suspended");
	add_certificate("store.example.com", "1 day");
	expect("store.example.com", NOTICE_SUSPENDED);
}

static void jobs_say_what_goes_wrong(void **state)
{
	static const struct {
		const char *state, *cause, *next_try_in;
		enum notice_kind kind;
	} cases[] = {
	    {"idle", NULL, "0", NOTICE_NONE},
	    {"queued", NULL, "0", NOTICE_ISSUING},
	    {"running", "dns", "0", NOTICE_ISSUING},
	    {"failed", "dns", "90 s", NOTICE_UNREACHABLE},
	    {"failed", "connection", "90 s", NOTICE_UNREACHABLE},
	    {"failed", "tls", "90 s", NOTICE_UNREACHABLE},
	    {"failed", "unauthorized", "90 s", NOTICE_UNREACHABLE},
	    {"failed", "caa", "90 s", NOTICE_CAA},
	    {"failed", "rate_limited", "90 s", NOTICE_LIMITED},
	    {"failed", "rejected", "90 s", NOTICE_REJECTED},
	    {"failed", "ca", "90 s", NOTICE_DELAYED},
	    {"failed", "never heard of", "90 s", NOTICE_DELAYED},
	    {"failed", NULL, "90 s", NOTICE_DELAYED},
	    {"failed", "dns", "-1 s", NOTICE_NONE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		add_job("shop.example.com", cases[i].state, cases[i].cause, cases[i].next_try_in);
		expect("shop.example.com", cases[i].kind);
		assert_true(cases[i].kind < NOTICE_UNREACHABLE ? reply->retry_s == 0
							       : reply->retry_s > 60 && reply->retry_s <= 90);
	}
	add_certificate("shop.example.com", "1 day");
	add_job("shop.example.com", "failed", "dns", "90 s");
	expect("shop.example.com", NOTICE_NONE);
}

static void only_a_certificate_that_still_serves_counts(void **state)
{
	(void)state;
	add_claim("a.shop.example.com", "t", "active");
	add_job("a.shop.example.com", "failed", "caa", "1 hour");
	add_certificate("a.shop.example.com", "-1 s");
	expect("a.shop.example.com", NOTICE_CAA);
	add_certificate("*.shop.example.com", "1 day");
	expect("a.shop.example.com", NOTICE_NONE);
	expect("b.a.shop.example.com", NOTICE_NONE);
}

static void looking_starts_nothing(void **state)
{
	(void)state;
	add_claim("shop.example.com", "t", "active");
	expect("shop.example.com", NOTICE_NONE);
	assert_string_equal(database_value(fixture.db, "SELECT count(*) FROM issuance_jobs"), "0");
}

static void a_flood_of_questions_is_cut_and_the_rest_answered(void **state)
{
	char name[64];
	size_t taken = 0;

	(void)state;
	reply_count = 0;
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof name, "junk%d.example.com", i);
		taken += ask(7, name) == R_OK;
	}
	assert_in_range(taken, 256, 2999);
	wait_for_replies(taken);
	add_claim("shop.example.com", "t", "pending");
	expect("shop.example.com", NOTICE_PENDING);
}

#define notice_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    notice_test(unknown_and_released_names_are_none_of_ours),
	    notice_test(a_claim_waits_for_its_records),
	    notice_test(the_owner_counts_more_than_other_claims),
	    notice_test(jobs_say_what_goes_wrong),
	    notice_test(only_a_certificate_that_still_serves_counts),
	    notice_test(looking_starts_nothing),
	    notice_test(a_flood_of_questions_is_cut_and_the_rest_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
