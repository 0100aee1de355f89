/* Challenges of any node's orders, as this node answers them. */
#include "tests/support/edge_fixture.h"

#include "edge/site/challenge.h"

static struct challenges *challenges;
enum { REPLIES_MAX = 2048 };
static struct challenge_reply *replies[REPLIES_MAX];
static size_t reply_count;

static void deliver(struct message *message, void *receiver)
{
	(void)receiver;
	assert_true(reply_count < REPLIES_MAX);
	replies[reply_count++] = (struct challenge_reply *)(void *)message;
	loop_stop(fixture.loop);
}

static const struct challenge_reply *reply_of(uint64_t connection)
{
	for (size_t i = 0; i < reply_count; i++) {
		if (replies[i]->connection == connection)
			return replies[i];
	}
	return NULL;
}

static const struct challenge_reply *wait_for_reply(uint64_t connection)
{
	fixture.timed_out = false;
	fixture.guard.on_expire = fixture_on_guard;
	loop_timer_set(fixture.loop, &fixture.guard, TEST_WAIT_MS);
	while (!reply_of(connection) && !fixture.timed_out)
		loop_run(fixture.loop);
	loop_timer_clear(fixture.loop, &fixture.guard);
	if (!reply_of(connection))
		fail_msg("no reply to %d", (int)connection);
	return reply_of(connection);
}

static enum result start_find(
    uint64_t connection, enum challenge_type type, const char *name, const char *token)
{
	return challenges_find(challenges, fixture.mailboxes[0], deliver, connection, 0, type, name, token);
}

static const struct challenge_reply *ask(enum challenge_type type, const char *name, const char *token)
{
	static uint64_t connection = 1000;

	assert_int_equal(start_find(++connection, type, name, token), R_OK);
	return wait_for_reply(connection);
}

static void add_challenge(const char *name, const char *type, const char *token, const char *lives_for)
{
	database_run(fixture.db,
	    "INSERT INTO challenges (name, type, token, key_authorization, fence, expires_at)"
	    " VALUES ($1, $2, $3::text, $3::text || '.thumbprint', 1, now() + $4::interval)",
	    name, type, token, lives_for);
}

static int setup(void **state)
{
	fixture_setup(state);
	load_settings();
	challenges = challenges_new(fixture.settings);
	return 0;
}

static int teardown(void **state)
{
	challenges_free(challenges);
	while (reply_count)
		free(replies[--reply_count]);
	return fixture_teardown(state);
}

static void http_challenge_is_found_by_name_and_token(void **state)
{
	(void)state;
	add_challenge("shop.example.com", "http-01", "tok_en-1", "1 minute");
	const struct challenge_reply *reply = ask(CHALLENGE_HTTP, "shop.example.com", "tok_en-1");
	assert_int_equal(reply->result, R_OK);
	assert_string_equal(reply->key_authorization, "tok_en-1.thumbprint");
	assert_int_equal(ask(CHALLENGE_HTTP, "other.example.com", "tok_en-1")->result, R_NONE);
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "tok_en-2")->result, R_NONE);
	assert_int_equal(ask(CHALLENGE_TLS_ALPN, "shop.example.com", NULL)->result, R_NONE);
}

static void row_committed_after_a_miss_is_found(void **state)
{
	(void)state;
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_NONE);
	add_challenge("shop.example.com", "http-01", "token", "1 minute");
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_OK);
	database_run(fixture.db, "DELETE FROM challenges");
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_NONE);
}

static void newest_of_two_orders_answers_tls_alpn(void **state)
{
	(void)state;
	add_challenge("shop.example.com", "tls-alpn-01", "zz-first", "1 minute");
	add_challenge("shop.example.com", "tls-alpn-01", "aa-second", "1 minute");
	const struct challenge_reply *reply = ask(CHALLENGE_TLS_ALPN, "shop.example.com", NULL);
	assert_int_equal(reply->result, R_OK);
	assert_string_equal(reply->key_authorization, "aa-second.thumbprint");
}

static void expired_row_is_none(void **state)
{
	(void)state;
	add_challenge("shop.example.com", "http-01", "token", "-1 second");
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_NONE);
}

static void what_is_no_token_needs_no_database(void **state)
{
	static const char *const tokens[] = {
	    "", "../../etc/passwd", "a b", "token%00", "t\xc3\xb6ken", "a.b"};
	char long_token[300];
	(void)state;

	make_database_silent();
	memset(long_token, 'a', sizeof long_token);
	long_token[257] = '\0';
	int64_t start = clock_monotonic_ms();
	for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
		assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", tokens[i])->result, R_NONE);
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", long_token)->result, R_NONE);
	assert_in_range(clock_monotonic_ms() - start, 0, 1000);
	let_database_speak();
}

static void many_are_answered_each_its_own(void **state)
{
	char token[32];
	(void)state;

	for (int i = 0; i < 100; i++) {
		snprintf(token, sizeof token, "token%d", i);
		add_challenge("shop.example.com", "http-01", token, "1 minute");
	}
	for (int i = 0; i < 100; i += 10) {
		for (int j = i; j < i + 10; j++) {
			snprintf(token, sizeof token, "token%d", j);
			assert_int_equal(
			    start_find((uint64_t)j + 1, CHALLENGE_HTTP, "shop.example.com", token), R_OK);
		}
		for (int j = i; j < i + 10; j++) {
			snprintf(token, sizeof token, "token%d.thumbprint", j);
			assert_string_equal(wait_for_reply((uint64_t)j + 1)->key_authorization, token);
		}
	}
}

