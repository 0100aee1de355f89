/* Questions to a scripted name server: UDP, TCP where it was cut, several at once, and servers that do not
 * play along. */
#include "verifier/diagnose/server_ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/support/fake_dns.h"

enum { PATIENCE_MS = 20000, SHORT_MS = 800 };

static struct fake_dns *dns;
static struct ask_result results[ASK_SERVERS_MAX * ASK_QUESTIONS_MAX];

static int set_up(void **state)
{
	(void)state;
	dns = fake_dns_start();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_dns_stop(dns);
	return 0;
}

static struct ask_server server_at(int port)
{
	struct ask_server server = {.may_be_own = true};
	assert_true(net_read_host(&server.address, "127.0.0.1", (uint16_t)port));
	return server;
}

static struct dns_question question_of(const char *name, enum resolver_type type)
{
	struct dns_question question = {.type = type};
	snprintf(question.name, sizeof question.name, "%s", name);
	return question;
}

static struct ask_result *ask(const char *name, enum resolver_type type, int timeout_ms)
{
	const struct ask_server server = server_at(dns->port);
	const struct dns_question question = question_of(name, type);
	dns_reply_fini(&results[0].reply);
	server_ask(&server, 1, &question, 1, timeout_ms, results);
	return &results[0];
}

static void values_are_read(void **state)
{
	(void)state;
	const struct dns_reply *reply = &ask("txt.test", RESOLVER_TXT, PATIENCE_MS)->reply;
	assert_int_equal(results[0].outcome, ASK_REPLIED);
	assert_true(reply->is_authoritative);
	assert_int_equal(reply->answer.outcome, RESOLVER_FOUND);
	assert_memory_equal(reply->answer.values[0].bytes, "abcd", 4);
	ask("binary.test", RESOLVER_TXT, PATIENCE_MS);
	assert_memory_equal(reply->answer.values[0].bytes, "\0\xff\\", 3);
	ask("goal.test", RESOLVER_A, PATIENCE_MS);
	assert_memory_equal(reply->answer.values[0].bytes, "\xc0\0\2\1", 4);
	ask("goal.test", RESOLVER_AAAA, PATIENCE_MS);
	assert_int_equal(reply->answer.values[0].size, 16);
}

static void what_is_not_there_is_told_apart(void **state)
{
	(void)state;
	assert_int_equal(ask("none.test", RESOLVER_TXT, PATIENCE_MS)->reply.answer.outcome, RESOLVER_NO_NAME);
	assert_int_equal(
	    ask("empty.test", RESOLVER_TXT, PATIENCE_MS)->reply.answer.outcome, RESOLVER_NO_DATA);
	assert_int_equal(
	    ask("fail.test", RESOLVER_TXT, PATIENCE_MS)->reply.answer.outcome, RESOLVER_TEMPORARY);
	assert_int_equal(results[0].reply.code, 2);
	assert_int_equal(ask("refused.test", RESOLVER_TXT, PATIENCE_MS)->reply.code, 5);
}

static void aliases_are_followed_within_the_reply(void **state)
{
	(void)state;
	const struct dns_reply *reply = &ask("alias.test", RESOLVER_A, PATIENCE_MS)->reply;
	assert_string_equal(reply->alias, "goal.test");
	assert_string_equal(reply->answer.canonical, "goal.test");
	assert_int_equal(reply->answer.count, 1);
	assert_false(reply->alias_loops);
	ask("loop.test", RESOLVER_A, PATIENCE_MS);
	assert_true(reply->alias_loops);
	assert_int_equal(reply->answer.count, 0);
}

/* 40 KB in a thousand records: more than is read. */
static void a_reply_that_was_cut_is_asked_for_over_tcp_and_bounded(void **state)
{
	(void)state;
	assert_int_equal(ask("big.test", RESOLVER_TXT, PATIENCE_MS)->outcome, ASK_GARBLED);
}

static void silence_ends_with_the_time(void **state)
{
	(void)state;
	int64_t start = clock_monotonic_ms();
	assert_int_equal(ask("silent.test", RESOLVER_TXT, SHORT_MS)->outcome, ASK_SILENT);
	assert_true(clock_monotonic_ms() - start >= SHORT_MS);
	assert_true(dns->silent_questions >= 2 && dns->silent_questions <= 3);
}

static void many_servers_and_questions_wait_for_each_other(void **state)
{
	(void)state;
	static const char *const names[] = {"txt.test", "none.test", "silent.test", "binary.test"};
	enum { SERVERS = 3, QUESTIONS = 4 };
	struct ask_server servers[SERVERS] = {server_at(dns->port), server_at(1), server_at(dns->port)};
	struct dns_question questions[QUESTIONS];
	for (int i = 0; i < QUESTIONS; i++)
		questions[i] = question_of(names[i], RESOLVER_TXT);
	dns_reply_fini(&results[0].reply);
	server_ask(servers, SERVERS, questions, QUESTIONS, SHORT_MS, results);
	for (int i = 0; i < SERVERS * QUESTIONS; i++) {
		bool is_silent = i / QUESTIONS == 1 || i % QUESTIONS == 2;
		assert_int_equal(results[i].outcome, is_silent ? ASK_SILENT : ASK_REPLIED);
		dns_reply_fini(&results[i].reply);
	}
}

/* The kernel answers for itself: such a server is this machine. */
static void our_own_address_is_not_asked(void **state)
{
	(void)state;
	struct ask_server server = server_at(dns->port);
	const struct dns_question question = question_of("silent.test", RESOLVER_TXT);
	server.may_be_own = false;
	server_ask(&server, 1, &question, 1, PATIENCE_MS, results);
	assert_int_equal(results[0].outcome, ASK_OWN);
	assert_int_equal(dns->silent_questions, 0);
}

static void a_name_that_dns_cannot_hold_is_not_asked(void **state)
{
	(void)state;
	char name[400];
	memset(name, 'a', sizeof name);
	name[sizeof name - 1] = '\0';
	assert_int_equal(ask(name, RESOLVER_TXT, SHORT_MS)->outcome, ASK_SILENT);
	assert_int_equal(ask("a..test", RESOLVER_TXT, SHORT_MS)->outcome, ASK_SILENT);
}

#define server_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    server_test(values_are_read),
	    server_test(what_is_not_there_is_told_apart),
	    server_test(aliases_are_followed_within_the_reply),
	    server_test(a_reply_that_was_cut_is_asked_for_over_tcp_and_bounded),
	    server_test(silence_ends_with_the_time),
	    server_test(many_servers_and_questions_wait_for_each_other),
	    server_test(our_own_address_is_not_asked),
	    server_test(a_name_that_dns_cannot_hold_is_not_asked),
	};
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