static void junk_probes_of_a_name_take_no_place_from_the_cas(void **state)
{
	enum { JUNK = 300 };
	(void)state;

	add_challenge("shop.example.com", "http-01", "real", "1 minute");
	add_challenge("shop.example.com", "tls-alpn-01", "alpn", "1 minute");
	make_database_silent();
	for (uint64_t i = 1; i <= JUNK; i++) {
		assert_int_equal(start_find(i, CHALLENGE_HTTP, "shop.example.com", "junk"), R_OK);
		assert_int_equal(start_find(JUNK + i, CHALLENGE_TLS_ALPN, "shop.example.com", NULL), R_OK);
	}
	assert_int_equal(start_find(5000, CHALLENGE_HTTP, "shop.example.com", "real"), R_OK);
	let_database_speak();
	assert_string_equal(wait_for_reply(5000)->key_authorization, "real.thumbprint");
	for (uint64_t i = 1; i <= JUNK; i++) {
		assert_int_equal(wait_for_reply(i)->result, R_NONE);
		assert_string_equal(wait_for_reply(JUNK + i)->key_authorization, "alpn.thumbprint");
	}
}

static void look_ups_of_many_names_are_bounded(void **state)
{
	char name[64];
	uint64_t names = 0;
	(void)state;

	make_database_silent();
	do
		snprintf(name, sizeof name, "shop%d.example.com", (int)++names);
	while (names < 2000 && start_find(names, CHALLENGE_TLS_ALPN, name, NULL) == R_OK);
	/* The first batch may be with the database. */
	assert_in_range(names - 1, 1024, 1024 + 128);
	let_database_speak();
	for (uint64_t i = 1; i < names; i++)
		assert_int_equal(wait_for_reply(i)->result, R_NONE);
}

static void silent_database_is_down_within_two_seconds_and_recovers(void **state)
{
	(void)state;
	add_challenge("shop.example.com", "http-01", "token", "1 minute");
	make_database_silent();
	int64_t start = clock_monotonic_ms();
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_DOWN);
	assert_in_range(clock_monotonic_ms() - start, 1900, 5000);
	let_database_speak();
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_OK);
}

static void broken_connection_is_replaced_within_the_look_up(void **state)
{
	(void)state;
	add_challenge("shop.example.com", "http-01", "token", "1 minute");
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_OK);
	end_connections("postern-edge-challenges");
	assert_int_equal(ask(CHALLENGE_HTTP, "shop.example.com", "token")->result, R_OK);
}

static void answered_row_is_marked_once(void **state)
{
	static const char seen_at[] = "SELECT seen_at FROM challenges WHERE token = 'token'";
	char first[64];
	(void)state;

	add_challenge("shop.example.com", "http-01", "token", "1 minute");
	add_challenge("shop.example.com", "http-01", "other", "1 minute");
	int64_t id = ask(CHALLENGE_HTTP, "shop.example.com", "token")->id;
	challenges_mark_seen(challenges, id);
	database_wait_for(fixture.db, "1", "SELECT count(*) FROM challenges WHERE seen_at IS NOT NULL");
	snprintf(first, sizeof first, "%s", database_value(fixture.db, seen_at));
	assert_string_not_equal(first, "");
	challenges_mark_seen(challenges, id);
	challenges_mark_seen(challenges, ask(CHALLENGE_HTTP, "shop.example.com", "other")->id);
	database_wait_for(fixture.db, "2", "SELECT count(*) FROM challenges WHERE seen_at IS NOT NULL");
	assert_string_equal(database_value(fixture.db, seen_at), first);
}

static void mark_outlasts_a_broken_connection(void **state)
{
	(void)state;
	add_challenge("shop.example.com", "http-01", "token", "1 minute");
	int64_t id = ask(CHALLENGE_HTTP, "shop.example.com", "token")->id;
	take_database_away();
	challenges_mark_seen(challenges, id);
	bring_database_back();
	database_wait_for(fixture.db, "1", "SELECT count(*) FROM challenges WHERE seen_at IS NOT NULL");
}

#define challenge_test(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    challenge_test(http_challenge_is_found_by_name_and_token),
	    challenge_test(row_committed_after_a_miss_is_found),
	    challenge_test(newest_of_two_orders_answers_tls_alpn),
	    challenge_test(expired_row_is_none),
	    challenge_test(what_is_no_token_needs_no_database),
	    challenge_test(many_are_answered_each_its_own),
	    challenge_test(junk_probes_of_a_name_take_no_place_from_the_cas),
	    challenge_test(look_ups_of_many_names_are_bounded),
	    challenge_test(silent_database_is_down_within_two_seconds_and_recovers),
	    challenge_test(broken_connection_is_replaced_within_the_look_up),
	    challenge_test(answered_row_is_marked_once),
	    challenge_test(mark_outlasts_a_broken_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
